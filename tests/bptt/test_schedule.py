from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.bptt import CheckpointPlan, SegmentCosts, plan_checkpoints
from throughtime.bptt.schedule import next_checkpoint, segments_run_again
from throughtime.errors import ArgumentError


@cache
def least_by_search(segments: int, checkpoints: int) -> int:
    """The recursion of Gruslys et al. (2016), section 3.1, over all places of the next stored state."""
    if segments == 1:
        return 0
    if checkpoints == 1:
        return segments * (segments - 1) // 2
    return min(
        first + least_by_search(segments - first, checkpoints - 1) + least_by_search(first, checkpoints)
        for first in range(1, segments)
    )


def counted(segments: int, checkpoints: int) -> int:
    """How many segments are run without a graph where states are stored at the places that the schedule names."""
    total = 0
    while segments > 1:
        first = next_checkpoint(segments, checkpoints)
        assert 1 <= first < segments
        if checkpoints > 1:
            total += first + counted(segments - first, checkpoints - 1)
            segments = first
        else:
            total += first
            segments -= 1
    return total


@pytest.mark.parametrize("checkpoints", range(1, 12))
def test_no_schedule_runs_fewer_segments(checkpoints: int) -> None:
    for segments in range(1, 45):
        least = least_by_search(segments, checkpoints)
        assert segments_run_again(segments, checkpoints) == least
        assert counted(segments, checkpoints) == least


costs = st.builds(SegmentCosts, fixed=st.integers(0, 500), step=st.integers(1, 90), state=st.integers(0, 60))


def memory(plan: CheckpointPlan, of: SegmentCosts) -> int:
    return of.fixed + of.step * plan.segment + of.state * plan.checkpoints


@given(length=st.integers(1, 60), of=costs, budget=st.integers(1, 7000))
@settings(max_examples=150)
def test_a_plan_keeps_to_its_budget_and_runs_hardly_more_steps_than_it_must(
    length: int, of: SegmentCosts, budget: int
) -> None:
    possible = [
        length + segment * least_by_search(-(-length // segment), checkpoints)
        for segment in range(1, length + 1)
        for checkpoints in range(1, 12)
        if of.fixed + of.step * segment + of.state * checkpoints <= budget
    ]
    if not possible:
        with pytest.raises(ArgumentError, match="`memory_budget` must be at least"):
            plan_checkpoints(length, of, budget)
        return
    plan = plan_checkpoints(length, of, budget)
    assert plan.memory == memory(plan, of) <= budget
    assert plan.forward_steps <= 1.05 * min(possible)


@given(length=st.integers(1, 400), of=costs)
@settings(max_examples=100)
def test_without_a_budget_no_step_is_run_more_than_twice(length: int, of: SegmentCosts) -> None:
    plan = plan_checkpoints(length, of)
    assert plan.forward_steps == length + plan.segment * (plan.segments - 1) < 2 * length
    least = min(
        of.fixed + of.step * segment + of.state * max(1, -(-length // segment) - 1) for segment in range(1, length + 1)
    )
    assert plan.memory == memory(plan, of) <= 2 * least


def test_memory_grows_with_the_square_root_of_the_time() -> None:
    of = SegmentCosts(fixed=0, step=100, state=25)
    short, long = plan_checkpoints(10_000, of), plan_checkpoints(1_000_000, of)
    assert long.memory == pytest.approx(10 * short.memory, rel=0.02)
    # With one more run of each step, or a twentieth more than that, it grows with the cube root.
    assert plan_checkpoints(1_000, of, 2_500).forward_steps < 3.15 * 1_000
    assert plan_checkpoints(1_000_000, of, 25_000).forward_steps < 3.15 * 1_000_000


def test_a_budget_that_cannot_be_met_says_what_would_do() -> None:
    of = SegmentCosts(fixed=1_000_000, step=30_000, state=4_000)
    message = (
        r"`memory_budget` must be at least 1.04 MB for this network and batch, and 1.69 MB to run no step forwards "
        r"more than twice; got 900 kB"
    )
    with pytest.raises(ArgumentError, match=message):
        plan_checkpoints(1000, of, 900_000)
    barely = plan_checkpoints(1000, of, 1_034_000)
    assert (barely.segment, barely.checkpoints) == (1, 1)


@pytest.mark.parametrize("length", [0, 2.5])
def test_a_sequence_has_a_length(length: Any) -> None:
    with pytest.raises(ArgumentError, match="`length` must be a positive integer"):
        plan_checkpoints(length, SegmentCosts(0, 1, 1))
