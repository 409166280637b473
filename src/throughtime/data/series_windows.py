"""Windows of series in random batches that can be made again from their epoch and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import ArgumentError, check_positive_integer, check_range

Channels = NDArray[np.floating]
"""The values of a series in several channels, shape (time, channel)."""


@dataclass(frozen=True)
class WindowBatch:
    """Windows of equal length.

    Attributes:
        values: shape (time, batch, channel). What lies before a series' first step repeats its first season, what lies
            beyond its last step repeats that one.
        valid: shape (time, batch), bool: whether there is such a step.
        series: which series each window is of, shape (batch,), int64.
        begin: at which step of the series it begins, shape (batch,), int64; negative before the first.
    """

    values: Tensor
    valid: Tensor
    series: Tensor
    begin: Tensor


class SeriesStore:
    """Series one behind the other in a single tensor, from which any windows are gathered at once.

    Args:
        series: shape (time, channel) each, of one dtype; none of length zero.
        season: steps of the first season, which stands before the series again and again; 1 for the first step alone.
    """

    def __init__(self, series: Sequence[Channels], *, season: int = 1) -> None:
        check_positive_integer("season", season)
        self.season = season
        self.lengths = torch.tensor([len(one) for one in series])
        self.offsets = self.lengths.cumsum(0) - self.lengths
        self.values = torch.from_numpy(np.concatenate(list(series)))

    def windows(self, series: Tensor, begin: Tensor, length: int) -> WindowBatch:
        """Gather windows.

        Args:
            series: number of each one's series, shape (batch,), int64.
            begin: its first step, shape (batch,), int64; may lie before the series, and the window's end beyond it.
            length: of each window.
        """
        steps = begin + torch.arange(length).unsqueeze(1)
        last = self.lengths[series] - 1
        valid = (steps >= 0) & (steps <= last)
        before = torch.remainder(steps, torch.clamp(last + 1, max=self.season))
        rows = self.offsets[series] + torch.where(steps < 0, before, torch.minimum(steps, last))
        return WindowBatch(self.values[rows], valid, series, begin)


class SeriesWindows(ShuffledBatches):
    """All windows of some series, at equal distances, in random order.

    Args:
        store: the series.
        length: steps of a window.
        stride: between the beginnings of neighbouring windows of a series. The first one begins at a step that each
            epoch draws anew, below the stride.
        lead: steps that a window may begin before its series does.
        beyond: steps that a window may end after its series does.
        batch_size: windows of a batch, of each process.
        most: windows of an epoch, at most; drawn anew for each where there are more.
        seed: of the order.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where no series is long enough for a window.
    """

    def __init__(
        self,
        store: SeriesStore,
        *,
        length: int,
        stride: int = 1,
        lead: int = 0,
        beyond: int = 0,
        batch_size: int = 32,
        most: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        for name, value in (("length", length), ("stride", stride), ("batch_size", batch_size)):
            check_positive_integer(name, value)
        for name, value in (("lead", lead), ("beyond", beyond)):
            check_range(name, value, low=0)
        lengths = store.lengths.numpy()
        places = lengths + lead + beyond - length + 1
        self._places = np.maximum(places, 0)
        # Whatever the first step drawn, a series has at least so many windows.
        self._counts = -(-self._places // stride)
        total = int(self._counts.sum())
        if not total:
            longest = int(lengths.max()) + lead + beyond
            raise ArgumentError(f"`length` must be at most {longest} for series like these, got {length}")
        super().__init__(total, seed=seed, rank=rank, world_size=world_size)
        self.store = store
        self.length, self.stride, self.lead = length, stride, lead
        self.together = min(batch_size * world_size, total)
        self._windows = min(total, most or total)
        whole, rest = divmod(self._windows, self.together)
        self._length = whole + (rest >= world_size)
        self._begin = np.zeros(0, dtype=np.int64)
        self._series = np.repeat(np.arange(len(lengths)), self._counts)
        self._number = np.concatenate([np.arange(count) for count in self._counts])

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> WindowBatch:
        """Make the batch at that place; see ``rows``."""
        rows = np.array(self.rows(epoch, index))
        series = self._series[rows]
        return self.store.windows(torch.from_numpy(series), torch.from_numpy(self._begin[rows]), self.length)

    def draw(self, generator: np.random.Generator) -> list[Ids]:  # noqa: D102
        phase = generator.integers(self.stride, size=len(self._places))[self._series]
        begin = self._number * self.stride + phase
        # A window that would begin too late begins as late as it can.
        self._begin = np.minimum(begin, self._places[self._series] - 1) - self.lead
        order = generator.permutation(len(self._series))[: self._windows]
        count = self._length
        return [order[place * self.together : (place + 1) * self.together] for place in range(count)]
