"""Recurrent projection: Sak, Senior and Beaufays (2014), https://arxiv.org/abs/1402.1128."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import linear

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights
from throughtime.errors import ArgumentError

PROJECTED: dict[Cell, Cell] = {}
"""What ``projected`` has made: a table, as torch.compile cannot see through functools.cache."""


def projected(cell: Cell) -> Cell:
    """Make the cell whose output is h_t = W_hr h'_t, h'_t being the output of ``cell``.

    The weight ``weight_hr`` has shape (proj_size, hidden_size); weight_hh reads the projected output and
    has shape (gates * hidden_size, proj_size). The states after the first keep hidden_size.

    Raises:
        ArgumentError: if the step of ``cell`` mixes its hidden state into the new one, which then have
            different sizes: a cell with no other state.
    """
    if cell in PROJECTED:
        return PROJECTED[cell]
    if len(cell.states) < 2:
        raise ArgumentError(f"`proj_size` needs a cell with a state besides its output, which {cell.name!r} has not")

    def step(
        input_gates: Tensor, recurrent_gates: Tensor, state: State, weights: Weights, dropout: StepDropout = NO_DROPOUT
    ) -> Step:
        wide = cell.step(input_gates, recurrent_gates, state, weights, dropout)
        hidden, *others = wide.state
        return Step(state=(linear(hidden, weights["weight_hr"]), *others), gates=wide.gates)

    PROJECTED[cell] = replace(cell, name=f"{cell.name}_projected", step=step)
    return PROJECTED[cell]
