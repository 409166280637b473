"""Covariates that are known ahead, for the steps after series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from throughtime.data.series import Covariate, SeriesTable
from throughtime.data.series_columns import ID_NAMES, TIME_NAMES, SeriesColumns, as_numbers, named
from throughtime.data.series_files import read_frame
from throughtime.data.series_stamps import read_stamps
from throughtime.errors import ArgumentError, DataError


def read_future(
    source: Any, table: SeriesTable, columns: SeriesColumns, names: Sequence[str], steps: int
) -> dict[str, dict[str, Covariate]]:
    """Read future covariates of the steps after each series.

    Args:
        source: a file or a data frame with stamps, the covariates, and, if there are several series, their names;
            None if there is none.
        table: the series.
        columns: what the user said of the columns of the series' own table.
        names: the covariates, as many as the model has.
        steps: how many are needed.

    Returns:
        For each series, by its name, the covariates by theirs, of shape (steps,).

    Raises:
        ArgumentError: where there is no table and covariates, or a table and no covariates.
        DataError: where a step or a covariate is missing.
    """
    if not names:
        raise ArgumentError("`future` must be left out: this model has no covariates that are known ahead")
    if source is None:
        raise ArgumentError(
            f"this model needs {', '.join(names)} for the steps ahead; give a table of them as `future`"
        )
    frame, place = read_frame(source)
    for name in names:
        if name not in frame.columns:
            raise DataError(f"{place(0)}: there is no column {name!r}; the future covariates are {', '.join(names)}")
    time = columns.time or named(frame.columns, TIME_NAMES)
    unique_id = columns.unique_id or named(frame.columns, ID_NAMES)
    if time is None or time not in frame.columns:
        raise DataError(f"{place(0)}: there is no column of stamps; there is {', '.join(frame.columns)}")
    has_ids = unique_id is not None and unique_id in frame.columns
    ids = frame[unique_id].cast(pl.String) if has_ids and unique_id else None
    stamps = read_stamps(frame[time], columns, place, ids)
    positions, _ = table.frequency.positions(stamps.values)
    found: dict[str, dict[str, Covariate]] = {}
    cells = {name: _cells(frame[name]) for name in names}
    for series in table.series:
        own = np.ones(len(frame), dtype=bool) if ids is None else (ids == series.unique_id).to_numpy()
        row_of = {int(position): int(row) for position, row in zip(positions[own], np.flatnonzero(own), strict=True)}
        wanted = range(series.end, series.end + steps)
        missing = [position for position in wanted if position not in row_of]
        if missing:
            raise DataError(
                f"{place(0).split(',')[0].rsplit(':', 1)[0]}: has no row for {series.unique_id} at "
                f"{table.stamp(missing[0])}; each of the {steps} steps after {table.stamp(series.end - 1)} needs one"
            )
        rows = [row_of[position] for position in wanted]
        found[series.unique_id] = {name: cells[name][rows] for name in names}
    return found


def _cells(column: pl.Series) -> Covariate:
    numbers, wrong = as_numbers(column)
    if wrong is None:
        return numbers.fill_null(float("nan")).to_numpy().copy()
    return np.array(column.cast(pl.String).to_list(), dtype=object)
