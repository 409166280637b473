from __future__ import annotations

import dataclasses

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
from throughtime.recurrence import BACKENDS, Direction, run
from throughtime.sequence import SequenceBatch

TORCH_CELLS = [case.name for case in CELL_CASES if case.torch_has_it] + ["lstm_projected"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_auto_takes_the_fused_kernel(variant: str) -> None:
    cell = cell_of(variant)
    assert run(cell, random_sequence(ragged=True), [Direction(random_weights(cell))])[2] == "fused"


def test_auto_takes_torch_then_the_reference_where_there_is_no_kernel() -> None:
    """The core knows no bfloat16 weights, and torch's LSTM is slow for a single step."""
    sequence = SequenceBatch(random_sequence(ragged=False).values.bfloat16())
    single = SequenceBatch(sequence.values[:1])
    for case in CELL_CASES:
        cell = cell_of(case.name)
        directions = [Direction({name: weight.bfloat16() for name, weight in random_weights(cell).items()})]
        assert run(cell, sequence, directions)[2] == ("torch" if case.torch_has_it else "reference")
        assert run(cell, single, directions)[2] == "reference"
    unknown = dataclasses.replace(cell_of("lstm"), name="another")
    assert run(unknown, random_sequence(ragged=False), [Direction(random_weights(unknown))])[2] == "reference"


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(TORCH_CELLS)))
def test_a_backend_that_cannot_run_says_why(variant: str) -> None:
    cell = cell_of(variant)
    with pytest.raises(
        BackendError, match=f"`backend` 'torch' cannot run: torch has no kernel for the cell '{variant}'"
    ):
        run(cell, random_sequence(ragged=False), [Direction(random_weights(cell))], backend="torch")


def test_torch_refuses_one_bias_without_the_other() -> None:
    cell = cell_of("gru")
    weights = random_weights(cell)
    del weights["bias_hh"]
    with pytest.raises(BackendError, match="need both bias_ih and bias_hh or neither"):
        run(cell, random_sequence(ragged=False), [Direction(weights)], backend="torch")


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    cell = cell_of("gru")
    with pytest.raises(ArgumentError, match=r"`backend` must be one of .*, got 'reference_'; did you mean 'reference'"):
        run(cell, random_sequence(ragged=False), [Direction(random_weights(cell))], backend="reference_")


def test_a_sequence_without_steps_is_refused() -> None:
    cell = cell_of("gru")
    with pytest.raises(ArgumentError, match="`sequence` must have at least one time step, got none"):
        run(cell, SequenceBatch(torch.zeros(0, 4, 3, dtype=torch.float64)), [Direction(random_weights(cell))])


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_state_is_the_state_of_zeros(variant: str) -> None:
    cell = cell_of(variant)
    sequence, weights = random_sequence(ragged=True), random_weights(cell)
    zeros = tuple(torch.zeros_like(part) for part in random_state(cell))
    absent, given = run(cell, sequence, [Direction(weights)]), run(cell, sequence, [Direction(weights, zeros)])
    assert torch.equal(absent[0].values, given[0].values)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "convolution"])  # which runs other cells
def test_lengths_that_are_all_full_come_back(backend: str) -> None:
    cell = cell_of("lstm")
    values, weights = random_sequence(ragged=False).values, random_weights(cell)
    lengths = torch.full((values.shape[1],), TIME)
    full, _, _ = run(cell, SequenceBatch(values, lengths), [Direction(weights)], backend=backend)
    dense, _, _ = run(cell, SequenceBatch(values), [Direction(weights)], backend=backend)
    assert full.lengths is lengths
    assert torch.equal(full.values, dense.values)
