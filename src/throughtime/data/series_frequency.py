"""How far apart the values of a series are: recognised from stamps, and a grid of whole steps on which they lie.

Months, quarters and years are counted by the calendar, business days without weekends, everything shorter by its
length; so leap days and months of different lengths are no gaps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import ArgumentError

Stamps = NDArray[np.datetime64]
"""Points in time, datetime64[us]."""

Positions = NDArray[np.int64]
"""Whole steps on a frequency's grid."""

STEP, SPAN, MONTHS, BUSINESS_DAYS = "step", "span", "months", "business days"

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_MONTH_END = 32
_LENGTHS = {"second": _SECOND, "minute": 60 * _SECOND, "hour": 3600 * _SECOND, "day": _DAY, "week": 7 * _DAY}
_SINGLE = {
    "second": "every second",
    "minute": "every minute",
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}
_ALIASES = {
    "s": "second", "sec": "second", "second": "second", "min": "minute", "t": "minute", "minute": "minute",
    "h": "hour", "hour": "hour", "hourly": "hour", "d": "day", "day": "day", "daily": "day",
    "b": "business day", "business": "business day", "w": "week", "week": "week", "weekly": "week",
    "m": "month", "ms": "month", "me": "month", "month": "month", "monthly": "month",
    "q": "quarter", "qs": "quarter", "qe": "quarter", "quarter": "quarter", "quarterly": "quarter",
    "y": "year", "a": "year", "ys": "year", "ye": "year", "as": "year", "year": "year", "yearly": "year",
}  # fmt: skip
_MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Frequency:
    """A grid in time.

    Attributes:
        kind: STEP for whole numbers, SPAN for steps of one length, MONTHS by the calendar, BUSINESS_DAYS from Monday
            to Friday.
        size: of a step: in numbers, microseconds, months, or business days.
        offset: of the grid: the number, the microseconds since 1970 or the month since January 1970 of position 0.
        day: of the month, where 32 is its last one (MONTHS).
        time: of the day, in microseconds (MONTHS, BUSINESS_DAYS).
    """

    kind: str
    size: int = 1
    offset: int = 0
    day: int = 1
    time: int = 0

    @property
    def unit(self) -> tuple[int, str]:
        """How many of which unit a step is, such as (15, "minute").

        >>> Frequency(SPAN, 900_000_000).unit
        (15, 'minute')
        """
        if self.kind == STEP:
            return self.size, "step"
        if self.kind == BUSINESS_DAYS:
            return self.size, "business day"
        units = _MONTHS_OF if self.kind == MONTHS else _LENGTHS
        for name in sorted(units, key=units.__getitem__, reverse=True):
            if self.size % units[name] == 0:
                return self.size // units[name], name
        return self.size, "microsecond"

    @property
    def season(self) -> int:
        """Steps of the nearest cycle that such data usually has, 1 where there is none.

        A day for data within the day, a week for days, a year for weeks, months and quarters.

        >>> [Frequency(SPAN, size * 1_000_000).season for size in (60, 900, 3600, 86_400, 604_800)]
        [1440, 96, 24, 7, 52]
        """
        return self.seasons[0] if self.seasons else 1

    @property
    def seasons(self) -> tuple[int, ...]:
        """Steps of all cycles that such data usually has, the shortest first."""
        if self.kind == SPAN:
            if self.size < _DAY:
                return tuple(round(cycle / self.size) for cycle in (_DAY, 7 * _DAY) if cycle % self.size == 0)
            if self.size == _DAY:
                return (7, 365)
            return (52,) if self.size == 7 * _DAY else ()
        if self.kind == MONTHS:
            return (12 // self.size,) if self.size < 12 and 12 % self.size == 0 else ()
        return (5, 260) if self.kind == BUSINESS_DAYS and self.size == 1 else ()

    @property
    def description(self) -> str:
        """In words, such as "hourly", "every 15 minutes" or "daily from Monday to Friday"."""
        count, name = self.unit
        if self.kind == BUSINESS_DAYS and count == 1:
            return "daily from Monday to Friday"
        if self.kind == STEP:
            return "numbered steps" if count == 1 else f"numbered steps, every {count}"
        if count == 1:
            day = " at the end" if self.kind == MONTHS and self.day == _MONTH_END else ""
            return _SINGLE[name] + day
        return f"every {count} {name}s"

    def positions(self, stamps: NDArray[Any]) -> tuple[Positions, NDArray[np.bool_]]:
        """Where stamps lie on the grid.

        Args:
            stamps: datetime64[us], or int64 where the grid is of whole numbers; shape (time,).

        Returns:
            The position of each, and whether it lies on the grid at all.
        """
        if self.kind in {STEP, SPAN}:
            numbers = stamps.astype(np.int64) - self.offset
            return np.floor_divide(numbers, self.size), numbers % self.size == 0
        days = stamps.astype("datetime64[D]")
        if self.kind == BUSINESS_DAYS:
            count = np.busday_count(np.datetime64(self.offset, "D"), days)
            positions = np.floor_divide(count, self.size)
        else:
            months = stamps.astype("datetime64[M]").astype(np.int64) - self.offset
            positions = np.floor_divide(months, self.size)
        return positions.astype(np.int64), self.stamps(positions) == stamps

    def stamps(self, positions: NDArray[Any]) -> NDArray[Any]:
        """The stamps of positions: datetime64[us], or int64 where the grid is of whole numbers."""
        steps = np.asarray(positions, dtype=np.int64) * self.size
        if self.kind == STEP:
            return steps + self.offset
        if self.kind == SPAN:
            return (steps + self.offset).astype("datetime64[us]")
        if self.kind == BUSINESS_DAYS:
            days = np.busday_offset(np.datetime64(self.offset, "D"), steps, roll="forward")
        else:
            months = (steps + self.offset).astype("datetime64[M]")
            length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
            days = months.astype("datetime64[D]") + (np.minimum(self.day, length) - 1).astype("timedelta64[D]")
        return days.astype("datetime64[us]") + np.timedelta64(self.time, "us")


def named_frequency(text: str) -> tuple[int, str]:
    """The size and unit of a frequency as people and other libraries write it.

    >>> named_frequency("15min"), named_frequency("MS"), named_frequency("hourly"), named_frequency("W-SUN")
    ((15, 'minute'), (1, 'month'), (1, 'hour'), (1, 'week'))

    Raises:
        ArgumentError: where the name is unknown.
    """
    found = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+?)s?(?:-[A-Za-z]{3})?\s*", text)
    name = "" if found is None else _ALIASES.get(found[2].lower()) or _ALIASES.get(found[2].lower() + "s", "")
    if found is None or not name:
        raise ArgumentError(
            f"`frequency` must be like hourly, daily, business, weekly, monthly, quarterly, yearly or 15min, "
            f"got {text!r}"
        )
    return int(found[1] or 1), name


