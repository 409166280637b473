"""Layers in ONNX, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cells.cell_cases import CELL_CASES, CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError, DataError
from throughtime.export import layer_to_onnx, layers_from_onnx, weights_from_onnx, weights_to_onnx

runtime = pytest.importorskip("onnxruntime")

INPUT, HIDDEN, LAYERS = 3, 4, 2
SHAPES = ((1, 1), (7, 3), (20, 2))
IN_ONNX = [case.name for case in CELL_CASES if case.onnx] + ["rnn_relu", "rnn_logistic"]


def session_of(model: Any) -> Any:
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def worst_error(layer: nn.Recurrent, *, ragged: bool) -> float:
    session = session_of(layer_to_onnx(layer, lengths=ragged))
    rows = layer.num_layers * layer.num_directions
    precise = nn.Recurrent(
        layer.cell_name, layer.input_size, layer.hidden_size, layer.num_layers, layer.bias,
        bidirectional=layer.bidirectional, proj_size=layer.proj_size, dtype=torch.float64,
    )  # fmt: skip
    precise.load_state_dict(layer.state_dict())
    worst = 0.0
    for time, batch in SHAPES:
        x = torch.randn(time, batch, INPUT)
        states = tuple(torch.randn(rows, batch, size) for size in layer.state_sizes)
        lengths = torch.randint(1, time + 1, (batch,))
        given = {"input": x.numpy()}
        given |= {name: part.numpy() for name, part in zip(layer.cell.states, states, strict=True)}
        if ragged:
            given["lengths"] = lengths.numpy()
        wide = tuple(part.double() for part in states)
        with torch.no_grad():
            output, final = precise(
                x.double(), wide[0] if len(wide) == 1 else wide, lengths=lengths if ragged else None
            )
        expected = [output, *((final,) if isinstance(final, Tensor) else final)]
        for got, want in zip(session.run(None, given), expected, strict=True):
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    return worst


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_every_cell_is_itself_in_onnx(name: str, ragged: bool) -> None:
    # Layer normalisation of four values divides by what may be small: float32 has no more.
    tolerance = 5e-5 if "layer_norm" in name else 2e-6
    assert worst_error(nn.Recurrent(name, INPUT, HIDDEN, LAYERS, bidirectional=True), ragged=ragged) < tolerance
    assert worst_error(nn.Recurrent(name, INPUT, HIDDEN, bias=False), ragged=ragged) < tolerance


@pytest.mark.parametrize("name", [case.name for case in CELL_CASES if case.projectable])
def test_projected_cells_are_themselves_in_onnx(name: str) -> None:
    tolerance = 5e-5 if "layer_norm" in name else 2e-6
    assert worst_error(nn.Recurrent(name, INPUT, HIDDEN, LAYERS, proj_size=2), ragged=True) < tolerance


@pytest.mark.parametrize("name", CELL_NAMES)
def test_a_cell_that_onnx_has_becomes_its_operator(name: str) -> None:
    kinds = {node.op_type for node in layer_to_onnx(nn.Recurrent(name, INPUT, HIDDEN)).graph.node}
    operator = {"rnn": "RNN", "lst": "LSTM", "gru": "GRU"}[name[:3]]
    assert kinds & {"RNN", "LSTM", "GRU", "Scan"} == ({operator} if name in IN_ONNX else {"Scan"})


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", IN_ONNX)
def test_a_round_trip_through_a_node_changes_no_number(name: str, bidirectional: bool, bias: bool) -> None:
    layer = nn.Recurrent(name, INPUT, HIDDEN, bias=bias, bidirectional=bidirectional)
    (back,) = layers_from_onnx(layer_to_onnx(layer)).values()
    assert (back.cell_name, back.bidirectional, back.bias) == (name, bidirectional, bias)
    assert back.state_dict().keys() == layer.state_dict().keys()
    for key, value in layer.state_dict().items():
        assert torch.equal(back.state_dict()[key], value), key
    own = [layer.weights(0, direction) for direction in range(layer.num_directions)]
    for before, after in zip(own, weights_from_onnx(name, weights_to_onnx(name, own)), strict=True):
        assert {key: value.tolist() for key, value in before.items()} == {
            key: value.tolist() for key, value in after.items()
        }


def test_several_nodes_of_a_file_become_several_layers(tmp_path: Any) -> None:
    import onnx  # noqa: PLC0415

    layer = nn.LSTM(INPUT, HIDDEN, 2)
    path = tmp_path / "layer.onnx"
    onnx.save(layer_to_onnx(layer), str(path))
    first, second = layers_from_onnx(path).values()
    assert (first.input_size, second.input_size) == (INPUT, HIDDEN)
    assert torch.equal(second.weight_ih_l0, layer.get_parameter("weight_ih_l1"))
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="is not an ONNX model"):
        layers_from_onnx(path)


def changed(name: str, **attributes: Any) -> Any:
    from onnx import helper  # noqa: PLC0415

    model = layer_to_onnx(nn.Recurrent(name, INPUT, HIDDEN))
    node = next(node for node in model.graph.node if node.op_type in {"RNN", "LSTM", "GRU"})
    kept = [own for own in node.attribute if own.name not in attributes]
    node.ClearField("attribute")
    node.attribute.extend([*kept, *(helper.make_attribute(key, value) for key, value in attributes.items())])
    return model


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("lstm", {"clip": 3.0}, "clip is 3.0, which our layers don't do"),
        ("lstm", {"input_forget": 1}, "input_forget is 1"),
        ("gru", {"activations": ["HardSigmoid", "Tanh"]}, "no GRU with the activations HardSigmoid, Tanh"),
        ("rnn_tanh", {"activations": ["Softsign"]}, "no RNN with the activations Softsign"),
    ],
)
def test_what_our_cells_do_not_do_is_refused(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        layers_from_onnx(changed(name, **attributes))


def test_usual_activations_may_be_written_out() -> None:
    (layer,) = layers_from_onnx(changed("lstm", activations=["Sigmoid", "Tanh", "Tanh"])).values()
    assert layer.cell_name == "lstm"


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ArgumentError, match="zoneout can't be written"):
        layer_to_onnx(nn.GRU(INPUT, HIDDEN, zoneout=0.1))
    with pytest.raises(ArgumentError, match="only layers in float32"):
        layer_to_onnx(nn.GRU(INPUT, HIDDEN, dtype=torch.float64))
