"""RNN, LSTM and GRU against torch.nn: the same seed gives the same weights, masks, outputs and gradients."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from cells.cell_cases import skip_where_torch_has_no_autocast
from throughtime import nn
from throughtime.errors import ArgumentError

INPUT = 3
KINDS = ["RNN", "LSTM", "GRU"]
Pair = tuple[torch.nn.Module, torch.nn.Module]


def pair(kind: str, *arguments: Any, **options: Any) -> Pair:
    """Make our layer and torch's from the same seed."""
    layers: list[torch.nn.Module] = []
    for module in (nn, torch.nn):
        torch.manual_seed(7)
        layers.append(getattr(module, kind)(*arguments, **options))
    return layers[0], layers[1]


def tensors_of(result: Any) -> list[Tensor]:
    """Flatten outputs and states, a PackedSequence with all that it holds."""
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in tensors_of(part)]


def results(layer: torch.nn.Module, values: Tensor, hx: Any, lengths: Tensor | None, batch_first: bool) -> list[Tensor]:
    """Run a layer; give outputs, states and all gradients, from the same random state."""
    values = values.clone().requires_grad_()
    hx = None if hx is None else tuple(part.clone().requires_grad_() for part in hx)
    torch.manual_seed(11)
    inputs: Any = values
    if lengths is not None:
        is_sorted = bool((lengths[1:] <= lengths[:-1]).all())
        inputs = pack_padded_sequence(values, lengths, batch_first, enforce_sorted=is_sorted)
    outcome = layer(inputs) if hx is None else layer(inputs, hx if len(hx) > 1 else hx[0])
    tensors = tensors_of(outcome)
    trained = [tensor for tensor in tensors if tensor.requires_grad]
    loss = torch.stack([tensor.square().sum() * (1 + index) for index, tensor in enumerate(trained)]).sum()
    return [*tensors, *torch.autograd.grad(loss, [values, *(hx or ()), *layer.parameters()])]


@st.composite
def layer_options(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a kind of layer and everything that torch.nn accepts for it."""
    kind = draw(st.sampled_from(KINDS))
    num_layers = draw(st.integers(1, 3))
    options: dict[str, Any] = {
        "num_layers": num_layers,
        "dropout": draw(st.sampled_from([0.0, 0.4, 1.0])) if num_layers > 1 else 0.0,
        **{name: draw(st.booleans()) for name in ("bias", "batch_first", "bidirectional")},
    }
    if kind == "LSTM":
        options["proj_size"] = draw(st.sampled_from([0, 2]))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    return kind, options


@settings(max_examples=120)
@given(
    drawn=layer_options(),
    form=st.sampled_from(["batched", "unbatched", "packed", "packed sorted"]),
    with_state=st.booleans(),
    training=st.booleans(),
    time=st.integers(1, 5),
    batch=st.sampled_from([1, 4]),
)
def test_a_layer_is_torchs(
    drawn: tuple[str, dict[str, Any]], form: str, with_state: bool, training: bool, time: int, batch: int
) -> None:
    kind, options = drawn
    ours, theirs = pair(kind, INPUT, 5, **options, dtype=torch.float64)
    ours.train(training)
    theirs.train(training)
    layers = options["num_layers"] * (1 + options["bidirectional"])
    sizes = [options["proj_size"] or 5, 5] if kind == "LSTM" else [5]
    values = torch.randn(time, batch, INPUT, dtype=torch.float64)
    hx = [torch.randn(layers, batch, size, dtype=torch.float64) for size in sizes] if with_state else None
    lengths = None
    if form == "unbatched":
        values, hx = values[:, 0], [part[:, 0] for part in hx] if hx else None
    elif options["batch_first"]:
        values = values.transpose(0, 1)
    if form.startswith("packed"):
        lengths = torch.randint(1, time + 1, (batch,))
        lengths = lengths.sort(descending=True).values if form == "packed sorted" else lengths
    have, want = (results(layer, values, hx, lengths, options["batch_first"]) for layer in (ours, theirs))
    torch.testing.assert_close(have, want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_same_seed_makes_torchs_weights_masks_and_outputs_in_float32(kind: str, bidirectional: bool) -> None:
    ours, theirs = pair(kind, INPUT, 8, 2, dropout=0.3, bidirectional=bidirectional)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    values = torch.randn(6, 4, INPUT)
    have, want = (results(layer, values, None, None, False) for layer in (ours, theirs))
    torch.testing.assert_close(have, want, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_torchs(kind: str) -> None:
    values = torch.randn(6, 4, INPUT)
    ours, theirs = pair(kind, INPUT, 8, 2, dtype=torch.bfloat16)
    for have, want in zip(tensors_of(ours(values.bfloat16())), tensors_of(theirs(values.bfloat16())), strict=True):
        assert have.dtype == want.dtype == torch.bfloat16
        torch.testing.assert_close(have, want, rtol=0, atol=2**-7)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(kind: str) -> None:
    skip_where_torch_has_no_autocast(kind)
    values = torch.randn(6, 4, INPUT)
    ours, theirs = pair(kind, INPUT, 8, 2)
    with torch.autocast("cpu", torch.bfloat16):
        have, want = tensors_of(ours(values)), tensors_of(theirs(values))
    assert [tensor.dtype for tensor in have] == [tensor.dtype for tensor in want]
    torch.testing.assert_close(have, want, rtol=0, atol=2**-7)  # ours rounds factors to bfloat16, or nothing at all


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_load_both_ways(kind: str) -> None:
    ours, theirs = pair(kind, INPUT, 8, 2, bidirectional=True)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_torchs_attributes_are_here(kind: str) -> None:
    ours, theirs = pair(kind, INPUT, 8, 2, batch_first=True, dropout=0.5, bidirectional=True)
    names = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    layers: list[Any] = [ours, theirs]
    have, want = ([[weight.shape for weight in row] for row in layer.all_weights] for layer in layers)
    assert have == want
    layers[0].flatten_parameters()
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(nn.RNNCell, torch.nn.RNNCell), (nn.LSTMCell, torch.nn.LSTMCell), (nn.GRUCell, torch.nn.GRUCell)],
)
def test_the_cells_signatures_begin_with_torchs(ours: Any, theirs: Any) -> None:
    want = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters)[: len(want)] == want


def test_positional_arguments_stand_in_torchs_order() -> None:
    ours, theirs = pair("RNN", INPUT, 8, 2, "relu", False, True, 0.5, True)
    assert repr(ours) == repr(theirs)
    ours, theirs = pair("LSTM", INPUT, 8, 2, False, True, 0.5, True, 4)
    assert {name: p.shape for name, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}


def test_a_logistic_network_is_a_tanh_network_with_half_the_slope() -> None:
    """With logistic(a) = (1 + tanh(a / 2)) / 2 and h = (1 + u) / 2, torch's tanh network of u is given."""
    ours = nn.RNN(INPUT, 5, nonlinearity="logistic", dtype=torch.float64)
    theirs = torch.nn.RNN(INPUT, 5, dtype=torch.float64)
    w_x, w_h, b_x, b_h = (parameter.detach() for parameter in ours.parameters())
    halved = (w_x / 2, w_h / 4, b_x / 2, b_h / 2 + w_h.sum(1) / 4)
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), halved, strict=True):
            parameter.copy_(value)
    values, hidden = torch.randn(6, 4, INPUT, dtype=torch.float64), torch.rand(1, 4, 5, dtype=torch.float64)
    u, _ = theirs(values, 2 * hidden - 1)
    torch.testing.assert_close(ours(values, hidden)[0], (1 + u) / 2, rtol=0, atol=1e-12)


