"""Torch's own recurrent kernels (oneDNN, cuDNN, MPS, ATen), for the cells that they compute exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.cells import CELLS, Cell, State, Weights, projected
from throughtime.cells.product import space_of
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
    if space_of(weights["weight_ih"]):
        return "torch's kernels take products with matrices, not convolutions"
    if ("bias_ih" in weights) != ("bias_hh" in weights):
        return "torch's kernels need both bias_ih and bias_hh or neither"
    return _refused_directions(directions)


def _refused_directions(directions: Sequence[Direction]) -> str | None:
    if any(direction.regularised for direction in directions):
        return "torch's kernels know neither resets nor dropout or zoneout of the recurrent state"
    if any(direction.watches_gradients for direction in directions):
        return "torch's kernels neither clip nor record the gradients of the hidden states"
    if len(directions) > 1 and [direction.reverse for direction in directions] != [False, True]:
        return "torch's kernels run one direction, or one forwards and one in reverse"
    return None


def run_torch(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    """Run ``cell`` by torch's kernel; arguments and result are those of ``run``.

    Rows of different lengths are packed. The kernels know a reverse direction only beside a forward one; alone, it
    runs forwards over rows that are turned around within their lengths.
    """
    if len(directions) > 1 or not directions[0].reverse:
        return _run_kernel(cell, sequence, directions)
    outputs, final = _run_kernel(cell, _turned(sequence), directions)
    return _turned(outputs), final


def _run_kernel(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    values, lengths = sequence.values, sequence.lengths
    states = [
        zero_state(cell, sequence, direction.weights) if direction.state is None else direction.state
        for direction in directions
    ]
    state = tuple(torch.stack(parts) for parts in zip(*states, strict=True))
    weights = [direction.weights for direction in directions]
    if lengths is None:
        values, state = _call(cell, values, None, state, weights)
    else:
        is_sorted = bool((lengths[1:] <= lengths[:-1]).all())
        packed = pack_padded_sequence(values, lengths, enforce_sorted=is_sorted)
        if packed.sorted_indices is not None:
            state = tuple(part.index_select(1, packed.sorted_indices) for part in state)
        data, state = _call(cell, packed.data, packed.batch_sizes, state, weights)
        if packed.unsorted_indices is not None:
            state = tuple(part.index_select(1, packed.unsorted_indices) for part in state)
        values, _ = pad_packed_sequence(packed._replace(data=data), total_length=values.shape[0])
    return SequenceBatch(values, lengths), list(zip(*(part.unbind(0) for part in state), strict=True))


def _call(
    cell: Cell, data: Tensor, batch_sizes: Tensor | None, state: State, weights: Sequence[Weights]
) -> tuple[Tensor, State]:
    """Call the kernel for one layer; ``batch_sizes`` belongs to packed data, a state has a row for each direction."""
    if data.is_cuda:
        weights = _in_one_block(weights)
    flat = [own[name] for own in weights for name in WEIGHT_ORDER if name in own]
    initial: Any = state[0] if len(cell.states) == 1 else state
    # has_biases, num_layers, dropout, train, bidirectional, and for dense data batch_first
    options = ("bias_ih" in weights[0], 1, 0.0, torch.is_grad_enabled(), len(weights) > 1)
    if batch_sizes is None:
        output, *final = KERNELS[cell](data, initial, flat, *options, False)
    else:
        output, *final = KERNELS[cell](data, batch_sizes, initial, flat, *options)
    return output, tuple(final)


def _in_one_block(weights: Sequence[Weights]) -> list[dict[str, Tensor]]:
    """Copy the weights to where cuDNN wants them: the matrices of all directions, then their biases.

    It would copy them by itself, and warn. torch.nn's layers keep their parameters in such a block, which safetensors
    then refuses to save.
    """
    places = [(own, name) for own in range(len(weights)) for name in WEIGHT_ORDER if name in weights[own]]
    places.sort(key=lambda place: place[1].startswith("bias"))
    parts = [weights[own][name] for own, name in places]
    block = torch.cat([part.reshape(-1) for part in parts]).split([part.numel() for part in parts])
    copies: list[dict[str, Tensor]] = [{} for _ in weights]
    for (own, name), part, copy in zip(places, parts, block, strict=True):
        copies[own][name] = copy.view_as(part)
    return copies


def _turned(sequence: SequenceBatch) -> SequenceBatch:
    """Turn each row around within its length; the padding stays."""
    values, lengths = sequence.values, sequence.lengths
    if lengths is None:
        return SequenceBatch(values.flip(0))
    steps = torch.arange(values.shape[0]).unsqueeze(1)
    index = torch.where(steps < lengths, lengths - 1 - steps, steps).to(values.device)
    return SequenceBatch(values.gather(0, index.unsqueeze(-1).expand_as(values)), lengths)
