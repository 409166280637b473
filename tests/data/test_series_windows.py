from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data.series_windows import SeriesStore, SeriesWindows
from throughtime.errors import ArgumentError


def numbered(*lengths: int) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Series whose values tell their number and step: 1000 * number + step, and its negative."""
    return [np.stack([1000.0 * n + np.arange(x), -np.arange(float(x))], axis=1) for n, x in enumerate(lengths)]


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    length=st.integers(1, 12),
    stride=st.integers(1, 5),
    lead=st.integers(0, 4),
    beyond=st.integers(0, 4),
    epoch=st.integers(0, 3),
)
def test_windows_show_what_the_series_has_there(
    lengths: list[int], length: int, stride: int, lead: int, beyond: int, epoch: int
) -> None:
    series = numbered(*lengths)
    if max(lengths) + lead + beyond < length:
        with pytest.raises(ArgumentError, match="`length` must be at most"):
            SeriesWindows(SeriesStore(series), length=length, stride=stride, lead=lead, beyond=beyond)
        return
    windows = SeriesWindows(SeriesStore(series), length=length, stride=stride, lead=lead, beyond=beyond, batch_size=3)
    for index in range(len(windows)):
        batch = windows.batch(epoch, index)
        for place, (number, begin) in enumerate(zip(batch.series.tolist(), batch.begin.tolist(), strict=True)):
            assert -lead <= begin <= lengths[number] + beyond - length
            steps = np.arange(begin, begin + length)
            inside = (steps >= 0) & (steps < lengths[number])
            assert batch.valid[:, place].tolist() == inside.tolist()
            expected = series[number][steps.clip(0, lengths[number] - 1)]
            np.testing.assert_array_equal(batch.values[:, place].numpy(), expected)
        again = windows.batch(epoch, index)
        assert torch.equal(batch.values, again.values)


def test_with_a_stride_of_one_each_window_comes_once_an_epoch() -> None:
    windows = SeriesWindows(SeriesStore(numbered(9, 5)), length=4, batch_size=2)
    seen = Counter(
        (int(number), int(begin))
        for index in range(len(windows))
        for number, begin in zip(windows.batch(1, index).series, windows.batch(1, index).begin, strict=True)
    )
    assert seen == Counter([(0, begin) for begin in range(6)] + [(1, begin) for begin in range(2)])


def test_a_stride_begins_elsewhere_in_each_epoch_and_most_limits_it() -> None:
    windows = SeriesWindows(SeriesStore(numbered(200)), length=10, stride=7, batch_size=100, most=20)
    begins = [set(windows.batch(epoch, 0).begin.tolist()) for epoch in range(20)]
    assert all(len(own) == 20 for own in begins)
    assert len({min(begin % 7 for begin in own if begin < 190) for own in begins}) > 3


def test_processes_share_the_windows_of_a_batch() -> None:
    parts = [
        SeriesWindows(SeriesStore(numbered(20)), length=3, batch_size=2, rank=rank, world_size=2) for rank in range(2)
    ]
    whole = SeriesWindows(SeriesStore(numbered(20)), length=3, batch_size=4)
    for index in range(len(whole)):
        joined = [begin for part in parts for begin in part.batch(0, index).begin.tolist()]
        assert sorted(joined) == sorted(whole.batch(0, index).begin.tolist())


def test_before_a_series_stands_its_first_season() -> None:
    store = SeriesStore(numbered(6, 2), season=3)
    found = store.windows(torch.tensor([0, 1]), torch.tensor([-4, -4]), 6)
    assert found.values[:, 0, 0].tolist() == [2, 0, 1, 2, 0, 1]
    assert found.values[:, 1, 0].tolist() == [1000, 1001, 1000, 1001, 1000, 1001]
    assert found.valid[:, 0].tolist() == [False] * 4 + [True] * 2
