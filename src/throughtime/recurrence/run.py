"""A cell over a sequence: the one place where it is decided which backend runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from throughtime.cells import Cell, State, Weights
from throughtime.errors import ArgumentError, BackendError, check_choice
from throughtime.recurrence import torch_native
from throughtime.recurrence.reference import run_reference
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class Backend:
    """One way to run a cell over a sequence.

    Attributes:
        run: ``run(cell, sequence, state, weights, reverse=...)`` gives the outputs and the final state.
        refusal: why it cannot run this cell on this sequence with these weights; None if it can.
        suits: whether "auto" should take it for this sequence, where it can run.
    """

    run: Callable[..., tuple[SequenceBatch, State]]
    refusal: Callable[[Cell, SequenceBatch, Weights], str | None]
    suits: Callable[[SequenceBatch], bool]


def _more_than_one_step(sequence: SequenceBatch) -> bool:
    """On the CPU torch's LSTM repacks its weights at each call, which costs more than a single step."""
    return sequence.values.device.type != "cpu" or sequence.values.shape[0] > 1


BACKENDS = {
    "torch": Backend(torch_native.run_torch, torch_native.refusal, _more_than_one_step),
    "reference": Backend(run_reference, lambda _cell, _sequence, _weights: None, lambda _sequence: True),
}
"""Every backend by its name, the fastest first."""


def run(
    cell: Cell,
    sequence: SequenceBatch,
    state: State | None,
    weights: Weights,
    *,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[SequenceBatch, State, str]:
    """Run ``cell`` over ``sequence`` in one direction.

    Args:
        cell: the cell, one of CELLS or another one.
        sequence: values of shape (time, batch, feature), of the weights' dtype unless autocast is on.
        state: the state before the first step, each of shape (batch, size); zeros if None.
        weights: weight_ih, weight_hh, perhaps bias_ih, bias_hh, and the cell's own weights by name.
        reverse: run from the end of each row to its beginning.
        backend: "reference" (the plain loop), "torch" (torch's kernels), or "auto": the fastest that can run.

    Returns:
        The outputs, shape (time, batch, size of the first state), zero in the padding; the state after
        each row's last step; and the name of the backend that ran.

    Raises:
        ArgumentError: if the sequence has no steps or ``backend`` is unknown.
        BackendError: if the backend that was asked for cannot run this cell.
    """
    check_choice("backend", backend, ("auto", *BACKENDS))
    if sequence.values.shape[0] == 0:
        raise ArgumentError("`sequence` must have at least one time step, got none")
    if state is None:
        state = zero_state(cell, sequence, weights)
    if backend == "auto":
        backend = next(
            name
            for name, candidate in BACKENDS.items()
            if candidate.suits(sequence) and candidate.refusal(cell, sequence, weights) is None
        )
    elif reason := BACKENDS[backend].refusal(cell, sequence, weights):
        raise BackendError(f"`backend` {backend!r} cannot run: {reason}")
    lengths = sequence.lengths
    if lengths is not None and bool((lengths == sequence.values.shape[0]).all()):
        sequence = SequenceBatch(sequence.values)
    outputs, final = BACKENDS[backend].run(cell, sequence, state, weights, reverse=reverse)
    return SequenceBatch(outputs.values, lengths), final, backend


def zero_state(cell: Cell, sequence: SequenceBatch, weights: Weights) -> State:
    """Make the state of zeros: the first of the output's size, the others of hidden_size."""
    output_size = weights["weight_hh"].shape[1]
    hidden_size = weights["weight_ih"].shape[0] // len(cell.gates)
    sizes = (output_size, *(hidden_size for _ in cell.states[1:]))
    return tuple(sequence.values.new_zeros(sequence.values.shape[1], size) for size in sizes)
