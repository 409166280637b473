"""A cell over a sequence as one plain loop in time: the definition of correct for every other backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from throughtime.cells import Cell, State, StepDropout, Weights
from throughtime.cells.normalisation import normalise_groups
from throughtime.cells.product import product, space_of
from throughtime.recurrence.direction import Direction
from throughtime.sequence import SequenceBatch


def run_reference(cell: Cell, sequence: SequenceBatch, direction: Direction) -> tuple[SequenceBatch, State]:
    """Run ``cell`` over ``sequence`` step by step, differentiable any number of times by autograd.

    Each row runs over its own length, from its last value to its first in reverse. Outputs are zero in
    the padding, and the state of a row that has ended (or, in reverse, not begun) does not move.

    Args:
        cell: the cell.
        sequence: values of shape (time, batch, feature), time at least 1; where the weights are kernels,
            (time, batch, y, x, feature), and so are outputs and states.
        direction: the weights, the state before the first step, and what acts on the steps.

    Returns:
        The outputs, shape (time, batch, size of the first state), and the state after the last step.
    """
    mask = sequence.mask()
    values, weights = sequence.values, direction.weights
    if mask is not None:
        mask = _beside(mask, values)
        values = values.where(mask, 0)  # a NaN in the padding would reach the weights as 0 * NaN
    rows = len(cell.recurrent_gates) * (weights["weight_ih"].shape[0] // len(cell.gates))
    bias_hh = weights.get("bias_hh")
    weight_hh, bias_hh = weights["weight_hh"][:rows], None if bias_hh is None else bias_hh[:rows]
    gain_hh = weights.get("norm_gain_hh")
    input_gates = _gates(
        cell, values, weights["weight_ih"], weights.get("bias_ih"), weights.get("norm_gain_ih")
    ).unbind(0)

    def recurrent_gates(hidden: Tensor) -> Tensor:
        return _gates(cell, hidden, weight_hh, bias_hh, gain_hh)

    state = zero_state(cell, sequence, weights) if direction.state is None else direction.state
    outputs: list[Tensor] = []
    steps = range(len(input_gates))
    for t in reversed(steps) if direction.reverse else steps:
        new = _step(cell, input_gates[t], recurrent_gates, state, direction, t)
        valid = None if mask is None else mask[t]
        if valid is not None:
            new = tuple(after.where(valid, old) for after, old in zip(new, state, strict=True))
        if direction.watches_gradients and new[0].requires_grad:
            new[0].register_hook(partial(_watch, direction, t, valid))
        state = new
        outputs.append(new[0] if valid is None else new[0].where(valid, 0))
    if direction.reverse:
        outputs.reverse()
    return SequenceBatch(torch.stack(outputs), sequence.lengths), state


def _step(
    cell: Cell,
    input_gates: Tensor,
    recurrent_gates: Callable[[Tensor], Tensor],
    state: State,
    direction: Direction,
    t: int,
) -> State:
    """Take step t with what acts on it: resets before the cell, dropout in it, zoneout after it."""
    if not direction.regularised:
        return cell.step(input_gates, recurrent_gates(state[0]), state, direction.weights).state
    if direction.reset is not None:
        reset = direction.reset[t]
        state = tuple(part.masked_fill(_beside(reset, part), 0) for part in state)
    candidate = None if direction.candidate_dropout is None else direction.candidate_dropout[t]
    dropout = StepDropout(direction.recurrent_dropout, candidate)
    from_hidden = recurrent_gates(dropout.of_hidden(state[0]))
    new = cell.step(input_gates, from_hidden, state, direction.weights, dropout).state
    if not direction.zoneout:
        return new
    return tuple(
        after if share is None else after + share[t] * (before - after)
        for after, before, share in zip(new, state, direction.zoneout, strict=True)
    )


def _watch(direction: Direction, t: int, valid: Tensor | None, gradient: Tensor) -> Tensor:
    """Clip and write down dL/dh_t as it passes; a row that has ended only passes it on."""
    if direction.gradient_clip is not None:
        gradient = gradient.clamp(-direction.gradient_clip, direction.gradient_clip)
    if direction.hidden_gradient is not None:
        direction.hidden_gradient[t] = gradient.detach() if valid is None else gradient.detach().where(valid, 0)
    return gradient


def _gates(cell: Cell, values: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """What enters the gates by one matrix or kernel."""
    if gain is None:
        return product(values, weight, bias)
    return normalise_groups(product(values, weight), cell.normalised, gain, bias)


def _beside(mask: Tensor, values: Tensor) -> Tensor:
    """Give a mask of (time, batch) or (batch,) the further axes of values, of size 1."""
    return mask.reshape(*mask.shape, *(1 for _ in range(values.ndim - mask.ndim)))


def zero_state(cell: Cell, sequence: SequenceBatch, weights: Weights) -> State:
    """Make the state of zeros: the first of the output's size, the others of hidden_size, at each place in space."""
    output_size = weights["weight_hh"].shape[1]
    hidden_size = weights["weight_ih"].shape[0] // len(cell.gates)
    sizes = (output_size, *(hidden_size for _ in cell.states[1:]))
    places = sequence.values.shape[1 : 2 + space_of(weights["weight_hh"])]
    return tuple(sequence.values.new_zeros(*places, size) for size in sizes)
