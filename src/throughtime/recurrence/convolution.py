"""Convolutional LSTM and GRU through time, backwards by hand; equations as in docs/backpropagation_through_time.md.

Of all steps at once are taken the input's convolution, the derivatives of the weights and that of the input. A step is
left with one convolution of the state forwards, one of the gates' derivatives backwards, and what is done to each
number alone, most of it in place. The activated gates and the states are all that is kept for the way back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from throughtime.cells import CELLS, Cell, State
from throughtime.cells.product import channels_first, channels_last, product, space_of
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.reference import zero_state
from throughtime.sequence import SequenceBatch

_aten: Any = torch.ops.aten


class _Steps(ABC):
    """A cell's step on pictures of units, forwards and backwards, on memory that is there already.

    Args:
        hidden_size: units of each place.
        peephole: shape (3, hidden_size) or (3, y, x, hidden_size), or None.
    """

    def __init__(self, hidden_size: int, peephole: Tensor | None) -> None:
        self.hidden_size = hidden_size
        self.peephole = peephole

    @abstractmethod
    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        """Activate ``gates``, which hold the input's part, in place; write the new state into ``after``."""

    @abstractmethod
    def backward(
        self, gates: Tensor, recurrent: Tensor, before: State, after: State, gradient: State, found: Tensor
    ) -> State:
        """Take a step back.

        Args:
            gates: as ``forward`` left them.
            recurrent: as it came to ``forward``.
            before: the state before the step.
            after: the state after the step.
            gradient: of the state after the step; is overwritten.
            found: gets the derivative of the gates' sums, on the input's side.

        Returns:
            The gradient of the state before the step, but for what comes through the recurrent convolution.
        """


class _Lstm(_Steps):
    """Equations (6) to (14) of docs/backpropagation_through_time.md; gates: input, forget, candidate, output."""

    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        gates.add_(recurrent)
        i, f, g, o = gates.chunk(4, -1)
        hidden, cell = after
        if self.peephole is not None:
            i.addcmul_(self.peephole[0], before[1])
            f.addcmul_(self.peephole[1], before[1])
        gates[..., : 2 * self.hidden_size].sigmoid_()
        g.tanh_()
        torch.mul(f, before[1], out=cell).addcmul_(i, g)
        if self.peephole is not None:
            o.addcmul_(self.peephole[2], cell)
        o.sigmoid_()
        torch.tanh(cell, out=hidden).mul_(o)

    def backward(
        self, gates: Tensor, recurrent: Tensor, before: State, after: State, gradient: State, found: Tensor
    ) -> State:
        del recurrent  # is a part of the gates
        i, f, g, o = gates.chunk(4, -1)
        d_i, d_f, d_g, d_o = found.chunk(4, -1)
        d_hidden, d_cell = gradient
        squashed = torch.tanh(after[1])
        torch.mul(d_hidden, squashed, out=d_o)
        _back_through_sigmoid(d_o, o)  # (10)
        d_cell.add_(_aten.tanh_backward(d_hidden.mul_(o), squashed))  # (9)
        if self.peephole is not None:
            d_cell.addcmul_(self.peephole[2], d_o)
        torch.mul(d_cell, g, out=d_i)
        torch.mul(d_cell, before[1], out=d_f)
        inner = 2 * self.hidden_size
        _back_through_sigmoid(found[..., :inner], gates[..., :inner])  # (11), (12)
        torch.mul(d_cell, i, out=d_g)
        _aten.tanh_backward.grad_input(d_g, g, grad_input=d_g)  # (13)
        d_cell.mul_(f)
        if self.peephole is not None:
            d_cell.addcmul_(self.peephole[0], d_i).addcmul_(self.peephole[1], d_f)
        return d_hidden.zero_(), d_cell


