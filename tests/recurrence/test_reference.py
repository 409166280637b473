from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cells.cell_cases import (
    BATCH,
    HIDDEN,
    INPUT,
    LENGTHS,
    ROW_LENGTHS,
    TIME,
    VARIANTS,
    cell_of,
    random,
    random_sequence,
    random_state,
    random_weights,
)  # fmt: skip
from throughtime.cells import CELLS, Cell
from throughtime.recurrence import Direction, run_reference
from throughtime.sequence import SequenceBatch

Outputs = tuple[Tensor, ...]
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True])


def as_function(cell: Cell, *, reverse: bool, bias: bool = True) -> tuple[Callable[..., Outputs], tuple[Tensor, ...]]:
    """Make the ragged run a function of its tensors, and draw those: values, states, weights."""
    weights = random_weights(cell, bias=bias)
    names, states = list(weights), len(cell.states)

    def function(values: Tensor, *tensors: Tensor) -> Outputs:
        direction = Direction(dict(zip(names, tensors[states:], strict=True)), tensors[:states], reverse)
        outputs, final = run_reference(cell, SequenceBatch(values, LENGTHS), direction)
        return outputs.values, *final

    return function, (random(TIME, BATCH, INPUT), *random_state(cell), *weights.values())


@DIRECTIONS
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_finite_differences(variant: str, reverse: bool) -> None:
    function, inputs = as_function(cell_of(variant), reverse=reverse)
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


@DIRECTIONS
@pytest.mark.parametrize("variant", VARIANTS)
def test_second_gradients_are_finite_differences(variant: str, reverse: bool) -> None:
    function, inputs = as_function(cell_of(variant), reverse=reverse, bias=False)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@DIRECTIONS
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_ragged_batch_is_its_rows_run_alone(variant: str, reverse: bool) -> None:
    cell = cell_of(variant)
    sequence, state, weights = random_sequence(ragged=True), random_state(cell), random_weights(cell)
    outputs, final = run_reference(cell, sequence, Direction(weights, state, reverse))
    for row, length in enumerate(ROW_LENGTHS):
        alone = sequence.values[:length, row : row + 1]
        alone = alone.flip(0) if reverse else alone
        expected, last = run_reference(
            cell, SequenceBatch(alone), Direction(weights, tuple(part[row : row + 1] for part in state))
        )
        values = expected.values.flip(0) if reverse else expected.values
        torch.testing.assert_close(outputs.values[:length, row : row + 1], values, rtol=0, atol=1e-12)
        assert not outputs.values[length:, row].any()
        torch.testing.assert_close(tuple(part[row : row + 1] for part in final), last, rtol=0, atol=1e-12)


@DIRECTIONS
@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_in_the_padding_reaches_values_or_gradients(variant: str, reverse: bool) -> None:
    cell = cell_of(variant)
    state, weights = random_state(cell), random_weights(cell)
    clean = random(TIME, BATCH, INPUT)
    padding = torch.arange(TIME).unsqueeze(1) >= LENGTHS
    results: list[tuple[Tensor, ...]] = []
    for filler in (0.0, 1e30, float("nan")):
        values = clean.detach().masked_fill(padding.unsqueeze(-1), filler).requires_grad_()
        outputs, final = run_reference(cell, SequenceBatch(values, LENGTHS), Direction(weights, state, reverse))
        loss = (outputs.values**2).sum() + sum((part**3).sum() for part in final)
        inputs = (values, *state, *weights.values())
        results.append((outputs.values, *final, *torch.autograd.grad(loss, inputs)))
    for result in results[1:]:
        assert all(torch.equal(have, want) for have, want in zip(result, results[0], strict=True))


DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "rnn_tanh": lambda h: 1 - h**2,
    "rnn_logistic": lambda h: h * (1 - h),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_gradients_are_the_lectures_recursion(name: str) -> None:
    """dh_t/dW_x = h'_t (x_t + W_h dh_{t-1}/dW_x) and dh_t/dW_h = h'_t (h_{t-1} + W_h dh_{t-1}/dW_h)."""
    weights = random_weights(CELLS[name])
    values, targets = random(TIME, 1, INPUT).detach(), random(TIME, HIDDEN).detach()
    initial = random(1, HIDDEN).detach()
    outputs, _ = run_reference(CELLS[name], SequenceBatch(values), Direction(weights, (initial,)))
    hidden = outputs.values[:, 0]
    loss = ((targets - hidden) ** 2).sum() / 2
    w_x, w_h = weights["weight_ih"], weights["weight_hh"]
    expected_x, expected_h = torch.autograd.grad(loss, (w_x, w_h))
    with torch.no_grad():
        d_x = torch.zeros(HIDDEN, HIDDEN, INPUT, dtype=torch.float64)
        d_h = torch.zeros(HIDDEN, HIDDEN, HIDDEN, dtype=torch.float64)
        sum_x, sum_h = torch.zeros_like(w_x), torch.zeros_like(w_h)
        before = initial[0]
        units = range(HIDDEN)
        for x, h, target in zip(values[:, 0], hidden, targets, strict=True):
            derivative = DERIVATIVES[name](h)
            new_x, new_h = torch.zeros_like(d_x), torch.zeros_like(d_h)
            for i in units:
                for j in units:
                    own = float(i == j)
                    new_x[i, j] = derivative[i] * (own * x + sum(w_h[i, m] * d_x[m, j] for m in units))
                    new_h[i, j] = derivative[i] * (own * before + sum(w_h[i, m] * d_h[m, j] for m in units))
            d_x, d_h, before = new_x, new_h, h
            error = -(target - h)
            sum_x += sum(error[i] * d_x[i] for i in units)
            sum_h += sum(error[i] * d_h[i] for i in units)
    torch.testing.assert_close(sum_x, expected_x, rtol=0, atol=1e-12)
    torch.testing.assert_close(sum_h, expected_h, rtol=0, atol=1e-12)
