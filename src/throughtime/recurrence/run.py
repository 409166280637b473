"""A cell over a sequence: the one place where it is decided which backend runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from throughtime.cells import Cell, State
from throughtime.errors import ArgumentError, BackendError, check_choice
from throughtime.recurrence import convolution, fused, torch_native
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.reference import run_reference
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class Backend:
    """One way to run a cell over a sequence.

    Attributes:
        run: gives the outputs of all directions, one beside the other, and each direction's final state.
        refusal: why it cannot run this cell on this sequence in these directions; None if it can.
        suits: whether "auto" should take it for this sequence, where it can run.
    """

    run: Callable[[Cell, SequenceBatch, Sequence[Direction]], tuple[SequenceBatch, list[State]]]
    refusal: Callable[[Cell, SequenceBatch, Sequence[Direction]], str | None]
    suits: Callable[[SequenceBatch], bool] = lambda _: True


def _run_reference_each(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    results = [run_reference(cell, sequence, direction) for direction in directions]
    values = [output.values for output, _ in results]
    joined = torch.cat(values, dim=-1) if len(values) > 1 else values[0]
    return SequenceBatch(joined, sequence.lengths), [state for _, state in results]


def _more_than_one_step(sequence: SequenceBatch) -> bool:
    """On the CPU torch's LSTM repacks its weights at each call, which costs more than a single step."""
    return sequence.values.device.type != "cpu" or sequence.values.shape[0] > 1


BACKENDS = {
    "fused": Backend(fused.run_fused, fused.refusal),
    "torch": Backend(torch_native.run_torch, torch_native.refusal, _more_than_one_step),
    "convolution": Backend(convolution.run_convolution, convolution.refusal),
    "reference": Backend(_run_reference_each, lambda _cell, _sequence, _directions: None),
}
"""Every backend by its name, the fastest first."""


def run(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction], *, backend: str = "auto"
) -> tuple[SequenceBatch, list[State], str]:
    """Run ``cell`` over ``sequence`` in one direction or several.

    Args:
        cell: the cell, one of CELLS or another one.
        sequence: values of shape (time, batch, feature), of the weights' dtype unless autocast is on.
        directions: the weights, initial state and masks of each direction.
        backend: "fused" (the native core), "torch" (torch's kernels), "convolution" (for weights that are kernels),
            "reference" (the plain loop), or "auto": the fastest that can run.

    Returns:
        The outputs, shape (time, batch, directions * size of the first state), zero in the padding; for each
        direction the state after each row's last step; and the name of the backend that ran.

    Raises:
        ArgumentError: if the sequence has no steps, ``backend`` is unknown, or ``candidate_dropout`` has no gate to
            act behind.
        BackendError: if the backend that was asked for cannot run this cell.
    """
    check_choice("backend", backend, ("auto", *BACKENDS))
    if sequence.values.shape[0] == 0:
        raise ArgumentError("`sequence` must have at least one time step, got none")
    if cell.gates == ("candidate",) and any(direction.candidate_dropout is not None for direction in directions):
        raise ArgumentError(f"`candidate_dropout` needs a cell whose candidate is gated, which {cell.name!r} has not")
    if backend == "auto":
        backend = next(
            name
            for name, candidate in BACKENDS.items()
            if candidate.suits(sequence) and candidate.refusal(cell, sequence, directions) is None
        )
    elif reason := BACKENDS[backend].refusal(cell, sequence, directions):
        raise BackendError(f"`backend` {backend!r} cannot run: {reason}")
    lengths = sequence.lengths
    if lengths is not None and not torch.compiler.is_compiling() and bool((lengths == sequence.values.shape[0]).all()):
        sequence = SequenceBatch(sequence.values)
    outputs, final = BACKENDS[backend].run(cell, sequence, directions)
    return SequenceBatch(outputs.values, lengths), final, backend
