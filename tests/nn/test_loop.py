from __future__ import annotations

import pytest
import torch
from torch import Tensor

from throughtime.cells import CELLS, State
from throughtime.errors import ArgumentError
from throughtime.nn import LoopLinear, Recurrent, RecurrentLoop

LOOPED = [name for name, cell in CELLS.items() if not cell.normalised]


def looped(layer: Recurrent, known: Tensor, fed: Tensor) -> Tensor:
    states: list[State] = [
        tuple(known.new_zeros(known.shape[1], size) for size in layer.state_sizes)
    ] * layer.num_layers
    loop = RecurrentLoop(layer, known)
    outputs: list[Tensor] = []
    for t in range(len(known)):
        output, states = loop.step(t, fed[t], states)
        outputs.append(output)
    return torch.stack(outputs)


@pytest.mark.parametrize("cell", LOOPED)
def test_a_loop_is_the_layer_gradients_included(cell: str) -> None:
    layer = Recurrent(cell, 7, 5, 2, dtype=torch.float64)
    known = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    fed = torch.randn(6, 3, 3, dtype=torch.float64, requires_grad=True)
    expected, _ = layer(torch.cat([known, fed], -1))
    found = looped(layer, known, fed)
    torch.testing.assert_close(found, expected)
    towards = torch.randn_like(expected)
    of = [known, fed, *layer.parameters()]
    ours = torch.autograd.grad((found * towards).sum(), of)
    theirs = torch.autograd.grad((expected * towards).sum(), of)
    torch.testing.assert_close(ours, theirs)


def test_the_weights_gradient_counts_the_steps_that_reach_the_loss_alone() -> None:
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(4, 5, 2, dtype=torch.float64)
    step = LoopLinear(weight)
    outputs = [step(x) for x in inputs]
    (outputs[0].square().sum() + outputs[2].square().sum()).backward()
    expected = sum(2 * (x @ weight.detach().t()).t() @ x for x in (inputs[0], inputs[2]))
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)


def test_autocast_multiplies_in_its_dtype_and_gives_the_weights() -> None:
    weight, x = torch.randn(8, 16, requires_grad=True), torch.randn(4, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = LoopLinear(weight)(x)
    assert found.dtype == torch.float32
    expected = (x.bfloat16() @ weight.detach().bfloat16().t()).float()
    torch.testing.assert_close(found.detach(), expected, rtol=0, atol=0)


def test_dropout_between_layers_is_locked() -> None:
    layer = Recurrent("rnn_relu", 2, 50, 2, dropout=0.5)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportCallIssue]
        layer.weight_hh_l1.zero_()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportCallIssue]
    same = torch.ones(3, 4, 1)
    outputs = looped(layer, same, same)
    torch.testing.assert_close(outputs[0], outputs[2])
    assert not torch.equal(outputs[0][0], outputs[0][1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell_name": "lstm_layer_norm"}, "normalises sums over its whole input"),
        ({"cell_name": "lstm", "bidirectional": True}, "`layer` must have one direction"),
        ({"cell_name": "lstm", "zoneout": 0.1}, "no regularisation but `dropout`"),
    ],
)
def test_a_layer_that_no_loop_computes_is_refused(options: dict[str, object], message: str) -> None:
    layer = Recurrent(input_size=3, hidden_size=4, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(ArgumentError, match=message):
        RecurrentLoop(layer, torch.zeros(2, 1, 2))
