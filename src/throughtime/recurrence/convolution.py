"""Cells through time whose products are convolutions, backwards by hand; docs/backpropagation_through_time.md.

Of many steps at once are taken the input's convolution, the derivatives of the weights and that of the input. A step is
left with one convolution of the state forwards, and one of the gates' derivatives backwards; what else a step is, the
native core does at the places that it has just convolved, while their sums are in a core's cache. The activated gates
and the states are all that is kept for the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from throughtime._core import PlaceStep, cells_at_places
from throughtime.cells import CELLS, Cell, State
from throughtime.cells.product import space_of
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.filters import Filters, filters_of
from throughtime.recurrence.passes import KERNELS
from throughtime.recurrence.reference import zero_state
from throughtime.sequence import SequenceBatch

GROUP_BYTES = 12 * 2**20
"""Of the gates of the steps that are taken together."""

ADDS_SIDES = {CELLS[name]: adds for name, adds in cells_at_places().items()}
"""The cells that run here, and whether they add up what their gates see of the input's and of the recurrent side."""


def refusal(cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]) -> str | None:
    """Say why this cell can't be run on this sequence here; None if it can."""
    weight = directions[0].weights["weight_ih"]
    if not space_of(weight):
        return "it runs cells whose weights are convolutions"
    if cell not in ADDS_SIDES:
        return f"a step of the cell {cell.name!r} is more than one convolution of the state"
    if not weight.is_cpu or weight.dtype not in {torch.float32, torch.float64}:
        return "it runs float32 and float64 on a CPU"
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
        state = tuple([part.contiguous() for part in state])
        own = [weights.get(name) for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh", "weight_peephole")]
        results: Any = _ThroughTime.apply(
            _Run(cell, direction.reverse, from_zero, torch.is_grad_enabled()),
            sequence.values.contiguous(),
            *own,
            *state,
        )
        outputs.append(results[0])
        final.append((results[0][0 if direction.reverse else -1], *results[1:]))
    joined = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return SequenceBatch(joined), final


class _Run(NamedTuple):
    """How a cell runs in one direction.

    Attributes:
        cell: which.
        reverse: from the last step to the first.
        from_zero: the state before the first step is zero.
        keeps: what the way back needs is kept.
    """

    cell: Cell
    reverse: bool
    from_zero: bool
    keeps: bool


class _ThroughTime(torch.autograd.Function):
    """All steps of one direction; returns the outputs, and what of the final state is no output."""

    @staticmethod
    def forward(
        ctx: Any,
        run: _Run,
        values: Tensor,
        weight_ih: Tensor,
        bias_ih: Tensor | None,
        weight_hh: Tensor,
        bias_hh: Tensor | None,
        peephole: Tensor | None,
        *initial: Tensor,
    ) -> tuple[Tensor, ...]:
        of_input, of_state = filters_of(weight_ih), filters_of(weight_hh)
        adds_sides = ADDS_SIDES[run.cell]
        bias = bias_ih if bias_hh is None or not adds_sides else bias_hh + (0 if bias_ih is None else bias_ih)
        steps = _Steps(run.cell, peephole)
        states = [part.new_empty(len(values), *part.shape) for part in initial]
        all_gates: list[Tensor] = []
        recurrents: list[Tensor] = []
        before: State = initial
        for group in _groups(values, weight_hh, reverse=run.reverse):
            gates = of_input.product(values[group.start : group.stop], bias)
            for t in reversed(group) if run.reverse else group:
                recurrent = gate = gates[t - group.start]
                if not adds_sides:
                    recurrent = torch.zeros_like(gate) if bias_hh is None else bias_hh.expand(gate.shape).clone()
                    recurrents += [recurrent] if run.keeps else []
                after = tuple([part[t] for part in states])
                step = steps.forward(gate, recurrent, before, after)
                if run.from_zero and before is initial:
                    step.run()
                else:
                    of_state.add_product(before[0], recurrent, step)
                before = after
            all_gates += [gates] if run.keeps else []
        ctx.run, ctx.kinds = run, len(initial)
        ctx.has_bias = bias_ih is not None, bias_hh is not None
        ctx.groups = len(all_gates)
        ctx.filters = of_input, of_state
        ctx.save_for_backward(values, weight_ih, weight_hh, peephole, *states, *initial, *all_gates, *recurrents)
        # What is given out is no view of what is kept.
        return (states[0], *(part.clone() for part in before[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, *d_final: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, _, weight_hh, peephole, *rest = ctx.saved_tensors
        kinds: int = ctx.kinds
        run: _Run = ctx.run
        states, initial, rest = rest[:kinds], tuple(rest[kinds : 2 * kinds]), rest[2 * kinds :]
        all_gates, recurrents = rest[: ctx.groups], rest[ctx.groups :]
        of_input, of_state = ctx.filters
        found = _Derivatives(values, of_input, of_state, peephole, ctx.has_bias, of_values=ctx.needs_input_grad[1])
        steps, d_output = _Steps(run.cell, peephole), d_output.contiguous()
        groups = _groups(values, weight_hh, reverse=run.reverse)
        gradient: State = (
            torch.zeros_like(initial[0]),
            *(part.clone(memory_format=torch.contiguous_format) for part in d_final),
        )
        place = len(values)
        later: Tensor | None = None
        for group, gates in zip(reversed(groups), reversed(all_gates), strict=True):
            sums = torch.empty_like(gates)
            recurrent_sums = torch.empty_like(gates) if recurrents else sums
            for t in group if run.reverse else reversed(group):
                place -= 1
                at, earlier = t - group.start, t + 1 if run.reverse else t - 1
                before = tuple([part[earlier] for part in states]) if place else initial
                after = tuple([part[t] for part in states])
                recurrent = recurrents[place] if recurrents else gates[at]
                step = steps.forward(gates[at], recurrent, before, after)
                steps.turn_back(step, d_output[t], gradient, sums[at], recurrent_sums[at])
                if later is None:
                    step.run()
                else:
                    of_state.add_values_derivative(later, gradient[0], step)
                later = recurrent_sums[at]
                if peephole is not None:
                    found.add_peephole(sums[at], before[1], after[1])
            found.add_input(group, sums)
            found.add_recurrent(group, recurrent_sums, states[0], None if run.from_zero else initial[0], run.reverse)
        if later is not None and not run.from_zero:
            of_state.add_values_derivative(later, gradient[0])
        return None, *found.all(), *gradient


class _Steps:
    """What the native core needs to take a step of a cell at all places.

    Args:
        cell: one of ``ADDS_SIDES``.
        peephole: shape (3, hidden_size) or (3, *space, hidden_size); None where there are no peepholes.
    """

    def __init__(self, cell: Cell, peephole: Tensor | None) -> None:
        self._number = KERNELS[cell].number
        self._peephole = None if peephole is None else peephole.contiguous()

    def forward(self, gates: Tensor, recurrent: Tensor, before: State, after: State) -> PlaceStep:
        """A step that activates ``gates``, which hold a side or the sum, in place, and writes the state after it.

        Args:
            gates: of the input's side, shape (batch, *space, gates * hidden_size).
            recurrent: of the recurrent side; the same tensor where the cell adds the sides.
            before: the states, shape (batch, *space, hidden_size).
            after: the states, which are written.
        """
        units = after[0].shape[-1]
        step = PlaceStep(
            cell=self._number,
            double_precision=gates.dtype == torch.float64,
            places=after[0].numel() // units,
            units=units,
            threads=torch.get_num_threads(),
        )
        step.set_gates(gates.data_ptr(), recurrent.data_ptr())
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            step.set_state(place, old.data_ptr(), new.data_ptr())
        if self._peephole is not None:
            step.set_diagonals(self._peephole.data_ptr(), self._peephole[0].numel() // units)
        return step

    def turn_back(
        self, step: PlaceStep, d_output: Tensor, d_state: State, d_gates: Tensor, d_recurrent: Tensor
    ) -> None:
        """Make it the way back of a step that was taken.

        Args:
            step: whose tensors are as its way forwards left them.
            d_output: what comes to the output from outside.
            d_state: of the states after the step; becomes that of the states before, but for what comes through the
                recurrent convolution.
            d_gates: gets the derivative of the gates' sums, on the input's side.
            d_recurrent: gets that on the recurrent side.
        """
        step.set_output_gradient(d_output.data_ptr())
        for place, part in enumerate(d_state):
            step.set_state_gradient(place, part.data_ptr())
        step.set_gate_gradients(d_gates.data_ptr(), d_recurrent.data_ptr())


class _Derivatives:
    """Those of the weights and of the input, added up group by group."""

    def __init__(
        self,
        values: Tensor,
        of_input: Filters,
        of_state: Filters,
        peephole: Tensor | None,
        has_bias: tuple[bool, bool],
        *,
        of_values: bool,
    ) -> None:
        self._values, self._of_input, self._of_state = values, of_input, of_state
        weight_ih, weight_hh = of_input.weight, of_state.weight
        self.values = torch.empty_like(values) if of_values else None
        self.weight_ih, self.weight_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
        self.bias_ih, self.bias_hh = (weight_ih.new_zeros(len(weight_ih)) if has else None for has in has_bias)
        self.peephole = None if peephole is None else torch.zeros_like(peephole)

    def add_input(self, steps: range, sums: Tensor) -> None:
        """What some steps' sums on the input's side say."""
        values = self._values[steps.start : steps.stop]
        self.weight_ih += self._of_input.weight_derivative(values, sums)
        if self.values is not None:
            self.values[steps.start : steps.stop] = self._of_input.values_derivative(sums)
        if self.bias_ih is not None:
            self.bias_ih += sums.flatten(0, -2).sum(0)

    def add_recurrent(self, steps: range, sums: Tensor, outputs: Tensor, initial: Tensor | None, reverse: bool) -> None:
        """What some steps' sums on the recurrent side say; the state before the first step is zero if None."""
        shift = 1 if reverse else -1
        first, last = max(steps.start, -shift), min(steps.stop, len(outputs) - max(shift, 0))
        first = steps.start if reverse else first
        if last > first:
            before, own = outputs[first + shift : last + shift], sums[first - steps.start : last - steps.start]
            self.weight_hh += self._of_state.weight_derivative(before, own)
        begins = len(outputs) - 1 if reverse else 0
        if initial is not None and begins in steps:
            self.weight_hh += self._of_state.weight_derivative(initial, sums[begins - steps.start])
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