def frequency_of(name: str, first: np.datetime64) -> Frequency:
    """The grid of a frequency that is named, through a first stamp.

    Raises:
        ArgumentError: where the name is unknown.
    """
    count, unit = named_frequency(name)
    stamp = first.astype("datetime64[us]")
    if unit in _LENGTHS:
        size = count * _LENGTHS[unit]
        return Frequency(SPAN, size, int(stamp.astype(np.int64)) % size)
    time = int(stamp.astype(np.int64)) % _DAY
    if unit == "business day":
        return Frequency(BUSINESS_DAYS, count, _day_number(first), time=time)
    month = int(stamp.astype("datetime64[M]").astype(np.int64))
    size = count * _MONTHS_OF[unit]
    return Frequency(MONTHS, size, month % size, _day_of_month(np.array([stamp])), time)


class IrregularError(ValueError):
    """Stamps don't lie on a grid.

    Attributes:
        series: the number of the series.
        place: the number of the stamp in it that comes unexpectedly.
    """

    def __init__(self, message: str, series: int = 0, place: int = 0) -> None:
        super().__init__(message)
        self.series = series
        self.place = place


def infer_frequency(series: Sequence[Stamps]) -> Frequency:
    """Recognise the frequency that all series share; values may be missing.

    Args:
        series: the stamps of each, datetime64[us], strictly ascending.

    Raises:
        IrregularError: where there are too few stamps, or they lie on no grid.
    """
    several = [stamps for stamps in series if len(stamps) > 1]
    if not several:
        raise IrregularError("there is no series with two stamps to tell the frequency from")
    every = np.concatenate(series)
    days, times = every.astype("datetime64[D]"), every.astype(np.int64) % _DAY
    if not (times == times[0]).all():
        return _span(several, every)
    gaps = np.concatenate([np.diff(stamps.astype("datetime64[D]")).astype(np.int64) for stamps in several])
    if gaps.min() >= 28:
        calendar = _months(every, several, int(times[0]))
        if calendar is not None:
            return calendar
    if gaps.min() == 1 and len(every) > 10 and np.is_busday(days).all() and gaps.max() > 2:
        return Frequency(BUSINESS_DAYS, 1, _day_number(every.min()), time=int(times[0]))
    return _span(several, every)


