"""Torch's own recurrent kernels (oneDNN, cuDNN, MPS, ATen), for the cells that they compute exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.cells import CELLS, Cell, State, Weights, projected
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.reference import zero_state
from throughtime.sequence import SequenceBatch

KERNELS: dict[Cell, Callable[..., Any]] = {
    CELLS["rnn_tanh"]: torch.rnn_tanh,
    CELLS["rnn_relu"]: torch.rnn_relu,
    CELLS["lstm"]: torch.lstm,
    projected(CELLS["lstm"]): torch.lstm,
    CELLS["gru"]: torch.gru,
}
WEIGHT_ORDER = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def refusal(cell: Cell, _sequence: SequenceBatch, directions: Sequence[Direction]) -> str | None:
    """Say why torch has no kernel for this cell with these weights and masks; None if it has one."""
    if cell not in KERNELS:
        return f"torch has no kernel for the cell {cell.name!r}"
    weights = directions[0].weights
    if ("bias_ih" in weights) != ("bias_hh" in weights):
        return "torch's kernels need both bias_ih and bias_hh or neither"
    if any(direction.regularised for direction in directions):
        return "torch's kernels know neither resets nor dropout or zoneout of the recurrent state"
    if any(direction.watches_gradients for direction in directions):
        return "torch's kernels neither clip nor record the gradients of the hidden states"
    return None


def run_torch(cell: Cell, sequence: SequenceBatch, direction: Direction) -> tuple[SequenceBatch, State]:
    """Run ``cell`` by torch's kernel; arguments and result are those of ``run_reference``.

    Rows of different lengths are packed; in reverse each row is turned around within its length.
    """
    weights, reverse = direction.weights, direction.reverse
    state = zero_state(cell, sequence, weights) if direction.state is None else direction.state
    values, lengths = sequence.values, sequence.lengths
    if lengths is None:
        values, state = _call(cell, values.flip(0) if reverse else values, None, state, weights)
        return SequenceBatch(values.flip(0) if reverse else values), state
    turn = _turning_index(lengths, values.shape[0]).to(values.device) if reverse else None
    values = values if turn is None else _turned(values, turn)
    is_sorted = bool((lengths[1:] <= lengths[:-1]).all())
    packed = pack_padded_sequence(values, lengths, enforce_sorted=is_sorted)
    if packed.sorted_indices is not None:
        state = tuple(part.index_select(0, packed.sorted_indices) for part in state)
    data, state = _call(cell, packed.data, packed.batch_sizes, state, weights)
    if packed.unsorted_indices is not None:
        state = tuple(part.index_select(0, packed.unsorted_indices) for part in state)
    values, _ = pad_packed_sequence(packed._replace(data=data), total_length=values.shape[0])
    return SequenceBatch(values if turn is None else _turned(values, turn), lengths), state


def _call(cell: Cell, data: Tensor, batch_sizes: Tensor | None, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Call the kernel for one layer and one direction; ``batch_sizes`` belongs to packed data."""
    flat = [weights[name] for name in WEIGHT_ORDER if name in weights]
    hidden = [part.unsqueeze(0) for part in state]
    initial = hidden if len(hidden) > 1 else hidden[0]
    # has_biases, num_layers, dropout, train, bidirectional, and for dense data batch_first
    options = ("bias_ih" in weights, 1, 0.0, torch.is_grad_enabled(), False)
    if batch_sizes is None:
        output, *final = KERNELS[cell](data, initial, flat, *options, False)
    else:
        output, *final = KERNELS[cell](data, batch_sizes, initial, flat, *options)
    return output, tuple(part.squeeze(0) for part in final)


def _turning_index(lengths: Tensor, time: int) -> Tensor:
    """Shape (time, batch): from where step t of a row comes when the row is turned around; padding stays."""
    steps = torch.arange(time).unsqueeze(1)
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def _turned(values: Tensor, index: Tensor) -> Tensor:
    """Turn each row around within its length."""
    return values.gather(0, index.unsqueeze(-1).expand_as(values))
