"""A cell over a sequence as one plain loop in time: the definition of correct for every other backend."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from throughtime.cells import Cell, State, Weights
from throughtime.sequence import SequenceBatch


def run_reference(
    cell: Cell, sequence: SequenceBatch, state: State, weights: Weights, *, reverse: bool = False
) -> tuple[SequenceBatch, State]:
    """Run ``cell`` over ``sequence`` step by step, differentiable any number of times by autograd.

    Each row runs over its own length, from its last value to its first if ``reverse``. Outputs are zero in
    the padding, and the state of a row that has ended (or, in reverse, not begun) does not move.

    Args:
        cell: the cell.
        sequence: values of shape (time, batch, feature), time at least 1.
        state: the state before the first step, each of shape (batch, size).
        weights: the layer's weights by name.
        reverse: run from the end of each row to its beginning.

    Returns:
        The outputs, shape (time, batch, size of the first state), and the state after the last step.
    """
    mask = sequence.mask()
    values = sequence.values
    if mask is not None:
        mask = mask.unsqueeze(-1)
        values = values.where(mask, 0)  # a NaN in the padding would reach the weights as 0 * NaN
    rows = len(cell.recurrent_gates) * (weights["weight_ih"].shape[0] // len(cell.gates))
    bias_hh = weights.get("bias_hh")
    weight_hh, bias_hh = weights["weight_hh"][:rows], None if bias_hh is None else bias_hh[:rows]
    input_gates = linear(values, weights["weight_ih"], weights.get("bias_ih")).unbind(0)
    outputs: list[Tensor] = []
    steps = range(len(input_gates))
    for t in reversed(steps) if reverse else steps:
        new = cell.step(input_gates[t], linear(state[0], weight_hh, bias_hh), state, weights).state
        if mask is None:
            state = new
            outputs.append(new[0])
        else:
            state = tuple(after.where(mask[t], before) for after, before in zip(new, state, strict=True))
            outputs.append(new[0].where(mask[t], 0))
    if reverse:
        outputs.reverse()
    return SequenceBatch(torch.stack(outputs), sequence.lengths), state
