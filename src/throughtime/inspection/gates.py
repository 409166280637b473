"""What a recurrent layer's gates and states do while it reads: the numbers of every cell, layer and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from throughtime.cells import Cell, State, Step
from throughtime.nn import ConvolutionalRecurrent, Recurrent
from throughtime.recurrence import Direction, run_reference
from throughtime.sequence import SequenceBatch

KEEPING_GATES = ("forget", "update")
"""The gates that say which share of the old state stays: an LSTM's, and a GRU's."""


@dataclass(frozen=True)
class Activations:
    """What one layer did in one direction.

    Attributes:
        layer: its number, from 0.
        reverse: whether it read from the end to the beginning.
        gates: by their names in the cell, each of shape (time, batch, hidden_size), float, after their activation; the
            candidate is among them.
        states: by their names in the cell, after each step, each of shape (time, batch, size). The first, "hidden",
            is the layer's output.
        initial: the states before the first step, each of shape (batch, size).
        keeps: the share of the memory that each step kept, shape (time, batch, hidden_size): the forget gate, or the
            update gate, zoneout counted; None for a cell that has no such gate.
        lengths: of the rows; None where all are of full length. What stands behind a row's end means nothing.

    Those of a convolutional layer have the places of a picture before the units: (time, batch, height, width, units).
    """

    layer: int
    reverse: bool
    gates: dict[str, Tensor]
    states: dict[str, Tensor]
    initial: State
    keeps: Tensor | None
    lengths: Tensor | None

    @property
    def name(self) -> str:
        """Layer and direction, in words."""
        return f"layer {self.layer + 1}" + (", reverse" if self.reverse else "")

    def row(self, index: int) -> Activations:
        """Those of one row of the batch, without what stands behind its end; the batch is then 1."""
        length = None if self.lengths is None else int(self.lengths[index])

        def cut(values: Tensor) -> Tensor:
            return values[:length, index : index + 1]

        return replace(
            self,
            gates={name: cut(values) for name, values in self.gates.items()},
            states={name: cut(values) for name, values in self.states.items()},
            initial=tuple(part[index : index + 1] for part in self.initial),
            keeps=None if self.keeps is None else cut(self.keeps),
            lengths=None,
        )

    def over_places(self) -> Activations:
        """Those of a convolutional layer, the mean over the places; of another one as they are."""

        def mean(values: Tensor) -> Tensor:
            return values if values.ndim == 3 else values.flatten(2, -2).mean(2)

        return replace(
            self,
            gates={name: mean(values) for name, values in self.gates.items()},
            states={name: mean(values) for name, values in self.states.items()},
            initial=tuple(mean(part.unsqueeze(0)).squeeze(0) for part in self.initial),
            keeps=None if self.keeps is None else mean(self.keeps),
        )


@torch.no_grad()
def record_gates(
    layer: Recurrent | ConvolutionalRecurrent, inputs: Tensor | SequenceBatch, state: Tensor | State | None = None
) -> list[Activations]:
    """Run a layer over a batch by its cell's equations, and keep what every gate and state is at every step.

    The equations are those in ``throughtime.cells``, to which every backend is held; so the numbers are those of the
    layer whatever runs it, to rounding. Dropout is off; zoneout acts by its expectation, as in evaluation.

    Args:
        layer: with any cell.
        inputs: what it reads, shape (time, batch, input_size), or (time, batch, channel, ...) of a convolutional layer.
        state: before the first step, as the layer takes it; zeros if None.

    Returns:
        One for each layer and direction, in torch's order: forward before reverse.

    >>> layer = Recurrent("gru", 3, 5, bidirectional=True)
    >>> forward, reverse = record_gates(layer, torch.randn(7, 2, 3))
    >>> list(forward.gates), forward.gates["update"].shape
    (['reset', 'update', 'candidate'], torch.Size([7, 2, 5]))
    """
    sequence = inputs if isinstance(inputs, SequenceBatch) else SequenceBatch(inputs)
    initial = (state,) if isinstance(state, Tensor) else state
    if isinstance(layer, ConvolutionalRecurrent):
        values = sequence.values.movedim(2, -1)
        initial = None if initial is None else layer.read_states(initial, values.shape)
        sequence = SequenceBatch(values, sequence.lengths)
    training = layer.training
    layer.eval()
    try:
        found: list[Activations] = []
        for number in range(layer.num_layers):
            own = [_record(layer.cell, sequence, one) for one in layer.directions(number, sequence, initial, None)]
            outputs = [activations.states[layer.cell.states[0]] for activations in own]
            values = torch.cat(outputs, dim=-1)
            mask = sequence.mask()
            if mask is not None:
                values = values.where(mask.reshape(*mask.shape, *[1] * (values.ndim - 2)), 0)
            sequence = SequenceBatch(values, sequence.lengths)
            found += [replace(activations, layer=number) for activations in own]
        return found
    finally:
        layer.train(training)


def _record(cell: Cell, sequence: SequenceBatch, direction: Direction) -> Activations:
    """Run one direction with a cell that is the same but writes down each of its steps."""
    steps: list[tuple[State, Step]] = []

    def step(input_gates: Tensor, recurrent_gates: Tensor, state: State, *rest: object) -> Step:
        new = cell.step(input_gates, recurrent_gates, state, *rest)
        steps.append((state, new))
        return new

    _, final = run_reference(replace(cell, step=step), sequence, direction)
    # A step is handed the state after the one before it, with all that acts on it.
    states: Sequence[State] = [*(before for before, _ in steps[1:]), final]
    order = range(len(steps) - 1, -1, -1) if direction.reverse else range(len(steps))
    gates = {
        name: torch.stack([steps[place][1].gates[index] for place in order]) for index, name in enumerate(cell.gates)
    }
    named = {name: torch.stack([states[place][index] for place in order]) for index, name in enumerate(cell.states)}
    return Activations(0, direction.reverse, gates, named, steps[0][0], _kept(cell, gates, direction), sequence.lengths)


def _kept(cell: Cell, gates: dict[str, Tensor], direction: Direction) -> Tensor | None:
    for name in KEEPING_GATES:
        if name in cell.gates:
            zoneout = direction.zoneout[-1] if direction.zoneout else None
            return gates[name] if zoneout is None else gates[name] + zoneout * (1 - gates[name])
    return None
