"""Stamps as people write them, to points in time: formats recognised, time zones counted in UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from throughtime.data.series_columns import SeriesColumns
from throughtime.errors import ArgumentError, DataError

Place = Callable[[int], str]
"""Names the place of a row, such as "sales.csv:12"."""

_FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H",
    "%Y/%m/%d", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M", "%Y%m%d", "%Y%m%d%H", "%Y%m%d %H:%M", "%Y.%m.%d",
    "%d.%m.%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M",
    "%d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%d-%m-%Y %H:%M",
    "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d-%b-%y", "%Y-%m-%d %H-%M-%S",
)  # fmt: skip
_ZONED_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z")
_MONTH_FORMATS = ("%Y-%m", "%Y/%m", "%Y.%m", "%m/%Y", "%m.%Y", "%b %Y", "%b-%Y", "%B %Y", "%b-%y", "%YM%m", "%Y%m")
_SAMPLE = 200


@dataclass(frozen=True)
class ReadStamps:
    """The stamps of a table.

    Attributes:
        values: shape (rows,), datetime64[us], or int64 where steps are numbered.
        time_zone: in which they are to be shown, where they are in UTC.
        dates_only: whether no stamp has a time of day.
        remarks: what the user should be told.
    """

    values: NDArray[Any]
    time_zone: str | None = None
    dates_only: bool = False
    remarks: tuple[str, ...] = ()


def read_stamps(column: pl.Series, columns: SeriesColumns, place: Place, series: pl.Series | None) -> ReadStamps:
    """Make points in time of a column.

    Args:
        column: of texts, dates, times or whole numbers.
        columns: a format and a time zone, if they were given.
        place: names a row.
        series: the name of each row's series, if there are several; an hour that comes twice at the end of daylight
            saving comes twice in each.

    Raises:
        DataError: naming the row of the first stamp that can't be read.
    """
    if column.null_count():
        row = int(column.is_null().arg_true()[0])
        raise DataError(f"{place(row)}: has no stamp in {column.name!r}; each row needs one")
    if column.dtype.is_integer() or (column.dtype == pl.String and _are_steps(column)):
        numbers = column.str.strip_chars().cast(pl.Int64) if column.dtype == pl.String else column.cast(pl.Int64)
        if column.name.strip().lower() == "year" and numbers.is_between(1000, 3000).all():
            return ReadStamps((numbers.to_numpy() - 1970).astype("datetime64[Y]").astype("datetime64[us]"), None, True)
        return ReadStamps(numbers.to_numpy().copy())
    remarks: tuple[str, ...] = ()
    if column.dtype == pl.String:
        column, remark = _parsed(column.str.strip_chars(), columns.date_format, place)
        remarks = (remark,) if remark else ()
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if not isinstance(column.dtype, pl.Datetime):
        raise DataError(f"{place(0)}: {column.name!r} holds {column.dtype} and no stamps")
    zone = column.dtype.time_zone
    if zone is None and columns.time_zone is not None:
        zone = columns.time_zone
        column = _localised(column, zone, place, series)
    values = column.dt.cast_time_unit("us")
    if zone is None:
        return _finished(values, None, remarks)
    local = values.dt.convert_time_zone(zone).dt.replace_time_zone(None, ambiguous="earliest")
    if local.dt.time().n_unique() == 1:
        # Midnights of a zone whose clocks change are not 24 hours apart: such days are counted by the calendar.
        return _finished(local, None, remarks)
    return _finished(values.dt.convert_time_zone("UTC").dt.replace_time_zone(None), zone, remarks)


def joined_clock(frame: pl.DataFrame, parts: list[str], place: Place) -> pl.Series:
    """Stamps from columns such as year, month, day and hour, of which the first is the year.

    Raises:
        DataError: naming the row where they make no date.
    """
    numbers = [frame[name].cast(pl.Int64, strict=False) for name in parts]
    cells = {name.strip().lower(): column for name, column in zip(parts, numbers, strict=True)}
    made = frame.select(
        pl.datetime(
            cells["year"],
            cells["month"],
            cells.get("day", pl.Series([1] * len(frame))),
            *(cells.get(name, pl.Series([0] * len(frame))) for name in ("hour", "minute", "second")),
        ).alias("ds")
    )["ds"]
    if made.null_count():
        row = int(made.is_null().arg_true()[0])
        raise DataError(f"{place(row)}: {', '.join(parts)} make no date")
    return made


def looks_like_time(column: pl.Series) -> bool:
    """Whether the first values of a column are stamps (numbers are not)."""
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        return True
    if column.dtype != pl.String:
        return False
    sample = column.drop_nulls().head(_SAMPLE).str.strip_chars()
    return len(sample) > 0 and not _are_steps(sample) and bool(_fitting(sample))


def _are_steps(column: pl.Series) -> bool:
    texts = column.str.strip_chars()
    digits = texts.str.contains(r"^-?\d+$").all()
    # Eight digits are a date such as 20240131 where they can be one.
    return bool(digits) and not bool(texts.str.contains(r"^(1[5-9]|20)\d{2}(0[1-9]|1[0-2])([0-3]\d){1,2}$").all())


def _fitting(texts: pl.Series) -> list[str]:
    """The formats in which as many texts as possible, and more than half, are stamps."""
    wrong = {name: _strptime(texts, name).null_count() for name in (*_FORMATS, *_ZONED_FORMATS, *_MONTH_FORMATS)}
    fewest = min(wrong.values())
    return [name for name, count in wrong.items() if count == fewest and 2 * count < len(texts)]


def _strptime(texts: pl.Series, format: str) -> pl.Series:  # noqa: A002 - the field's own word
    if format in _MONTH_FORMATS:
        day, texts = "%d ", pl.Series(texts.name, ["1 "] * len(texts)) + texts
        format = day + format  # noqa: A001
    zoned = "%#z" in format or "%z" in format
    dtype = pl.Datetime("us", "UTC" if zoned else None)
    try:
        if not any(part in format for part in ("%H", "%I", "%s")):
            return texts.str.strptime(pl.Date, format, strict=False).cast(pl.Datetime("us"))
        return texts.str.strptime(dtype, format, strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series(texts.name, [None] * len(texts), dtype=dtype)


def _parsed(texts: pl.Series, format: str | None, place: Place) -> tuple[pl.Series, str | None]:  # noqa: A002
    if format is not None:
        parsed = _strptime(texts, format)
        if parsed.null_count():
            row = int(parsed.is_null().arg_true()[0])
            raise DataError(f"{place(row)}: {texts[row]!r} is no stamp in the format {format!r}")
        return parsed, None
    quarters = texts.str.extract_groups(r"^(\d{4})[- ]?[Qq]([1-4])$")
    if quarters.struct.field("1").null_count() == 0:
        year, quarter = (quarters.struct.field(name).cast(pl.Int32) for name in ("1", "2"))
        return pl.DataFrame({"y": year, "m": quarter * 3 - 2}).select(pl.datetime("y", "m", 1).alias(texts.name))[
            texts.name
        ], None
    sample = texts.head(_SAMPLE)
    candidates = _fitting(sample)
    parsed = [(name, _strptime(texts, name)) for name in candidates]
    whole = [(name, column) for name, column in parsed if not column.null_count()]
    if not whole:
        row = int(parsed[0][1].is_null().arg_true()[0]) if parsed else 0
        like = f" like {texts[0]!r}" if row else ""
        raise DataError(
            f"{place(row)}: {texts[row]!r} is no stamp{like}; ISO 8601, such as 2024-01-31 13:00, is understood, and "
            "--date-format names any other"
        )
    different = [pair for pair in whole if not (pair[1] == whole[0][1]).all()]
    if not different:
        return whole[0][1], None
    # 01/02/2024 may be January or February; stamps that ascend decide.
    name, column = min([whole[0], *different], key=lambda pair: int((pair[1].diff().dt.total_seconds() < 0).sum()))
    return column, f"stamps like {texts[0]!r} are read as {name}; --date-format says otherwise"


def _localised(column: pl.Series, zone: str, place: Place, series: pl.Series | None) -> pl.Series:
    keys = pl.DataFrame({"time": column, "series": series if series is not None else pl.Series([0] * len(column))})
    again = keys.select(pl.int_range(pl.len()).over("time", "series"))["literal"] > 0
    which = pl.Series(["latest" if second else "earliest" for second in again.to_list()])
    try:
        found = keys.with_columns(which.alias("which")).select(
            pl.col("time").dt.replace_time_zone(zone, ambiguous=pl.col("which"), non_existent="null")
        )["time"]
    except pl.exceptions.PolarsError as error:
        raise ArgumentError(f"`time_zone` must be a name such as Europe/Berlin, got {zone!r} ({error})") from error
    if found.null_count():
        row = int(found.is_null().arg_true()[0])
        raise DataError(f"{place(row)}: {column[row]} doesn't exist in {zone}: clocks are set forward over it")
    return found.alias(column.name)


def _finished(column: pl.Series, zone: str | None, remarks: tuple[str, ...]) -> ReadStamps:
    values = column.to_numpy().astype("datetime64[us]").copy()
    dates_only = zone is None and bool((values == values.astype("datetime64[D]")).all())
    if zone is not None:
        remarks = (*remarks, f"stamps are counted in UTC and shown in {zone}")
    return ReadStamps(values, zone, dates_only, remarks)


def first_stamp(text: str) -> np.datetime64:
    """A single stamp, as the user gives it.

    Raises:
        ArgumentError: where it is none.
    """
    try:
        return np.datetime64(text, "us")
    except ValueError as error:
        raise ArgumentError(f"`start` must be a stamp such as 1949-01 or 2024-01-31 13:00, got {text!r}") from error
