from __future__ import annotations

import pytest
import torch

from cells.cell_cases import (
    CELL_CASES,
    TIME,
    VARIANTS,
    cell_of,
    random_sequence,
    random_state,
    random_weights,
)
from throughtime.errors import ArgumentError, BackendError
from throughtime.recurrence import run
from throughtime.sequence import SequenceBatch

TORCH_CELLS = [case.name for case in CELL_CASES if case.torch_has_it] + ["lstm_projected"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_auto_takes_torch_where_torch_has_the_cell(variant: str) -> None:
    cell = cell_of(variant)
    _, _, name = run(cell, random_sequence(ragged=True), None, random_weights(cell))
    assert name == ("torch" if variant in TORCH_CELLS else "reference")


def test_auto_takes_the_reference_for_a_single_step() -> None:
    cell = cell_of("lstm")
    single = SequenceBatch(random_sequence(ragged=False).values[:1])
    assert run(cell, single, None, random_weights(cell))[2] == "reference"
    assert run(cell, single, None, random_weights(cell), backend="torch")[2] == "torch"


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(TORCH_CELLS)))
def test_a_backend_that_cannot_run_says_why(variant: str) -> None:
    cell = cell_of(variant)
    with pytest.raises(
        BackendError, match=f"`backend` 'torch' cannot run: torch has no kernel for the cell '{variant}'"
    ):
        run(cell, random_sequence(ragged=False), None, random_weights(cell), backend="torch")


def test_torch_refuses_one_bias_without_the_other() -> None:
    cell = cell_of("gru")
    weights = random_weights(cell)
    del weights["bias_hh"]
    assert run(cell, random_sequence(ragged=False), None, weights)[2] == "reference"
    with pytest.raises(BackendError, match="need both bias_ih and bias_hh or neither"):
        run(cell, random_sequence(ragged=False), None, weights, backend="torch")


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    cell = cell_of("gru")
    with pytest.raises(ArgumentError, match=r"`backend` must be one of .*, got 'reference_'; did you mean 'reference'"):
        run(cell, random_sequence(ragged=False), None, random_weights(cell), backend="reference_")


def test_a_sequence_without_steps_is_refused() -> None:
    cell = cell_of("gru")
    with pytest.raises(ArgumentError, match="`sequence` must have at least one time step, got none"):
        run(cell, SequenceBatch(torch.zeros(0, 4, 3, dtype=torch.float64)), None, random_weights(cell))


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_state_is_the_state_of_zeros(variant: str) -> None:
    cell = cell_of(variant)
    sequence, weights = random_sequence(ragged=True), random_weights(cell)
    zeros = tuple(torch.zeros_like(part) for part in random_state(cell))
    absent, given = run(cell, sequence, None, weights), run(cell, sequence, zeros, weights)
    assert torch.equal(absent[0].values, given[0].values)


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_lengths_that_are_all_full_come_back(backend: str) -> None:
    cell = cell_of("lstm")
    values, weights = random_sequence(ragged=False).values, random_weights(cell)
    lengths = torch.full((values.shape[1],), TIME)
    full, _, _ = run(cell, SequenceBatch(values, lengths), None, weights, backend=backend)
    dense, _, _ = run(cell, SequenceBatch(values), None, weights, backend=backend)
    assert full.lengths is lengths
    assert torch.equal(full.values, dense.values)
