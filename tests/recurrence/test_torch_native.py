from __future__ import annotations

import pytest
import torch

from cells.cell_cases import (
    CELL_CASES,
    LENGTHS,
    cell_of,
    random,
    random_sequence,
    random_state,
    random_weights,
)
from throughtime.errors import BackendError
from throughtime.recurrence import Direction, run, run_torch
from throughtime.sequence import SequenceBatch

TORCH_CELLS = [case.name for case in CELL_CASES if case.torch_has_it] + ["lstm_projected"]


@pytest.mark.parametrize("lengths", [None, LENGTHS, LENGTHS.sort(descending=True).values, LENGTHS.clamp(max=3)])
@pytest.mark.parametrize("reverse", [[False], [True], [False, True]])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("variant", TORCH_CELLS)
def test_torchs_kernels_compute_the_reference(
    variant: str, bias: bool, reverse: list[bool], lengths: torch.Tensor | None
) -> None:
    cell = cell_of(variant)
    sequence = SequenceBatch(random_sequence(ragged=False).values, lengths)
    directions = [Direction(random_weights(cell, bias=bias), random_state(cell), each) for each in reverse]
    inputs = [sequence.values]
    for direction in directions:
        inputs += [*(direction.state or ()), *direction.weights.values()]
    results: list[list[torch.Tensor]] = []
    for backend in ("reference", "torch"):
        outputs, states, _ = run(cell, sequence, directions, backend=backend)
        final = [part for state in states for part in state]
        loss = (outputs.values**2).sum() + sum((part**3).sum() for part in final)
        results.append([outputs.values, *final, *torch.autograd.grad(loss, inputs)])
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-10)


def test_directions_that_torch_runs_not_side_by_side_are_refused() -> None:
    cell = cell_of("lstm")
    directions = [Direction(random_weights(cell), reverse=True) for _ in range(2)]
    with pytest.raises(BackendError, match="'torch' cannot run: torch's kernels run one direction, or one forwards"):
        run(cell, random_sequence(ragged=False), directions, backend="torch")


def test_a_nan_in_the_padding_reaches_nothing() -> None:
    cell = cell_of("lstm")
    padding = torch.arange(5).unsqueeze(1) >= LENGTHS
    values = random(5, 4, 3).detach().masked_fill(padding.unsqueeze(-1), float("nan")).requires_grad_()
    weights = random_weights(cell)
    for reverse in (False, True):
        direction = Direction(weights, random_state(cell), reverse)
        outputs, (final,) = run_torch(cell, SequenceBatch(values, LENGTHS), [direction])
        loss = outputs.values.sum() + final[1].sum()
        gradients = torch.autograd.grad(loss, (values, *weights.values()))
        assert all(tensor.isfinite().all() for tensor in (outputs.values, *final, *gradients))
