"""From errors of reconstruction to a score for each step, and from scores to spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from throughtime.data.recordings import Recording

Numbers = NDArray[np.float64]
Reconstruct = Callable[[Numbers], Numbers]
"""From windows of shape (windows, time, channel) to what stands for them, in the same shape."""

CALIBRATION = 0.99
SMALLEST = 1e-6
MOST_DEVIATIONS = 3.0


def window_begins(steps: int, window: int, hop: int) -> NDArray[np.int64]:
    """Where windows begin so that every step is in one: at each hop, and at the last place where one fits."""
    last = max(steps - window, 0)
    return np.unique(np.append(np.arange(0, last + 1, hop), last))


def most_windows(window: int, hop: int) -> int:
    """How many windows a step is in at most."""
    return -(-window // hop) + 1


def step_errors(recording: Numbers, reconstruct: Reconstruct, window: int, hop: int) -> Numbers:
    """The error of reconstruction at each step and channel, shape (time, channel), signed.

    The median over all windows that the step is in: what is odd nearby spoils some of them, and rarely most.

    Args:
        recording: scaled values of shape (time, channel), at least ``window`` steps.
        reconstruct: what tells windows again.
        window: steps of one.
        hop: steps between the beginnings of two.
    """
    begins = window_begins(len(recording), window, hop)
    places = most_windows(window, hop)
    errors = np.full((places, *recording.shape), np.nan)
    for start in range(0, len(begins), 512):
        some = begins[start : start + 512]
        windows = np.stack([recording[begin : begin + window] for begin in some])
        for number, (begin, own) in enumerate(zip(some, windows - reconstruct(windows), strict=True), start):
            errors[number % places, begin : begin + window] = own
    return np.nanmedian(errors, axis=0)


def mean_around(values: Numbers, length: int) -> Numbers:
    """The mean of each step and those around it, ``length`` in all or as many as there are; shape (time,)."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    steps = np.arange(len(values))
    begins = np.maximum(steps - length // 2, 0)
    ends = np.minimum(steps + steps_ahead(length) + 1, len(values))
    return (sums[ends] - sums[begins]) / (ends - begins)


def steps_ahead(length: int) -> int:
    """How many of the steps that ``mean_around`` takes come after the step itself."""
    return (length - 1) // 2


@dataclass(frozen=True)
class ScoreScale:
    """What errors are like where nothing is wrong.

    A step's score is the largest of some numbers, each divided by what 99 of 100 normal steps are below:

    - how large its own error is, which a spike makes large;
    - how large the errors of the steps around it are together, which a shift or another rhythm makes large, and a
      single spike doesn't, since no error counts as more than 3 deviations here; of a few steps, and of many, in which
      what is odd for long stands out of the noise;
    - how small they are together, which a sensor that is stuck makes small where the signal never is that calm;
    - how rough or smooth they are together, which a signal at another pace makes them: the mean square of their
      successive differences (von Neumann et al. 1941).

    Attributes:
        error: the deviation of each channel's error.
        levels: for each number of steps around, the mean of the logarithm of the mean square error; then of that of the
            mean square difference between errors.
        spreads: their deviations.
        limits: what 99 of 100 normal steps are below: of the own error, and for each of ``levels`` of how large and of
            how small it is.
        smoothings: how many the steps around are, with the step itself.
    """

    error: tuple[float, ...]
    levels: tuple[float, ...]
    spreads: tuple[float, ...]
    limits: tuple[float, ...]
    smoothings: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where the parts don't go together."""
        count = 2 * len(self.smoothings)
        if (len(self.levels), len(self.spreads), len(self.limits)) != (count, count, 1 + 2 * count):
            raise ValueError("levels, spreads and limits must be those of the smoothings")

    @classmethod
    def plain(cls, error: Sequence[float], smoothings: Sequence[int]) -> ScoreScale:
        """Nothing has been measured yet but the deviations."""
        count = 2 * len(smoothings)
        return cls(tuple(error), (0.0,) * count, (1.0,) * count, (1.0,) * (1 + 2 * count), tuple(smoothings))

    @classmethod
    def of(cls, errors: Sequence[Numbers], smoothings: Sequence[int]) -> ScoreScale:
        """Measure it on errors of shape (time, channel) of each recording, where nothing is wrong."""
        deviation = np.maximum(np.concatenate(list(errors)).std(axis=0), SMALLEST)
        plain = cls.plain(deviation.tolist(), smoothings)
        together = np.concatenate([np.stack(plain._together(one), axis=1) for one in errors])
        spreads = np.maximum(together.std(axis=0), SMALLEST)
        centred = replace(plain, levels=tuple(together.mean(axis=0).tolist()), spreads=tuple(spreads.tolist()))
        parts = np.concatenate([np.stack(centred._unscaled(one), axis=1) for one in errors])
        limits = np.maximum(np.quantile(parts, CALIBRATION, axis=0), SMALLEST)
        return replace(centred, limits=tuple(limits.tolist()))

    @property
    def reach(self) -> int:
        """The largest number of steps around."""
        return max(self.smoothings)

    def scores(self, errors: Numbers) -> Numbers:
        """The score of each step, shape (time,), from errors of shape (time, channel)."""
        return np.max(self.parts(errors), axis=0)

    def parts(self, errors: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Of the own error, of how large those around are, how small, and how rough or smooth; (time,) each."""
        own, *around = [part / limit for part, limit in zip(self._unscaled(errors), self.limits, strict=True)]
        sizes, roughness = around[: len(around) // 2], around[len(around) // 2 :]
        return own, np.max(sizes[::2], axis=0), np.max(sizes[1::2], axis=0), np.max(roughness, axis=0)

    def blame(self, errors: Numbers) -> NDArray[np.int64]:
        """The channel with the largest error at each step, shape (time,)."""
        return np.abs(errors / np.array(self.error)).argmax(axis=1)

    def _together(self, errors: Numbers) -> list[Numbers]:
        relative = errors / np.array(self.error)
        changes = np.diff(relative, axis=0, prepend=relative[:1])
        squares = [np.minimum(values**2, MOST_DEVIATIONS**2).mean(axis=1) for values in (relative, changes)]
        return [np.log(mean_around(one, length) + SMALLEST) for one in squares for length in self.smoothings]

    def _unscaled(self, errors: Numbers) -> list[Numbers]:
        scales = zip(self._together(errors), self.levels, self.spreads, strict=True)
        centred = [(together - level) / spread for together, level, spread in scales]
        own = np.abs(errors / np.array(self.error)).max(axis=1)
        return [own, *(signed for one in centred for signed in (one, -one))]


@dataclass(frozen=True)
class Span:
    """Steps one after the other that are odd.

    Attributes:
        recording: its name.
        begin: its first step, counted from 0.
        end: the step after its last.
        first: the stamp of its first step.
        last: the stamp of its last step.
        peak: the largest score.
        peak_at: the stamp of that step.
        channel: which is furthest off there.
    """

    recording: str
    begin: int
    end: int
    first: str
    last: str
    peak: float
    peak_at: str
    channel: str

    @property
    def steps(self) -> int:
        """How many steps."""
        return self.end - self.begin


def spans_of(
    recording: Recording,
    scores: Numbers,
    channels: NDArray[np.int64],
    threshold: float,
    *,
    gap: int,
    stamp: Callable[[int], str],
) -> list[Span]:
    """Put odd steps together to spans.

    Args:
        recording: whose steps.
        scores: shape (time,).
        channels: which channel is furthest off, shape (time,).
        threshold: a step whose score is above it is odd.
        gap: steps between two odd ones up to which they are one span.
        stamp: the stamp of a position on the table's grid, for people to read.
    """
    odd = np.flatnonzero(scores > threshold)
    if not len(odd):
        return []
    parts = np.split(odd, np.flatnonzero(np.diff(odd) > gap) + 1)
    found: list[Span] = []
    for part in parts:
        begin, end = int(part[0]), int(part[-1]) + 1
        peak = begin + int(scores[begin:end].argmax())
        stamps = [stamp(recording.first + step) for step in (begin, end - 1, peak)]
        channel = recording.channels[int(channels[peak])]
        found.append(Span(recording.name, begin, end, stamps[0], stamps[1], float(scores[peak]), stamps[2], channel))
    return found