class _Gru(_Steps):
    """The gates stand in the order reset, update, candidate; of the candidate's two sides one is gated."""

    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        inner = 2 * self.hidden_size
        gates[..., :inner].add_(recurrent[..., :inner]).sigmoid_()
        r, z, n = gates.chunk(3, -1)
        n.addcmul_(r, recurrent[..., inner:]).tanh_()
        torch.sub(before[0], n, out=after[0]).mul_(z).add_(n)

    def backward(
        self, gates: Tensor, recurrent: Tensor, before: State, after: State, gradient: State, found: Tensor
    ) -> State:
        del after  # is not needed
        r, z, n = gates.chunk(3, -1)
        d_r, d_z, d_n = found.chunk(3, -1)
        (d_hidden,) = gradient
        torch.sub(before[0], n, out=d_z).mul_(d_hidden)
        _back_through_sigmoid(d_z, z)
        torch.sub(d_hidden, d_hidden * z, out=d_n)
        _aten.tanh_backward.grad_input(d_n, n, grad_input=d_n)
        torch.mul(d_n, recurrent[..., 2 * self.hidden_size :], out=d_r)
        _back_through_sigmoid(d_r, r)
        return (d_hidden.mul_(z),)

    def write_recurrent(self, gates: Tensor, found: Tensor, written: Tensor) -> None:
        """Write the derivative of the gates' sums on the recurrent side."""
        inner = 2 * self.hidden_size
        written[..., :inner] = found[..., :inner]
        torch.mul(found[..., inner:], gates[..., : self.hidden_size], out=written[..., inner:])


def _back_through_sigmoid(gradient: Tensor, activated: Tensor) -> None:
    _aten.sigmoid_backward.grad_input(gradient, activated, grad_input=gradient)


STEPS: dict[Cell, type[_Lstm | _Gru]] = {
    CELLS["lstm"]: _Lstm,
    CELLS["lstm_peephole_diagonal"]: _Lstm,
    CELLS["gru"]: _Gru,
}
"""The cells whose way back is told here."""


def refusal(cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]) -> str | None:
    """Say why this cell can't be run on this sequence here; None if it can."""
    if not space_of(directions[0].weights["weight_ih"]):
        return "it runs cells whose weights are convolutions"
    if cell not in STEPS:
        return f"the derivatives of the cell {cell.name!r} are not written down for convolutions"
    if sequence.lengths is not None or any(one.regularised or one.watches_gradients for one in directions):
        return "it runs whole batches of one length, without resets and without clipped or recorded gradients"
    if torch.compiler.is_compiling() or torch.is_autocast_enabled(sequence.values.device.type):
        return "it does not run in graphs or under autocast"
    return None


