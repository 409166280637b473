from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data.series_frequency import IrregularError, frequency_of, infer_frequency, named_frequency
from throughtime.errors import ArgumentError

# pandas makes the stamps: its name of each frequency, what we call it, and its usual season.
NAMES = {
    "min": ("every minute", 1440),
    "15min": ("every 15 minutes", 96),
    "h": ("hourly", 24),
    "2h": ("every 2 hours", 12),
    "D": ("daily", 7),
    "B": ("daily from Monday to Friday", 5),
    "W-WED": ("weekly", 52),
    "MS": ("monthly", 12),
    "ME": ("monthly at the end", 12),
    "QS": ("quarterly", 4),
    "QE": ("quarterly at the end", 4),
    "YS": ("yearly", 1),
    "YE": ("yearly at the end", 1),
}


def dates(frequency: str, start: str, count: int) -> Any:
    return pd.date_range(start, periods=count, freq=frequency).to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(
    start=st.dates(dt.date(1900, 1, 1), dt.date(2090, 1, 1)),
    lost=st.sets(st.integers(2, 38)),
)
def test_every_frequency_of_pandas_is_a_grid_without_gaps(name: str, start: Any, lost: set[int]) -> None:
    stamps = dates(name, str(start), 41)
    found = infer_frequency([stamps])
    assert (found.description, found.season) == NAMES[name]
    positions, on_grid = found.positions(stamps)
    assert on_grid.all()
    assert np.diff(positions).tolist() == [1] * 40
    assert (found.stamps(positions) == stamps).all()
    # Some missing stamps leave the grid what it is.
    kept = np.delete(stamps, sorted(lost)[:8])
    assert infer_frequency([kept]) == found


def test_leap_days_and_turns_of_the_year_are_steps_like_any_other() -> None:
    daily = infer_frequency([dates("D", "2023-12-01", 20)])
    around = np.array(["2024-02-28", "2024-02-29", "2024-03-01", "2023-12-31", "2024-01-01"], dtype="datetime64[us]")
    positions, _ = daily.positions(around)
    assert np.diff(positions).tolist() == [1, 1, -61, 1]
    ends = infer_frequency([dates("ME", "2023-01-31", 14)])
    assert str(ends.stamps(np.array([ends.positions(dates("ME", "2024-01-31", 1))[0][0] + 1]))[0])[:10] == "2024-02-29"


def test_irregular_stamps_name_the_first_that_does_not_fit() -> None:
    stamps = dates("h", "2024-01-01", 20)
    stamps[7] += np.timedelta64(17, "m")
    with pytest.raises(IrregularError, match=r"T07:17.*follows on 2024-01-01T06:00") as caught:
        infer_frequency([dates("h", "2024-01-01", 5), stamps])
    assert (caught.value.series, caught.value.place) == (1, 7)
    with pytest.raises(IrregularError, match="no series with two stamps"):
        infer_frequency([stamps[:1]])


def test_names_of_frequencies() -> None:
    first = np.datetime64("2024-01-31")
    for name in ("M", "ME", "monthly", "1 month"):
        assert frequency_of(name, first).description == "monthly at the end"
    assert named_frequency("30 minutes") == (30, "minute")
    with pytest.raises(ArgumentError, match="`frequency` must be like hourly"):
        named_frequency("fortnightly")
