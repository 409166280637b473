"""Convolutional LSTM and GRU through time, backwards by hand; equations as in docs/backpropagation_through_time.md.

Of many steps at once are taken the input's convolution, the derivatives of the weights and that of the input. A step is
left with one convolution of the state forwards, one of the gates' derivatives backwards, and what is done to each
number alone, in place, a few places at a time that stay in a core's cache. The activated gates and the states are all
that is kept for the way back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
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

GROUP_BYTES = 12 * 2**20
"""Of the gates of the steps that are taken together."""
BLOCK_NUMBERS = 2**17
"""Of the gates of the places that are worked on together: half a megabyte of float32."""


class _Steps(ABC):
    """A cell's step on some places, forwards and backwards, on memory that is there already.

    All tensors have the shape (places, gates * hidden_size) or (places, hidden_size).

    Args:
        hidden_size: units of each place.
        peephole: three of shape (1, hidden_size) or (places, hidden_size); none where there are no peepholes.
    """

    def __init__(self, hidden_size: int, peephole: tuple[Tensor, ...]) -> None:
        self.hidden_size = hidden_size
        self.peephole = peephole

    @abstractmethod
    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        """Activate ``gates``, which hold the input's part, in place; write the new state into ``after``."""

    @abstractmethod
    def backward(
        self, gates: Tensor, recurrent: Tensor, before: State, after: State, gradient: State, found: Tensor
    ) -> None:
        """Take a step back.

        Args:
            gates: as ``forward`` left them.
            recurrent: as it came to ``forward``.
            before: the state before the step.
            after: the state after the step.
            gradient: of the state after the step; becomes that of the state before, but for what comes through the
                recurrent convolution.
            found: gets the derivative of the gates' sums, on the input's side.
        """


