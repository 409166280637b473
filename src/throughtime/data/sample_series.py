"""Generated series to try forecasting with: what a few shops sell in a day."""

from __future__ import annotations

import numpy as np

from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_frequency import SPAN, Frequency

_DAY = 86_400_000_000
_FIRST_DAY = 18_993  # 1 January 2022, in days since 1970


def sample_series(shops: int = 8, days: int = 800, *, seed: int = 0) -> SeriesTable:
    """Daily sales of some shops: a trend, a week, a year and noise.

    Args:
        shops: how many series.
        days: of each.
        seed: of everything random.
    """
    generator = np.random.default_rng(seed)
    time = np.arange(days)
    series: list[Series] = []
    for shop in range(shops):
        size = float(np.exp(generator.normal(4, 0.7)))
        week = 1 + 0.3 * np.sin(2 * np.pi * (time + 3) / 7 + 0.4 * shop) + 0.2 * ((_FIRST_DAY + time + 3) % 7 >= 5)
        year = 1 + 0.2 * np.sin(2 * np.pi * (time - 80) / 365.25)
        trend = 1 + generator.normal(0.2, 0.15) * time / 365
        noise = generator.normal(0, 0.06, days)
        values = size * week * year * trend * (1 + noise)
        series.append(
            Series(
                f"shop {shop + 1}",
                _FIRST_DAY,
                values.round(1),
                {},
                {"kind": "kiosk" if size < 55 else "market"},
            )
        )
    frequency = Frequency(SPAN, _DAY)
    return SeriesTable(tuple(series), frequency, {}, "sample of daily sales", dates_only=True)