def test_peepholes_of_zero_are_none() -> None:
    theirs = torch.nn.LSTM(INPUT, 5, 2, bidirectional=True, proj_size=2, dtype=torch.float64)
    values = torch.randn(6, 4, INPUT, dtype=torch.float64)
    for peephole in ("diagonal", "full"):
        ours = nn.LSTM(INPUT, 5, 2, bidirectional=True, proj_size=2, dtype=torch.float64, peephole=peephole)
        shape = (3, 5) if peephole == "diagonal" else (15, 5)
        extra = {name: torch.zeros(shape) for name in ours.state_dict() if name.startswith("weight_peephole")}
        assert sorted(extra) == [f"weight_peephole_l{k}{r}" for k in range(2) for r in ("", "_reverse")]
        ours.load_state_dict({**theirs.state_dict(), **extra}, strict=True)
        torch.testing.assert_close(ours(values), theirs(values), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("RNN", {"nonlinearity": "selu"}, "`nonlinearity` must be one of .*'logistic', got 'selu'"),
        ("LSTM", {"peephole": "ful"}, "`peephole` must be one of 'diagonal', 'full', .* did you mean 'full'"),
        ("LSTM", {"peephole": "full", "layer_norm": True}, "`layer_norm` and `peephole` don't go together"),
        ("GRU", {"reset": "before", "layer_norm": True}, "`layer_norm` needs `reset` to be 'after', got 'before'"),
        ("GRU", {"reset": "behind"}, "`reset` must be one of 'after', 'before', got 'behind'"),
        ("LSTM", {"proj_size": 4}, "`proj_size` must be an integer from 0 to 3, got 4"),
        ("LSTM", {"forget_bias": 1.0, "gate_biases": {"forget": 2.0}}, "`forget_bias` and .* the same thing"),
        ("LSTM", {"bias": False, "forget_bias": 1.0}, "`gate_biases` has nothing to act on: `bias` is False"),
        ("RNN", {"freeze_gate_biases": True}, "`freeze_gate_biases` .*: the cell 'rnn_tanh' has no gates"),
        ("GRU", {"gate_biases": {"forget": 1.0}}, "`gate_biases` must be one of 'reset', 'update', got"),
        ("GRU", {"num_layers": 0}, "`num_layers` must be a positive integer, got 0"),
        ("GRU", {"dropout": 1.5}, r"`dropout` must be a number in \[0, 1\], got 1.5"),
        ("GRU", {"bias": "yes"}, "`bias` must be True or False, got 'yes'"),
        ("GRU", {"recurrent_init": "identity"}, "`recurrent_init` must be one of 'uniform', 'orthogonal'"),
        ("GRU", {"backend": "cuda"}, "`backend` must be one of 'auto', 'fused', 'torch', 'convolution', 'reference'"),
    ],
)  # fmt: skip
def test_an_argument_that_cannot_be_used_is_named(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(nn, kind)(3, 4, **options)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'forgetbias'"):
        nn.LSTM(3, 4, forgetbias=1.0)  # pyright: ignore[reportCallIssue]


def test_dropout_of_a_single_layer_warns_as_torch_does() -> None:
    with pytest.warns(UserWarning, match=r"`dropout` 0.5 does nothing: it acts between layers, and `num_layers` is 1"):
        nn.LSTM(3, 4, dropout=0.5)


def test_a_packed_output_lies_beside_its_input() -> None:
    values = torch.randn(6, 3, INPUT)
    packed = pack_padded_sequence(values, torch.tensor([2, 6, 4]), enforce_sorted=False)
    output, _ = nn.GRU(INPUT, 5)(packed)
    assert isinstance(output, PackedSequence)
    assert output.sorted_indices is packed.sorted_indices
    assert output.batch_sizes is packed.batch_sizes