def run_convolution(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    """Run ``cell`` in all directions; values of shape (time, batch, y, x, feature) or (time, batch, x, feature)."""
    outputs: list[Tensor] = []
    final: list[State] = []
    for direction in directions:
        weights = direction.weights
        gates = product(sequence.values, weights["weight_ih"], weights.get("bias_ih"))
        from_zero = direction.state is None
        state = zero_state(cell, sequence, weights) if direction.state is None else direction.state
        recurrent = weights["weight_hh"], weights.get("bias_hh"), weights.get("weight_peephole")
        results: Any = _ThroughTime.apply(STEPS[cell], direction.reverse, from_zero, gates, *recurrent, *state)
        outputs.append(results[0])
        final.append((results[0][0 if direction.reverse else -1], *results[1:]))
    joined = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return SequenceBatch(joined), final


class _ThroughTime(torch.autograd.Function):
    """All steps of one direction; returns the outputs, and what of the final state is no output."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[_Lstm | _Gru],
        reverse: bool,
        from_zero: bool,
        gates: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        peephole: Tensor | None,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        steps, weight = kind(weight.shape[1], peephole), channels_last(weight)
        states = [part.new_empty(len(gates), *part.shape) for part in initial]
        order = _order(gates, reverse=reverse)
        recurrents: list[Tensor] = []
        before: State = initial
        for t in order:
            if from_zero and t == order[0]:
                recurrent = gates.new_zeros(len(weight)) if bias is None else bias
                recurrent = recurrent.expand(gates.shape[1:])
            else:
                recurrent = product(before[0], weight, bias)
            after = tuple([part[t] for part in states])
            steps.forward(gates[t], recurrent, before, after)
            recurrents += [recurrent] if isinstance(steps, _Gru) else []
            before = after
        ctx.kind, ctx.reverse, ctx.from_zero, ctx.has_bias = kind, reverse, from_zero, bias is not None
        ctx.save_for_backward(gates, weight, peephole, *states, *initial, *recurrents)
        # What is given out is no view of what is kept.
        return (states[0], *(part.clone() for part in before[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, *d_final: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gates, weight, peephole, *rest = ctx.saved_tensors
        count = 1 + len(d_final)
        states, initial, recurrents = rest[:count], tuple(rest[count : 2 * count]), rest[2 * count :]
        steps = ctx.kind(weight.shape[1], peephole)
        sums = torch.empty_like(gates)
        recurrent_sums = torch.empty_like(gates) if isinstance(steps, _Gru) else sums
        order = _order(gates, reverse=ctx.reverse)
        gradient: State = (torch.zeros_like(initial[0]), *(part.clone() for part in d_final))
        for place in reversed(range(len(order))):
            t = order[place]
            before = tuple([part[order[place - 1]] for part in states]) if place else initial
            after = tuple([part[t] for part in states])
            gradient[0].add_(d_output[t])
            recurrent = recurrents[place] if recurrents else gates[t]
            gradient = steps.backward(gates[t], recurrent, before, after, gradient, sums[t])
            if isinstance(steps, _Gru):
                steps.write_recurrent(gates[t], sums[t], recurrent_sums[t])
            if place or not ctx.from_zero:
                gradient[0].add_(_of_input(recurrent_sums[t], before[0], weight))
        befores = [_befores(part, first, reverse=ctx.reverse) for part, first in zip(states, initial, strict=True)]
        d_bias = recurrent_sums.sum(tuple(range(gates.ndim - 1))) if ctx.has_bias else None
        d_peephole = None if peephole is None else _of_peephole(sums, befores[1], states[1], peephole)
        d_weight = _of_weight(recurrent_sums, befores[0], weight)
        return None, None, None, sums, d_weight, d_bias, d_peephole, *gradient


def _order(gates: Tensor, *, reverse: bool) -> range:
    return range(len(gates) - 1, -1, -1) if reverse else range(len(gates))


def _befores(states: Tensor, initial: Tensor, *, reverse: bool) -> Tensor:
    """The state before each step, in the order of time."""
    first = initial.unsqueeze(0)
    return torch.cat([states[1:], first] if reverse else [first, states[:-1]])


def _of_input(d_sums: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    return _convolution_backward(d_sums, values, weight, 0).movedim(1, -1)


def _of_weight(d_sums: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    return _convolution_backward(d_sums.flatten(0, 1), values.flatten(0, 1), weight, 1)


def _of_peephole(d_sums: Tensor, before: Tensor, after: Tensor, peephole: Tensor) -> Tensor:
    """Sums over all steps, rows and, where a channel has one weight, places."""
    d_i, d_f, _, d_o = d_sums.chunk(4, -1)
    axes = tuple(range(2 if peephole.ndim > 2 else d_sums.ndim - 1))
    return torch.stack([(d_i * before).sum(axes), (d_f * before).sum(axes), (d_o * after).sum(axes)])


def _convolution_backward(d_sums: Tensor, values: Tensor, weight: Tensor, which: int) -> Tensor:
    """The derivative of the values (0) or of the weight (1)."""
    space = space_of(weight)
    ones, padding = [1] * space, [size // 2 for size in weight.shape[2:]]
    wanted = [which == 0, which == 1, False]
    return _aten.convolution_backward(
        channels_first(d_sums), channels_first(values), weight, None, ones, padding, ones, False, [0] * space, 1, wanted
    )[which]
