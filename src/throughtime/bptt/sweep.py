"""The way through the segments of a sequence: forwards, where states are stored, and back from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from throughtime.bptt.replay import RandomState, autocast_as_now, random_numbers_kept
from throughtime.bptt.schedule import CheckpointPlan, next_checkpoint
from throughtime.bptt.segment import Part, Segment, accumulate, is_differentiable
from throughtime.bptt.state import map_tensors, tensors_of, with_tensors
from throughtime.errors import ArgumentError


@dataclass(frozen=True)
class Checkpoint:
    """A stored state: before which segment, the state, and the random numbers that come after it."""

    segment: int
    state: Any
    random: RandomState


class Rows:
    """Room for stored states, one block for all that are stored of a tensor.

    Allocated one by one, they would come to lie in what each segment has just freed, so that the next segment does
    not fit there any more, and the process would grow with every segment.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._blocks: dict[int, Tensor] = {}

    def copy(self, row: int, index: int, tensor: Tensor) -> Tensor:
        """Copy a tensor, the ``index``-th of a state, into a row of its block."""
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = tensor.new_empty((self._count, *tensor.shape))
        if (block.shape[1:], block.dtype, block.device) != (tensor.shape, tensor.dtype, tensor.device):
            return tensor.clone()
        return block[row].copy_(tensor)