class _Lstm(_Steps):
    """Equations (6) to (14) of docs/backpropagation_through_time.md; gates: input, forget, candidate, output."""

    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> None:
        gates.add_(recurrent)
        i, f, g, o = gates.chunk(4, -1)
        hidden, cell = after
        if self.peephole:
            i.addcmul_(self.peephole[0], before[1])
            f.addcmul_(self.peephole[1], before[1])
        gates[..., : 2 * self.hidden_size].sigmoid_()
        g.tanh_()
        torch.mul(f, before[1], out=cell).addcmul_(i, g)
        if self.peephole:
            o.addcmul_(self.peephole[2], cell)
        o.sigmoid_()
        torch.tanh(cell, out=hidden).mul_(o)

    def backward(
        self, gates: Tensor, recurrent: Tensor, before: State, after: State, gradient: State, found: Tensor
    ) -> None:
        del recurrent  # is a part of the gates
        i, f, g, o = gates.chunk(4, -1)
        d_i, d_f, d_g, d_o = found.chunk(4, -1)
        d_hidden, d_cell = gradient
        squashed = torch.tanh(after[1])
        torch.mul(d_hidden, squashed, out=d_o)
        _back_through_sigmoid(d_o, o)  # (10)
        d_cell.add_(_aten.tanh_backward(d_hidden.mul_(o), squashed))  # (9)
        if self.peephole:
            d_cell.addcmul_(self.peephole[2], d_o)
        torch.mul(d_cell, g, out=d_i)
        torch.mul(d_cell, before[1], out=d_f)
        inner = 2 * self.hidden_size
        _back_through_sigmoid(found[..., :inner], gates[..., :inner])  # (11), (12)
        torch.mul(d_cell, i, out=d_g)
        _aten.tanh_backward.grad_input(d_g, g, grad_input=d_g)  # (13)
        d_cell.mul_(f)
        if self.peephole:
            d_cell.addcmul_(self.peephole[0], d_i).addcmul_(self.peephole[1], d_f)
        d_hidden.zero_()


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
    ) -> None:
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
        d_hidden.mul_(z)

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
        from_zero = direction.state is None
        state = zero_state(cell, sequence, weights) if direction.state is None else direction.state
        state = tuple([part.contiguous() for part in state])  # what is cut into blocks is written in place
        own = [weights.get(name) for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh", "weight_peephole")]
        results: Any = _ThroughTime.apply(
            STEPS[cell], direction.reverse, from_zero, sequence.values.contiguous(), *own, *state
        )
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
        values: Tensor,
        weight_ih: Tensor,
        bias_ih: Tensor | None,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        peephole: Tensor | None,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        weight_ih, weight_hh = channels_last(weight_ih), channels_last(weight_hh)
        blocks = _blocks(kind, initial[0], weight_hh, peephole)
        states = [part.new_empty(len(values), *part.shape) for part in initial]
        all_gates: list[Tensor] = []
        recurrents: list[Tensor] = []
        before: State = initial
        for steps in _groups(values, weight_hh, reverse=reverse):
            gates = product(values[steps.start : steps.stop], weight_ih, bias_ih).contiguous()
            for t in reversed(steps) if reverse else steps:
                if from_zero and before is initial:
                    recurrent = (gates.new_zeros(len(weight_hh)) if bias_hh is None else bias_hh).expand(
                        gates.shape[1:]
                    )
                else:
                    recurrent = product(before[0], weight_hh, bias_hh)
                after = tuple([part[t] for part in states])
                for own, *parts in blocks(gates[t - steps.start], recurrent, *before, *after):
                    own.forward(parts[0], parts[1], tuple(parts[2 : 2 + len(before)]), tuple(parts[2 + len(before) :]))
                recurrents += [recurrent] if kind is _Gru else []
                before = after
            all_gates.append(gates)
        ctx.kind, ctx.reverse, ctx.from_zero, ctx.kinds = kind, reverse, from_zero, len(initial)
        ctx.has_bias = bias_ih is not None, bias_hh is not None
        ctx.groups = len(all_gates)
        ctx.save_for_backward(values, weight_ih, weight_hh, peephole, *states, *initial, *all_gates, *recurrents)
        # What is given out is no view of what is kept.
        return (states[0], *(part.clone() for part in before[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, *d_final: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, weight_ih, weight_hh, peephole, *rest = ctx.saved_tensors
        kinds: int = ctx.kinds
        states, initial, rest = rest[:kinds], tuple(rest[kinds : 2 * kinds]), rest[2 * kinds :]
        all_gates, recurrents = rest[: ctx.groups], rest[ctx.groups :]
        blocks = _blocks(ctx.kind, initial[0], weight_hh, peephole)
        found = _Derivatives(values, weight_ih, weight_hh, peephole, ctx.has_bias, of_values=ctx.needs_input_grad[3])
        groups = _groups(values, weight_hh, reverse=ctx.reverse)
        gradient: State = (
            torch.zeros_like(initial[0]),
            *(part.clone(memory_format=torch.contiguous_format) for part in d_final),
        )
        place = len(values)
        for steps, gates in zip(reversed(groups), reversed(all_gates), strict=True):
            sums = torch.empty_like(gates)
            recurrent_sums = torch.empty_like(gates) if ctx.kind is _Gru else sums
            for t in steps if ctx.reverse else reversed(steps):
                place -= 1
                at, earlier = t - steps.start, t + 1 if ctx.reverse else t - 1
                before = tuple([part[earlier] for part in states]) if place else initial
                after = tuple([part[t] for part in states])
                gradient[0].add_(d_output[t])
                recurrent = recurrents[place] if recurrents else gates[at]
                for own, gate, product_, sum_, other, *parts in blocks(
                    gates[at], recurrent, sums[at], recurrent_sums[at], *before, *after, *gradient
                ):
                    split = [tuple(parts[first : first + kinds]) for first in range(0, 3 * kinds, kinds)]
                    own.backward(gate, product_, split[0], split[1], split[2], sum_)
                    if isinstance(own, _Gru):
                        own.write_recurrent(gate, sum_, other)
                if peephole is not None:
                    found.add_peephole(sums[at], before[1], after[1])
                if place or not ctx.from_zero:
                    gradient[0].add_(_convolution_backward(recurrent_sums[at], before[0], weight_hh, "values"))
            found.add_input(steps, sums)
            found.add_recurrent(steps, recurrent_sums, states[0], None if ctx.from_zero else initial[0], ctx.reverse)
        return None, None, None, *found.all(), *gradient


class _Derivatives:
    """Those of the weights and of the input, added up group by group."""

    def __init__(
        self,
        values: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        peephole: Tensor | None,
        has_bias: tuple[bool, bool],
        *,
        of_values: bool,
    ) -> None:
        self._values, self._weight_ih = values, weight_ih
        self.values = torch.empty_like(values) if of_values else None
        self.weight_ih, self.weight_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
        self.bias_ih, self.bias_hh = (weight_ih.new_zeros(len(weight_ih)) if has else None for has in has_bias)
        self.peephole = None if peephole is None else torch.zeros_like(peephole)

    def add_input(self, steps: range, sums: Tensor) -> None:
        """What some steps' sums on the input's side say."""
        values = self._values[steps.start : steps.stop]
        self.weight_ih += _convolution_backward(sums, values, self._weight_ih, "weight")
        if self.values is not None:
            self.values[steps.start : steps.stop] = _convolution_backward(sums, values, self._weight_ih, "values")
        if self.bias_ih is not None:
            self.bias_ih += sums.flatten(0, -2).sum(0)

    def add_recurrent(self, steps: range, sums: Tensor, outputs: Tensor, initial: Tensor | None, reverse: bool) -> None:
        """What some steps' sums on the recurrent side say; the state before the first step is zero if None."""
        shift = 1 if reverse else -1
        first, last = max(steps.start, -shift), min(steps.stop, len(outputs) - max(shift, 0))
        first = steps.start if reverse else first
        if last > first:
            before, own = outputs[first + shift : last + shift], sums[first - steps.start : last - steps.start]
            self.weight_hh += _convolution_backward(own, before, self.weight_hh, "weight")
        begins = len(outputs) - 1 if reverse else 0
        if initial is not None and begins in steps:
            self.weight_hh += _convolution_backward(sums[begins - steps.start], initial, self.weight_hh, "weight")
        if self.bias_hh is not None:
            self.bias_hh += sums.flatten(0, -2).sum(0)

    def add_peephole(self, sums: Tensor, before: Tensor, after: Tensor) -> None:
        """What a step's sums say, added up over rows and, where a channel has one weight, places."""
        if self.peephole is None:
            return
        axes = tuple(range(1 if self.peephole.ndim > 2 else sums.ndim - 1))
        d_i, d_f, _, d_o = sums.chunk(4, -1)
        for place, own in enumerate(((d_i * before), (d_f * before), (d_o * after))):
            self.peephole[place] += own.sum(axes)

    def all(self) -> tuple[Tensor | None, ...]:
        """In the order of the arguments."""
        return self.values, self.weight_ih, self.bias_ih, self.weight_hh, self.bias_hh, self.peephole


def _groups(values: Tensor, weight_hh: Tensor, *, reverse: bool) -> list[range]:
    """Steps that are taken together, in the order of the run.

    Their gates are in a piece of memory that the allocator uses again; a larger one it would ask of the system anew.
    """
    size = values[0, ..., 0].numel() * len(weight_hh) * values.element_size()
    count = max(1, GROUP_BYTES // max(size, 1))
    groups = [range(start, min(start + count, len(values))) for start in range(0, len(values), count)]
    return groups[::-1] if reverse else groups


def _blocks(
    kind: type[_Lstm | _Gru], state: Tensor, weight: Tensor, peephole: Tensor | None
) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """Make a function that cuts tensors of a step into blocks of places, and gives each the steps of its peepholes."""
    places, hidden_size = state[..., 0].numel(), state.shape[-1]
    rows = max(1, BLOCK_NUMBERS // len(weight)) if state.is_cpu else places
    flat: list[Tensor] = []
    if peephole is not None:
        flat = [
            (part if part.ndim == 1 else part.expand(len(state), *part.shape)).reshape(-1, hidden_size)
            for part in peephole
        ]
    steps = [
        kind(hidden_size, tuple([part[start : start + rows] if len(part) > 1 else part for part in flat]))
        for start in range(0, places, rows)
    ]

    def cut(*tensors: Tensor) -> Iterator[tuple[Any, ...]]:
        parts = [tensor.reshape(places, -1).split(rows) for tensor in tensors]
        return zip(steps, *parts, strict=True)

    return cut


def _convolution_backward(sums: Tensor, values: Tensor, weight: Tensor, of: str) -> Tensor:
    """The derivative of the values or of the weight, of one step or of several."""
    space = space_of(weight)
    lead = sums.shape[: -1 - space]
    ones, padding = [1] * space, [size // 2 for size in weight.shape[2:]]
    pictures = [channels_first(part.reshape(-1, *part.shape[-1 - space :])) for part in (sums, values)]
    wanted = [of == "values", of == "weight", False]
    found = _aten.convolution_backward(*pictures, weight, None, ones, padding, ones, False, [0] * space, 1, wanted)
    return found[0].movedim(1, -1).reshape(*lead, *values.shape[-1 - space :]) if of == "values" else found[1]
