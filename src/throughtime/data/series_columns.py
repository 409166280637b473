"""Which column of a table is the time, which the series, and which goes along: given, or recognised by names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from throughtime.errors import DataError

TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "month", "day", "week", "quarter", "year", "period")
ID_NAMES = ("unique_id", "item_id", "series_id", "ts_id", "id", "series", "series_name", "item", "sensor")
TARGET_NAMES = ("y", "target", "value")
CLOCK = ("year", "month", "day", "hour", "minute", "second")
ALL = "all"

_COUNTER_NAMES = ("", "no", "index", "row", "unnamed: 0", "column_1", "#")
_MISSING = ("", "na", "nan", "null", "none", "n/a", "-", "?", ".")


@dataclass(frozen=True)
class SeriesColumns:
    """What the user says of a table's columns; what is None or empty is recognised.

    Attributes:
        time: the column of the stamps.
        unique_id: the column that names the series.
        target: the columns of the values; several are a series each.
        past: covariates that are known up to the present; "all" for those that are left.
        future: covariates that are known ahead; "all" for those that are left.
        static: covariates of a series as a whole.
        frequency: such as hourly or 15min.
        time_zone: of stamps without one, such as Europe/Berlin, where clocks change.
        date_format: as strptime reads it, such as %d.%m.%Y.
        start: the stamp of the first value, where the table has no stamps.
        label: what is known of each step, such as whether it is odd; read along with the values.
    """

    time: str | None = None
    unique_id: str | None = None
    target: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    frequency: str | None = None
    time_zone: str | None = None
    date_format: str | None = None
    start: str | None = None
    label: str | None = None


RECOGNISED_COLUMNS = SeriesColumns()


def named(present: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose name is nearest to the beginning of a list of known names."""
    known = {column.strip().lower(): column for column in reversed(present)}
    return next((known[name] for name in names if name in known), None)


def check_column(name: str, given: str, present: Sequence[str], table: str) -> None:
    """Raise DataError unless a column that was given is there."""
    if given not in present:
        near = difflib.get_close_matches(given, present, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"{table}: has no column {given!r} for `{name}`; there is {', '.join(map(repr, present))}{hint}"
        )


def is_counter(name: str, column: pl.Series) -> bool:
    """Whether a column only numbers the rows."""
    if name.strip().lower() not in _COUNTER_NAMES or not column.dtype.is_numeric() or len(column) < 2:
        return False
    return column.null_count() == 0 and bool((column.diff().drop_nulls() == 1).all())


def as_numbers(column: pl.Series, *, decimal_comma: bool = False) -> tuple[pl.Series, int | None]:
    """A column as float64, with null for what is infinite or stands for a missing value.

    Returns:
        The numbers, and the row of the first cell that is no number, or None.
    """
    if column.dtype != pl.String:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            return _finite(column.cast(pl.Float64)), None
        if column.dtype == pl.Null:
            return column.cast(pl.Float64), None
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64), 0
    texts = column.str.strip_chars()
    if decimal_comma:
        texts = texts.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    texts = texts.replace({"True": "1", "true": "1", "TRUE": "1", "False": "0", "false": "0", "FALSE": "0"})
    read = texts.cast(pl.Float64, strict=False)
    is_missing = texts.str.to_lowercase().is_in(_MISSING) | texts.is_null()
    wrong = ((read.is_null() | read.is_nan()) & ~is_missing).arg_true()
    return _finite(read), (int(wrong[0]) if len(wrong) else None)


def _finite(numbers: pl.Series) -> pl.Series:
    """With null for what is infinite or no number, which nothing can be learned from."""
    return pl.select(pl.when(numbers.is_finite()).then(numbers).alias(numbers.name)).to_series()
