"""Which states to store and which segments to run again: binomial checkpointing of a sequence.

A sequence is cut into n segments. With c states stored at a time, the initial one among them, and no segment run
without a graph more than r times, at most

    beta(c, r) = (c + r)! / (c! r!)

segments can be gone back through (Griewank 1992, https://doi.org/10.1080/10556789208805505), and the least number of
segments that are run without a graph is, for beta(c, r - 1) < n <= beta(c, r),

    r n - beta(c + 1, r - 1)

(Griewank & Walther 2000, https://doi.org/10.1145/347837.347846, who also give where the states are stored). Each
segment is run once more with a graph. For recurrent networks the same recursion is that of Gruslys et al. (2016),
https://arxiv.org/abs/1606.03401, section 3.1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, comb

from throughtime.bptt.memory import SegmentCosts, format_bytes
from throughtime.errors import ArgumentError, check_positive_integer


@dataclass(frozen=True)
class CheckpointPlan:
    """How a sequence is gone back through.

    Attributes:
        length: steps of the sequence.
        segment: steps that are run at a time; the last segment may have fewer.
        checkpoints: states that are stored at a time, the initial one among them.
        memory: bytes at the most: the stored states and one segment with its graph.
        forward_steps: steps that are run forwards in all; ``length`` of them are run with a graph.
    """

    length: int
    segment: int
    checkpoints: int
    memory: int
    forward_steps: int

    @property
    def segments(self) -> int:
        """How many segments the sequence has."""
        return ceil(self.length / self.segment)


def plan_checkpoints(length: int, costs: SegmentCosts, memory_budget: int | None = None) -> CheckpointPlan:
    """Find the plan with the fewest steps run within a budget, or, for longer segments, with a twentieth more.

    Args:
        length: steps of the sequence.
        costs: what a segment and a state cost.
        memory_budget: bytes. With None no step is run forwards more than twice, in at most twice the least memory
            that this takes; the more memory, the longer and fewer the segments.

    Raises:
        ArgumentError: where the length is not a positive integer, or no plan keeps to the budget.
    """
    check_positive_integer("length", length)
    one_level = [
        _plan(length, segment, max(1, ceil(length / segment) - 1), costs) for segment in _segment_lengths(length)
    ]
    least = min(plan.memory for plan in one_level)
    if memory_budget is None:
        return max((plan for plan in one_level if plan.memory <= 2 * least), key=lambda plan: plan.segment)
    possible: list[CheckpointPlan] = []
    for whole in one_level:
        left = memory_budget - costs.fixed - costs.step * whole.segment
        checkpoints = min(whole.checkpoints, left // costs.state if costs.state else whole.checkpoints)
        if left >= 0 and checkpoints >= 1:
            possible.append(_plan(length, whole.segment, checkpoints, costs))
    if not possible:
        barely = _plan(length, 1, 1, costs).memory
        raise ArgumentError(
            f"`memory_budget` must be at least {format_bytes(barely)} for this network and batch, and "
            f"{format_bytes(least)} to run no step forwards more than twice; got {format_bytes(memory_budget)}"
        )
    fewest = min(plan.forward_steps for plan in possible)
    # A call costs something whatever its length, which is not known here.
    return max((plan for plan in possible if plan.forward_steps <= 1.05 * fewest), key=lambda plan: plan.segment)


def segments_run_again(segments: int, checkpoints: int) -> int:
    """The least number of segments that are run without a graph; one that is run so r times counts r times."""
    repetitions = _repetitions(segments, checkpoints)
    return repetitions * segments - _beta(checkpoints + 1, repetitions - 1)


def next_checkpoint(segments: int, checkpoints: int) -> int:
    """After how many segments to store the next state.

    Args:
        segments: at least 2, from the last stored state to the end of what is to be gone back through.
        checkpoints: states that may be stored for them, the one before them included; with 1 nothing is stored any
            more, and the way is all that is before the last segment.
    """
    if checkpoints == 1:
        return segments - 1
    repetitions = _repetitions(segments, checkpoints)
    return max(1, _beta(checkpoints, repetitions - 2), segments - _beta(checkpoints - 1, repetitions))


def _plan(length: int, segment: int, checkpoints: int, costs: SegmentCosts) -> CheckpointPlan:
    memory = costs.fixed + costs.step * segment + costs.state * checkpoints
    # The last segment, the only one that may be short, is never run without a graph.
    again = segment * segments_run_again(ceil(length / segment), checkpoints)
    return CheckpointPlan(length, segment, checkpoints, memory, length + again)


def _segment_lengths(length: int) -> Iterator[int]:
    """For each number of segments that there can be, the shortest length of a segment that makes it."""
    segment = 1
    while True:
        yield segment
        segments = ceil(length / segment)
        if segments == 1:
            return
        segment = ceil(length / (segments - 1))


def _repetitions(segments: int, checkpoints: int) -> int:
    """The least r with beta(checkpoints, r) >= segments."""
    high = 1
    while _beta(checkpoints, high) < segments:
        high *= 2
    return bisect_left(range(high + 1), segments, key=lambda repetitions: _beta(checkpoints, repetitions))


def _beta(checkpoints: int, repetitions: int) -> int:
    return comb(checkpoints + repetitions, checkpoints) if repetitions >= 0 else 0
