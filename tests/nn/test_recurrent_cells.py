from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime import nn
from throughtime.errors import ArgumentError

INPUT, HIDDEN, BATCH = 3, 5, 4


def same_seed(kind: str, **options: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    layers: list[torch.nn.Module] = []
    for module in (nn, torch.nn):
        torch.manual_seed(5)
        layers.append(getattr(module, kind)(INPUT, HIDDEN, **options))
    return layers[0], layers[1]


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["RNNCell", "LSTMCell", "GRUCell"]),
    bias=st.booleans(),
    batched=st.booleans(),
    with_state=st.booleans(),
    relu=st.booleans(),
)
def test_a_cell_is_torchs(kind: str, bias: bool, batched: bool, with_state: bool, relu: bool) -> None:
    options: dict[str, Any] = {"bias": bias, "dtype": torch.float64}
    if kind == "RNNCell":
        options["nonlinearity"] = "relu" if relu else "tanh"
    ours, theirs = same_seed(kind, **options)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    shape = (BATCH,) if batched else ()
    x = torch.randn(*shape, INPUT, dtype=torch.float64)
    states = [torch.randn(*shape, HIDDEN, dtype=torch.float64) for _ in range(2 if kind == "LSTMCell" else 1)]
    hx = None if not with_state else tuple(states) if len(states) > 1 else states[0]
    have, want = ours(x, hx), theirs(x, hx)
    torch.testing.assert_close(have, want, rtol=0, atol=1e-12)
    gradients: list[tuple[torch.Tensor, ...]] = []
    for state, module in ((have, ours), (want, theirs)):
        parts: tuple[torch.Tensor, ...] = (state,) if isinstance(state, torch.Tensor) else state
        loss = torch.stack([part.square().sum() * (1 + index) for index, part in enumerate(parts)]).sum()
        gradients.append(torch.autograd.grad(loss, list(module.parameters())))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {"peephole": "diagonal"}),
        ("LSTM", {"peephole": "full"}),
        ("LSTM", {"layer_norm": True}),
        ("GRU", {"reset": "before"}),
        ("GRU", {"layer_norm": True}),
        ("RNN", {"nonlinearity": "logistic"}),
    ],
)
def test_steps_of_a_cell_are_its_layer(kind: str, options: dict[str, Any]) -> None:
    layer = getattr(nn, kind)(INPUT, HIDDEN, dtype=torch.float64, **options)
    cell = getattr(nn, f"{kind}Cell")(INPUT, HIDDEN, dtype=torch.float64, **options)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}, strict=True)
    x, state = torch.randn(6, BATCH, INPUT, dtype=torch.float64), None
    for t, output in enumerate(layer(x)[0]):
        state = cell(x[t], state)
        torch.testing.assert_close(state[0] if kind == "LSTM" else state, output, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(4, 2),), r"`input` must have shape \(batch, 3\), got \(4, 2\)"),
        ((torch.zeros(2),), r"`input` must have shape \(3,\), got \(2,\)"),
        ((torch.zeros(4, 3).double(),), "`input` must have the dtype of the weights"),
        ((torch.zeros(4, 3), torch.zeros(4, 5)), r"`hx` must hold 2 tensors \(hidden, cell\), got 1"),
        ((torch.zeros(4, 3), (torch.zeros(4, 5), torch.zeros(3, 5))), r"`hx\[1\]` must have shape \(4, 5\)"),
    ],
)  # fmt: skip
def test_an_input_that_does_not_fit_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        nn.LSTMCell(INPUT, HIDDEN)(*arguments)
