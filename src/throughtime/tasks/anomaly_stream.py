"""Scores as numbers come in: each step's as soon as nothing that comes later can change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.errors import ArgumentError, DataError, check_range
from throughtime.tasks.anomaly_detection import told_again
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.anomaly_scores import Numbers, most_windows, steps_ahead


@dataclass(frozen=True)
class StreamScore:
    """The score of one step of a stream.

    Attributes:
        step: its number, from 0.
        score: of it.
        odd: whether it is above the threshold.
        channel: which is furthest off.
    """

    step: int
    score: float
    odd: bool
    channel: str


class AnomalyStream:
    """Follows one recording, and gives to the last digit the scores that it would have from a file.

    A step's score takes all windows that the step is in, and the steps around it, so it comes up to two windows and a
    hop later than the step.

    Args:
        detector: trained.
        name: of the recording, as in training; needed where the detector learned from several.
        threshold: above which a score is odd; the detector's by default.

    Raises:
        ArgumentError: where the name is needed and not one of those that were learned from.
    """

    def __init__(self, detector: AnomalyDetector, name: str | None = None, threshold: float | None = None) -> None:
        scales = detector.scales
        if name not in scales and (name is not None or len(scales) > 1):
            shown = ", ".join(list(scales)[:8])
            raise ArgumentError(f"`name` must be one of the series that were learned from, {shown}, got {name!r}")
        self.detector = detector
        if threshold is not None:
            check_range("threshold", threshold)
        self.threshold = detector.thresholds["model"] if threshold is None else threshold
        self._scale = scales[name] if name is not None else next(iter(scales.values()))
        channels = len(detector.channels)
        self._last: tuple[float, ...] = (0.0,) * channels
        self._kept = np.zeros((0, channels))
        self._places = most_windows(detector.window, detector.settings.hop)
        self._errors = np.zeros((self._places, 0, channels))
        """Of each kept row, in each of the windows that it is in; NaN where there are fewer."""
        self._windows = 0
        self._offset = 0
        """The step that the first kept row is of."""
        self._given = 0
        self._next_window = 0

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return self._offset + len(self._kept)

    def feed(self, values: Sequence[float]) -> list[StreamScore]:
        """Take one step, NaN where something is missing, and give the scores that are certain now.

        Raises:
            DataError: where there are too few or too many numbers.
        """
        channels = len(self.detector.channels)
        if len(values) != channels:
            raise DataError(f"step {self.steps + 1}: has {len(values)} numbers, the model reads {channels}")
        self._last = tuple(old if np.isnan(new) else float(new) for old, new in zip(self._last, values, strict=True))
        row = self._scale.scaled(np.array([self._last]))
        self._kept = np.concatenate([self._kept, row])
        self._errors = np.concatenate([self._errors, np.full((self._places, 1, channels), np.nan)], axis=1)
        window = self.detector.window
        if self.steps < self._next_window + window:
            return []
        self._tell(self._next_window)
        self._next_window += self.detector.settings.hop
        # One more window may end at the last step, wherever that is.
        return list(self._certain(min(self._next_window, self.steps - window)))

    def finish(self) -> list[StreamScore]:
        """The scores of the last steps, after which nothing comes.

        Raises:
            DataError: where there were fewer steps than a window has.
        """
        window = self.detector.window
        if self.steps < window:
            raise DataError(f"there were {self.steps} steps, a window of the model has {window}; give more")
        if self._next_window - self.detector.settings.hop != self.steps - window:
            self._tell(self.steps - window)
        return list(self._certain(self.steps, is_last=True))

    def _tell(self, begin: int) -> None:
        rows = slice(begin - self._offset, begin - self._offset + self.detector.window)
        windows = self._kept[rows][None]
        self._errors[self._windows % self._places, rows] = (windows - told_again(self.detector.network, windows))[0]
        self._windows += 1

    def _certain(self, end: int, *, is_last: bool = False) -> Iterator[StreamScore]:
        """The scores of steps that weren't given yet, now that the errors of those before ``end`` are certain."""
        normal = self.detector.normal
        until = end if is_last else end - steps_ahead(normal.reach)
        if until <= self._given:
            return
        errors: Numbers = np.nanmedian(self._errors[:, : end - self._offset], axis=0)
        scores, blame = normal.scores(errors), normal.blame(errors)
        for step in range(self._given, until):
            place = step - self._offset
            score = float(scores[place])
            yield StreamScore(step, score, score > self.threshold, self.detector.channels[int(blame[place])])
        self._given = until
        # What the means around the next steps and the next windows need stays.
        needed = min(until - normal.reach, self.steps - self.detector.window)
        unneeded = max(0, needed - self._offset)
        self._offset += unneeded
        self._kept, self._errors = self._kept[unneeded:], self._errors[:, unneeded:]