def _span(series: Sequence[Stamps], every: Stamps) -> Frequency:
    gaps = np.concatenate([np.diff(stamps.astype(np.int64)) for stamps in series])
    size, count = Counter(gaps.tolist()).most_common(1)[0]
    smaller = gaps[gaps % size != 0]
    if len(smaller):
        common = int(np.gcd.reduce(gaps))
        # Where values are missing at random, the most frequent distance may be twice the step.
        if Counter((gaps // common).tolist())[1] * 3 >= len(gaps):
            size = common
        else:
            _raise_irregular(series, int(size), count / len(gaps))
    return Frequency(SPAN, int(size), int(every[0].astype(np.int64)) % int(size))


def _raise_irregular(series: Sequence[Stamps], size: int, share: float) -> None:
    for number, stamps in enumerate(series):
        gaps = np.diff(stamps.astype(np.int64))
        odd = np.flatnonzero(gaps % size)
        if len(odd):
            place = int(odd[0])
            step = Frequency(SPAN, size).description
            raise IrregularError(
                f"the stamps are at no regular distances: {share:.0%} are {step}, but {stamps[place + 1]} follows on "
                f"{stamps[place]}; bring them onto a grid first, such as by a mean for each hour or day, or say "
                "--frequency if these are single mistakes",
                number,
                place + 1,
            )


def _months(every: Stamps, series: Sequence[Stamps], time: int) -> Frequency | None:
    """The grid of months that fits, or None where the days of the month don't."""
    day = _day_of_month(every)
    months = every.astype("datetime64[M]").astype(np.int64)
    gaps = np.concatenate([np.diff(stamps.astype("datetime64[M]").astype(np.int64)) for stamps in series])
    if gaps.min() < 1:
        return None
    size = int(np.gcd.reduce(gaps))
    frequency = Frequency(MONTHS, size, int(months[0]) % size, day, time)
    return frequency if bool(frequency.positions(every)[1].all()) else None


def _day_of_month(stamps: Stamps) -> int:
    days = stamps.astype("datetime64[D]")
    if (
        np.diff((days + 1).astype("datetime64[M]").astype(np.int64) - days.astype("datetime64[M]").astype(np.int64))
        == 0
    ).all() and ((days[0] + 1).astype("datetime64[M]") != days[0].astype("datetime64[M]")):
        return _MONTH_END
    return int((days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64).max()) + 1


def _day_number(stamp: np.datetime64) -> int:
    return int(stamp.astype("datetime64[D]").astype(np.int64))
