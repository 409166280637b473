"""What the calendar says of a step: where in the day, the week, the month and the year it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series_frequency import BUSINESS_DAYS, MONTHS, STEP, Frequency

_DAY = 86_400_000_000
_YEAR_DAYS = 365.2425


def calendar_names(frequency: Frequency, span: int) -> list[str]:
    """The features that say something for steps of this frequency.

    A cycle of which the data shows fewer than two is left out: nothing could be learned of it.

    Args:
        frequency: of the steps.
        span: how many steps there are to learn from.

    >>> from throughtime.data.series_frequency import MONTHS
    >>> calendar_names(Frequency(MONTHS), 100)[:2]
    ['year sin 1', 'year cos 1']
    """
    if frequency.kind == STEP:
        return []
    cycles: list[tuple[str, float, int]] = []
    days = _days_of(frequency)
    if days < 1:
        cycles.append(("day", 1.0, 4))
    if days <= 1:
        cycles.append(("week", 7.0, 3))
    if days <= 32 or frequency.size in {3, 4, 6}:
        cycles.append(("year", _YEAR_DAYS, 5 if days > 25 else 3))
    names: list[str] = []
    for name, length, harmonics in cycles:
        if span * days < 2 * length:
            continue
        most = min(harmonics, int(length / days / 2))
        names += [f"{name} {wave} {harmonic}" for harmonic in range(1, most + 1) for wave in ("sin", "cos")]
    return names


def calendar_features(stamps: NDArray[Any], names: list[str]) -> NDArray[np.float32]:
    """The features of stamps.

    Args:
        stamps: datetime64[us], shape (time,), as people read them (in their time zone).
        names: from ``calendar_names``.

    Returns:
        Shape (time, features), from -1 to 1.
    """
    if not names:
        return np.zeros((len(stamps), 0), dtype=np.float32)
    micro = stamps.astype(np.int64)
    days = stamps.astype("datetime64[D]")
    year = stamps.astype("datetime64[Y]").astype("datetime64[D]")
    length = ((stamps.astype("datetime64[Y]") + 1).astype("datetime64[D]") - year).astype(np.float64)
    of_day = (micro % _DAY) / _DAY
    phases = {
        "day": of_day,
        # 1970 began on a Thursday.
        "week": ((days.astype(np.int64) + 3) % 7 + of_day) / 7,
        "year": ((days - year).astype(np.float64) + of_day) / length,
    }
    columns: list[NDArray[np.float64]] = []
    for name in names:
        cycle, wave, harmonic = name.split()
        angle = 2 * np.pi * int(harmonic) * phases[cycle]
        columns.append(np.sin(angle) if wave == "sin" else np.cos(angle))
    return np.stack(columns, axis=1).astype(np.float32)


def _days_of(frequency: Frequency) -> float:
    """About how many days a step takes."""
    if frequency.kind == MONTHS:
        return frequency.size * _YEAR_DAYS / 12
    return float(frequency.size) if frequency.kind == BUSINESS_DAYS else frequency.size / _DAY
