"""Weights from and to torch.nn and Keras."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cells.cell_cases import CELL_CASES
from throughtime import nn
from throughtime.errors import ArgumentError
from throughtime.export import from_keras, from_torch, keras_options, to_keras, to_torch
from throughtime.export.keras_weights import FORMS

INPUT, HIDDEN, TIME, BATCH = 3, 4, 6, 2


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def relu(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0)


def keras_layer(kind: str, x: np.ndarray, arrays: list[np.ndarray], options: dict[str, object]) -> np.ndarray:
    """Keras's equations from its documentation, in NumPy; inputs and outputs are time first."""
    kernel, recurrent = arrays[:2]
    units = recurrent.shape[0]
    bias = arrays[2] if len(arrays) == 3 else np.zeros((2, kernel.shape[1]))
    first, second = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    h = c = np.zeros((x.shape[1], units))
    outputs = []
    for x_t in x:
        a = x_t @ kernel + first
        if kind == "SimpleRNN":
            activation = {"relu": relu, "sigmoid": sigmoid}.get(str(options.get("activation")), np.tanh)
            h = activation(a + h @ recurrent)
        elif kind == "LSTM":
            i, f, g, o = np.split(a + h @ recurrent, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            a_z, a_r, a_h = np.split(a, 3, axis=-1)
            if options["reset_after"]:
                b_z, b_r, b_h = np.split(h @ recurrent + second, 3, axis=-1)
                candidate = np.tanh(a_h + sigmoid(a_r + b_r) * b_h)
            else:
                b_z, b_r = np.split(h @ recurrent[:, : 2 * units], 2, axis=-1)
                candidate = np.tanh(a_h + (sigmoid(a_r + b_r) * h) @ recurrent[:, 2 * units :])
            z = sigmoid(a_z + b_z)
            h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_weights_in_keras_compute_the_same(name: str, bias: bool) -> None:
    layer = nn.Recurrent(name, INPUT, HIDDEN, 2, bias=bias, bidirectional=True, dtype=torch.float64)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    kind, options = keras_options(layer)
    values = x.numpy()
    for arrays in to_keras(layer):
        half = len(arrays) // 2
        forward = keras_layer(kind, values, arrays[:half], options)
        backward = keras_layer(kind, values[::-1], arrays[half:], options)[::-1]
        values = np.concatenate([forward, backward], axis=-1)
    with torch.no_grad():
        np.testing.assert_allclose(layer(x)[0].numpy(), values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_weights_from_keras_go_back_unchanged(name: str, bias: bool, bidirectional: bool) -> None:
    layer = nn.Recurrent(name, INPUT, HIDDEN, 2, bias=bias, bidirectional=bidirectional)
    given = to_keras(layer)
    back = from_keras(name, given, bidirectional=bidirectional)
    for before, after in zip(given, to_keras(back), strict=True):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            assert np.array_equal(one, other)
    if not bias or FORMS[name].two_biases:
        assert all(torch.equal(back.state_dict()[key], value) for key, value in layer.state_dict().items())


def test_keras_weights_of_other_shapes_are_refused() -> None:
    arrays = to_keras(nn.GRU(INPUT, HIDDEN))
    with pytest.raises(ArgumentError, match=r"`weights\[0\]\[2\]` must have shape \(12,\), got \(2, 12\)"):
        from_keras("gru_reset_before", arrays)
    with pytest.raises(ArgumentError, match="must have 4 or 6 arrays a layer"):
        from_keras("gru", arrays, bidirectional=True)
    with pytest.raises(ArgumentError, match="must have 2 or 3 arrays"):
        from_keras("gru", [])
    with pytest.raises(ArgumentError, match="`cell_name` must be one of"):
        from_keras("lstm_peephole_full", arrays)
    with pytest.raises(ArgumentError, match="Keras has no such cell 'lstm_layer_norm'"):
        to_keras(nn.LSTM(INPUT, HIDDEN, layer_norm=True))
    with pytest.raises(ArgumentError, match="Keras has no such projection"):
        to_keras(nn.LSTM(INPUT, HIDDEN, proj_size=2))


@pytest.mark.parametrize("name", [case.name for case in CELL_CASES if case.torch_has_it])
@pytest.mark.parametrize("bias", [False, True])
def test_torchs_layer_computes_the_same_and_comes_back(name: str, bias: bool) -> None:
    layer = nn.Recurrent(name, INPUT, HIDDEN, 2, bias=bias, batch_first=True, bidirectional=True, dtype=torch.float64)
    module = to_torch(layer.eval())
    assert type(module).__module__ == "torch.nn.modules.rnn"
    assert not module.training
    x = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(module(x)[0], layer(x)[0], rtol=0, atol=1e-12)
    back = from_torch(module)
    assert all(torch.equal(back.state_dict()[key], value) for key, value in layer.state_dict().items())
    assert layer.weight_ih_l0.data_ptr() != module.get_parameter("weight_ih_l0").data_ptr()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projections_go_to_torch_and_what_it_has_not_is_refused() -> None:
    layer = nn.LSTM(INPUT, HIDDEN, proj_size=2)
    x = torch.randn(TIME, BATCH, INPUT)
    with torch.no_grad():
        torch.testing.assert_close(to_torch(layer)(x)[0], layer(x)[0])
    with pytest.raises(ArgumentError, match=r"torch\.nn has no layer of the cell 'gru_reset_before'"):
        to_torch(nn.GRU(INPUT, HIDDEN, reset="before"))
    with pytest.raises(ArgumentError, match="no zoneout"):
        to_torch(nn.GRU(INPUT, HIDDEN, zoneout=0.1))