class Sweep:
    """The segments of one call, forwards and back.

    Args:
        part: what is run.
        sequences: of shape (time, ...).
        state: the state before the sequence, detached.
        plan: the length of a segment, and how many states are stored.
        weights: the leaves that ``part`` reads.
        is_sum: whether results of segments are added, instead of standing one after the other in time.
        keep_graph: whether ``part`` reads a graph from outside, which all segments need.

    Attributes:
        final_state: the state after the sequence, once it has been run.
    """

    def __init__(
        self,
        part: Part,
        sequences: tuple[Tensor, ...],
        state: Any,
        plan: CheckpointPlan,
        weights: Sequence[Tensor],
        *,
        is_sum: bool,
        keep_graph: bool,
    ) -> None:
        self.part = part
        self.sequences = [sequence.detach() for sequence in sequences]
        self.plan = plan
        self.weights = weights
        self.is_sum = is_sum
        self.keep_graph = keep_graph
        self.final_state: Any = None
        self.needs: Sequence[bool] = ()
        self.tensors = [*self.sequences, *tensors_of(state), *weights]
        self.autocast = autocast_as_now(self.tensors)
        self.start = Checkpoint(0, state, RandomState.now(self.tensors))
        self.given = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(state)}
        self.stored = [self.start]
        self.rows = Rows(plan.checkpoints - 1)
        self.last: Segment | None = None

    def forward(self, needs: Sequence[bool]) -> Tensor:
        """Run all segments, the last with a graph where a gradient is needed; set ``final_state``."""
        self.needs = needs
        result: Tensor | None = None

        def visit(number: int, of_segment: Tensor) -> None:
            nonlocal result
            of_segment = of_segment.detach()
            if self.is_sum:
                result = of_segment if result is None else result + of_segment
            else:
                if result is None:
                    result = of_segment.new_empty((self.plan.length, *of_segment.shape[1:]))
                result[self._steps(number)] = of_segment

        last = self.plan.segments - 1
        if any(needs):
            self.last = self._with_graph(self._come_to(last, visit))
            visit(last, self.last.result)
            # Copied, as it might lie in a segment's outputs, or in a row that another state comes to.
            self.final_state = map_tensors(
                lambda tensor: tensor.detach() if self._is_given(tensor) else tensor.detach().clone(), self.last.state
            )
        else:
            self.final_state = self._advance(self.start, last + 1, visit).state
        torch.clear_autocast_cache()  # of casts made without a graph
        assert result is not None  # noqa: S101 - there is at least one segment
        return result

    def backward(self, result_gradient: Tensor | None, state_gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Go back through all segments; give the gradients of the sequences, the first state and the weights."""
        count = len(self.sequences)
        totals: list[Tensor | None] = [None] * len(self.weights)
        whole = [
            torch.zeros_like(sequence) if need else None
            for sequence, need in zip(self.sequences, self.needs[:count], strict=True)
        ]
        carried = list(state_gradients)
        with random_numbers_kept(self.tensors), self.autocast():
            for number in reversed(range(self.plan.segments)):
                steps = self._steps(number)
                own = result_gradient if self.is_sum or result_gradient is None else result_gradient[steps]
                carried = self._go_back(number, own, carried, [g if g is None else g[steps] for g in whole], totals)
        self.rows = Rows(self.plan.checkpoints - 1)
        return [*whole, *carried, *totals]

    def _go_back(
        self,
        number: int,
        result_gradient: Tensor | None,
        state_gradients: Sequence[Tensor | None],
        of_sequences: Sequence[Tensor | None],
        totals: list[Tensor | None],
    ) -> list[Tensor | None]:
        """Go back through a segment: fill in the gradients of its steps, add to the totals, give those of the state."""
        segment, self.last = self.last or self._with_graph(self._come_to(number)), None
        self._check_weights(segment)
        of_leaves, of_weights = segment.gradients(
            result_gradient, state_gradients, self.weights, keep_graph=self.keep_graph
        )
        del segment
        accumulate(totals, of_weights)
        count = len(self.sequences)
        for gradient, of_segment in zip(of_sequences, of_leaves[:count], strict=True):
            if gradient is not None and of_segment is not None:
                gradient.copy_(of_segment)
        if self.stored[-1].segment == number > 0:
            self.stored.pop()
        return of_leaves[count:]

    def _steps(self, number: int) -> slice:
        return slice(number * self.plan.segment, (number + 1) * self.plan.segment)

    def _slices(self, number: int) -> tuple[Tensor, ...]:
        return tuple(sequence[self._steps(number)] for sequence in self.sequences)

    def _come_to(self, number: int, visit: Callable[[int, Tensor], None] | None = None) -> Checkpoint:
        """Go on from the last stored state to the start of a segment and store states on the way."""
        while True:
            nearest = self.stored[-1]
            remaining = number + 1 - nearest.segment
            if remaining == 1:
                return nearest
            free = self.plan.checkpoints - len(self.stored) + 1
            here = self._advance(nearest, nearest.segment + next_checkpoint(remaining, free), visit)
            if free == 1:
                return here
            self.stored.append(self._copy(here, nearest))

    def _copy(self, here: Checkpoint, nearest: Checkpoint) -> Checkpoint:
        """Copy a state and its random numbers to where states are stored."""
        row = len(self.stored) - 1  # the first state is the caller's
        copies = [
            tensor if self._is_given(tensor) else self.rows.copy(row, index, tensor)
            for index, tensor in enumerate(tensors_of(here.state))
        ]
        random = here.random
        if random is not nearest.random:
            states = [self.rows.copy(row, -1 - index, state) for index, state in enumerate(random.states)]
            random = replace(random, states=tuple(states))
        return Checkpoint(here.segment, with_tensors(here.state, copies), random)

    def _is_given(self, tensor: Tensor) -> bool:
        """Whether a tensor of a state is one of the first state's, handed on as it is."""
        return tensor.untyped_storage().data_ptr() in self.given

    def _advance(self, start: Checkpoint, stop: int, visit: Callable[[int, Tensor], None] | None) -> Checkpoint:
        """Run segments without a graph."""
        start.random.restore()
        state = start.state
        torch.clear_autocast_cache()  # of casts that have a graph
        with torch.no_grad():
            for number in range(start.segment, stop):
                result, after = self.part(self._slices(number), state)
                state = _alone(after, state)
                if visit:
                    visit(number, result)
                del result, after
        return Checkpoint(stop, state, RandomState.now(self.tensors, start.random))

    def _with_graph(self, start: Checkpoint) -> Segment:
        start.random.restore()
        count = len(self.sequences)
        state = tensors_of(start.state)
        of_state = (
            self.needs[count : count + len(state)]
            if start.segment == 0
            else [is_differentiable(tensor) for tensor in state]
        )
        return Segment(self.part, self._slices(start.segment), start.state, [*self.needs[:count], *of_state])

    def _check_weights(self, segment: Segment) -> None:
        known = {id(weight) for weight in self.weights}
        unknown = [weight for key, weight in segment.graph()[0].items() if key not in known]
        if unknown:
            shapes = ", ".join(str(tuple(weight.shape)) for weight in unknown)
            raise ArgumentError(
                f"`run` must read all its weights in its first steps, or their gradients would be lost; later it also "
                f"reads weights of shape {shapes}"
            )


def _alone(state: Any, before: Any) -> Any:
    """Copy what would keep more than itself alive, such as a state that is a view of all outputs."""
    kept = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(before)}

    def alone(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        is_whole = storage.nbytes() <= tensor.nbytes or storage.data_ptr() in kept
        return tensor.detach() if is_whole else tensor.detach().clone()

    return map_tensors(alone, state)
