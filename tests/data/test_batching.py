from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import Lanes, evaluation_windows, largest_batch_size
from throughtime.errors import ArgumentError

FEW = settings(max_examples=80)


@FEW
@given(
    length=st.integers(60, 300),
    batch_size=st.integers(1, 4),
    k1=st.integers(1, 9),
    more=st.integers(0, 20),
    epoch=st.integers(0, 3),
)
def test_windows_are_slices_of_the_text_that_follow_each_other(
    length: int, batch_size: int, k1: int, more: int, epoch: int
) -> None:
    text = np.arange(length)
    lanes = Lanes(text, batch_size=batch_size, k1=k1, k2=k1 + more, seed=3)
    windows = [lanes.batch(epoch, index) for index in range(len(lanes))]
    first = windows[0].targets[0] - 1
    for number, window in enumerate(windows):
        assert window.starts_sequence == (number == 0)
        assert len(window.inputs) == min((number + 1) * k1, k1 + more)
        assert torch.equal(window.inputs, window.inputs[:1] + torch.arange(len(window.inputs))[:, None])
        assert torch.equal(window.targets, window.inputs[-k1:] + 1)
        assert torch.equal(window.targets[0], first + number * k1 + 1)
    for one, two in itertools.pairwise(windows):
        assert torch.equal(one.inputs[0] + one.carry, two.inputs[0])
    # The lanes stand at equal distances and share no target.
    assert len(set(first.diff().tolist())) <= 1
    assert (first.diff() >= len(lanes) * k1).all()
    assert first.max() + len(lanes) * k1 < length
    # No more is left out than one window of each lane, and the shift.
    assert len(lanes) * k1 * batch_size > length - k1 * (batch_size + 1) - 1


def test_epochs_begin_at_different_places_and_can_be_made_again() -> None:
    text = np.arange(2000)
    lanes, again = (Lanes(text, batch_size=2, k1=50, seed=1) for _ in range(2))
    starts = [int(lanes.batch(epoch, 0).inputs[0, 0]) for epoch in range(20)]
    assert len(set(starts)) > 10
    assert all(0 <= start < 50 for start in starts)
    assert torch.equal(lanes.batch(7, 3).inputs, again.batch(7, 3).inputs)
    other = Lanes(text, batch_size=2, k1=50, seed=2)
    assert starts != [int(other.batch(epoch, 0).inputs[0, 0]) for epoch in range(20)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_together_see_what_one_sees_with_their_batches_joined(world_size: int) -> None:
    text = np.arange(997).astype(np.uint16)
    one = Lanes(text, batch_size=2 * world_size, k1=8, k2=11, seed=4)
    many = [
        Lanes(text, batch_size=2, k1=8, k2=11, seed=4, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert {len(lanes) for lanes in many} == {len(one)}
    for index in range(len(one)):
        joined = torch.cat([lanes.batch(1, index).inputs for lanes in many], dim=1)
        assert torch.equal(joined, one.batch(1, index).inputs)


def test_a_text_that_is_too_short_says_what_would_do() -> None:
    text = np.arange(100)
    assert largest_batch_size(100, 16) == 5
    assert len(Lanes(text, batch_size=5, k1=16)) == 1
    with pytest.raises(ArgumentError, match=r"100 tokens, too few for 6 lanes .*`batch_size` may be at most 5"):
        Lanes(text, batch_size=6, k1=16)
    with pytest.raises(ArgumentError, match="give at least 256 tokens or a shorter bptt"):
        Lanes(text, batch_size=1, k1=128)
    with pytest.raises(ArgumentError, match=r"too few for 9 lanes .*give at least 200 tokens"):
        Lanes(text, batch_size=1, k1=20, world_size=9)
    assert len(Lanes(np.arange(200), batch_size=1, k1=20, world_size=9)) == 1
    with pytest.raises(ArgumentError, match=r"`k2` must be at least `k1` \(4\), got 3"):
        Lanes(text, batch_size=1, k1=4, k2=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer, got 0"),
        ({"k1": -3}, "`k1` must be a positive integer, got -3"),
        ({"world_size": 0}, "`world_size` must be a positive integer, got 0"),
        ({"rank": 2, "world_size": 2}, r"`rank` must be a number in \[0, 2\), got 2"),
        ({"seed": -1}, r"`seed` must be a number in \[0, inf\), got -1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Lanes(np.arange(100), **{"batch_size": 2, "k1": 4, **arguments})


def test_there_are_no_windows_beyond_the_last() -> None:
    lanes = Lanes(np.arange(100), batch_size=2, k1=4)
    for index in (-1, len(lanes)):
        with pytest.raises(IndexError, match=f"`index` must be from 0 to {len(lanes) - 1}, got {index}"):
            lanes.batch(0, index)


@FEW
@given(length=st.integers(1, 400), batch_size=st.integers(1, 9), time=st.integers(1, 50), warm_up=st.integers(0, 20))
def test_evaluation_counts_every_token_after_the_first_once(
    length: int, batch_size: int, time: int, warm_up: int
) -> None:
    counted: list[int] = []
    for window in evaluation_windows(np.arange(length), batch_size=batch_size, time=time, warm_up=warm_up):
        counted.extend(window.targets[window.counts].tolist())
        assert torch.equal(window.targets[window.counts], window.inputs[window.counts] + 1)
    assert sorted(counted) == list(range(1, length))


def test_a_single_lane_is_the_text_as_it_stands() -> None:
    windows = list(evaluation_windows(np.arange(100), batch_size=1, time=30))
    assert torch.cat([window.inputs for window in windows])[:, 0].tolist() == list(range(99))
    assert [window.starts_sequence for window in windows] == [True, False, False, False]


def test_lanes_are_warmed_up_by_what_stands_before_them() -> None:
    windows = list(evaluation_windows(np.arange(1000), batch_size=4, time=2000, warm_up=50))
    (window,) = windows
    assert window.counts[0, 0]
    for lane in range(1, 4):
        first = int(window.counts[:, lane].nonzero()[0])
        assert first == 50
        # What it reads before is what stands there in the text.
        assert torch.equal(window.inputs[:51, lane], window.inputs[50, lane] + torch.arange(-50, 1))


def test_evaluation_refuses_numbers_that_cannot_be() -> None:
    for arguments in ({"batch_size": 0}, {"batch_size": 1, "time": 0}, {"batch_size": 1, "warm_up": -1}):
        with pytest.raises(ArgumentError, match=f"`{list(arguments)[-1]}` must be"):
            next(evaluation_windows(np.arange(9), **arguments))
