"""From a table of any layout to series: long, wide, or one bare column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from throughtime.data.series import Covariate, Role, Series, SeriesTable, numbers_or_texts
from throughtime.data.series_columns import (
    ALL,
    CLOCK,
    ID_NAMES,
    RECOGNISED_COLUMNS,
    TARGET_NAMES,
    TIME_NAMES,
    SeriesColumns,
    as_numbers,
    check_column,
    is_counter,
    named,
)
from throughtime.data.series_frequency import (
    STEP,
    Frequency,
    IrregularError,
    frequency_of,
    infer_frequency,
    named_frequency,
)
from throughtime.data.series_stamps import Place, ReadStamps, first_stamp, joined_clock, looks_like_time, read_stamps
from throughtime.errors import DataError

MOST_STEPS_PER_VALUE = 50
_ROW = "throughtime row"


@dataclass
class _Layout:
    """Which columns a table has for what, as it was understood."""

    time: str | None = None
    unique_id: str | None = None
    target: list[str] = field(default_factory=list[str])
    roles: dict[str, Role] = field(default_factory=dict[str, Role])
    static: list[str] = field(default_factory=list[str])
    unused: list[str] = field(default_factory=list[str])


def table_of(
    frame: pl.DataFrame,
    columns: SeriesColumns = RECOGNISED_COLUMNS,
    *,
    name: str = "series",
    place: Place | None = None,
    decimal_comma: bool = False,
) -> SeriesTable:
    """Make series of a table.

    Args:
        frame: with a row for each stamp; its columns may be texts. A long table names the series of each row; in a
            wide one each column of numbers is a series, unless a column is called y; in one with a single column the
            steps are numbered.
        columns: what is known of the columns.
        name: of the table, for messages.
        place: names a row; "name, row 5" by default.
        decimal_comma: whether numbers are written like 1.234,5.

    Raises:
        DataError: naming the row, where a value or a stamp can't be read, stamps are out of order or come twice, or
            no frequency can be recognised.
    """
    place = place or (lambda row: f"{name}, row {row}")
    if not len(frame):
        raise DataError(f"{name}: is empty; give a table with a row for each value")
    frame, clock = _with_clock(frame, columns, place)
    layout = _understood(frame, columns, name, decimal_comma)
    if clock:
        layout.time = "ds"
    ids = None if layout.unique_id is None else frame[layout.unique_id].cast(pl.String)
    if ids is not None and ids.null_count():
        row = int(ids.is_null().arg_true()[0])
        raise DataError(f"{place(row)}: has no series in {layout.unique_id!r}; each row needs one")
    if layout.time is None:
        stamps = ReadStamps(np.arange(len(frame)))
    else:
        stamps = read_stamps(frame[layout.time], columns, place, ids)
    rows = _rows_of_each(ids, len(frame))
    frequency, stamps = _frequency(stamps, rows, columns, layout, name, place)
    numbers = {target: _numbers(frame[target], place, decimal_comma) for target in layout.target}
    covariates = {key: _covariate(frame[key], decimal_comma) for key in [*layout.roles, *layout.static]}
    series: list[Series] = []
    for unique_id, own in rows.items():
        positions = _positions(stamps.values[own], own, frequency, place, unique_id)
        first, length = int(positions[0]), int(positions[-1] - positions[0]) + 1
        if length > MOST_STEPS_PER_VALUE * len(own) + 1000:
            raise DataError(
                f"{name}: {len(own):,} values{_of(unique_id)} would be spread over {length:,} steps "
                f"({frequency.description}); give --frequency if it is another one"
            )
        along = {key: _spread(covariates[key][own], positions - first, length) for key in layout.roles}
        static = {key: _static(covariates[key][own], key, unique_id, name) for key in layout.static}
        for target in layout.target:
            values = _spread(numbers[target][own], positions - first, length)
            own_name = unique_id if unique_id is not None else target
            one = _trimmed(Series(own_name, first, values, along, static))
            if len(one):
                series.append(one)
    if not series:
        raise DataError(f"{name}: has no value in {', '.join(map(repr, layout.target))}; each is missing")
    remarks = (_layout_remark(layout, clock), *stamps.remarks)
    return SeriesTable(tuple(series), frequency, layout.roles, name, remarks, stamps.time_zone, stamps.dates_only)


def _with_clock(frame: pl.DataFrame, columns: SeriesColumns, place: Place) -> tuple[pl.DataFrame, list[str]]:
    """The table with one column of stamps in place of year, month, day and hour."""
    known = {column.strip().lower(): column for column in frame.columns}
    parts = [known[part] for part in CLOCK if part in known]
    is_clock = len(parts) > 1 and "year" in known and "month" in known
    if columns.time is not None or not is_clock or any(name in known for name in TIME_NAMES[:5]):
        return frame, []
    if looks_like_time(frame[parts[1]]):
        return frame, []
    return frame.drop(parts).with_columns(joined_clock(frame, parts, place)), parts


def _understood(frame: pl.DataFrame, columns: SeriesColumns, name: str, decimal_comma: bool) -> _Layout:
    present = frame.columns
    layout = _Layout()
    for setting in ("time", "unique_id"):
        given = getattr(columns, setting)
        if given is not None:
            check_column("id_column" if setting == "unique_id" else "time_column", given, present, name)
    layout.time = columns.time or _time_column(frame)
    layout.unique_id = columns.unique_id or named(
        [column for column in present if column != layout.time], ID_NAMES if layout.time else ID_NAMES[:4]
    )
    taken = {layout.time, layout.unique_id}
    left = [column for column in present if column not in taken and not is_counter(column, _typed(frame[column]))]
    numeric = [column for column in left if as_numbers(frame[column], decimal_comma=decimal_comma)[1] is None]
    layout.target = _target_columns(columns, present, left, numeric, layout, name)
    rest = [column for column in left if column not in layout.target]
    _sort_covariates(layout, columns, frame, rest, name)
    return layout


def _target_columns(
    columns: SeriesColumns, present: list[str], left: list[str], numeric: list[str], layout: _Layout, name: str
) -> list[str]:
    if columns.target:
        for given in columns.target:
            check_column("target", given, present, name)
        if layout.unique_id is not None and len(columns.target) > 1:
            raise DataError(f"{name}: `target` must be one column where {layout.unique_id!r} names the series")
        return list(columns.target)
    known = named(left, TARGET_NAMES)
    if known is not None:
        return [known]
    declared = {*columns.past, *columns.future, *columns.static}
    free = [column for column in numeric if column not in declared]
    if layout.unique_id is not None:
        if len(free) != 1:
            raise DataError(
                f"{name}: which column has the values of the series in {layout.unique_id!r}? there is "
                f"{', '.join(map(repr, free)) or 'none with numbers'}; give --target"
            )
        return free
    if not free:
        raise DataError(
            f"{name}: has no column of numbers; there is {', '.join(map(repr, present))}; give --target, and the first "
            "cell of it that is no number is told"
        )
    return free


def _sort_covariates(layout: _Layout, columns: SeriesColumns, frame: pl.DataFrame, rest: list[str], name: str) -> None:
    declared = _declared(columns)
    for given, setting in declared.items():
        check_column(setting, given, frame.columns, name)
    open_ones = [column for column in rest if column not in declared]
    layout.static = [column for column in rest if column in columns.static]
    if layout.unique_id is not None:
        groups = frame.group_by(layout.unique_id).agg(pl.col(column).n_unique() for column in open_ones)
        constant = [c for c in open_ones if len(groups) > 1 and (groups[c] <= 1).all()]
        layout.static += constant
        open_ones = [column for column in open_ones if column not in constant]
    takes_all: Role | None = "future" if ALL in columns.future else "past" if ALL in columns.past else None
    # A table with a column called y, or one that names the series, says what it is about: the rest goes along.
    if takes_all is None and not columns.target and (layout.unique_id is not None or layout.target[0] in TARGET_NAMES):
        takes_all = "past"
    for column in rest:
        if column in columns.future or (column in open_ones and takes_all == "future"):
            layout.roles[column] = "future"
        elif column == columns.label or column in columns.past or (column in open_ones and takes_all == "past"):
            layout.roles[column] = "past"
        elif column in open_ones:
            layout.unused.append(column)


def _declared(columns: SeriesColumns) -> dict[str, str]:
    """The columns that the user gave a part beside the values, and the setting of each."""
    parts = {"past_covariates": columns.past, "future_covariates": columns.future, "static_covariates": columns.static}
    found = {given: setting for setting, own in parts.items() for given in own if given != ALL}
    return found if columns.label is None else {**found, columns.label: "label_column"}


def _time_column(frame: pl.DataFrame) -> str | None:
    known = named(frame.columns, TIME_NAMES)
    if known is not None and (looks_like_time(frame[known]) or _are_whole(frame[known])):
        return known
    found = next((column for column in frame.columns if looks_like_time(frame[column])), None)
    # A column called ds is the time, and nothing else, even where its stamps can't be read: that is then told.
    return known if found is None and known is not None and known.strip().lower() == TIME_NAMES[0] else found


def _are_whole(column: pl.Series) -> bool:
    if column.dtype == pl.String:
        return bool(column.str.strip_chars().str.contains(r"^-?\d+$").all())
    return column.dtype.is_integer()


def _typed(column: pl.Series) -> pl.Series:
    return column.cast(pl.Int64, strict=False) if column.dtype == pl.String else column


def _rows_of_each(ids: pl.Series | None, count: int) -> dict[str | None, NDArray[np.int64]]:
    if ids is None:
        return {None: np.arange(count)}
    grouped = pl.DataFrame({"id": ids, _ROW: np.arange(count)}).group_by("id", maintain_order=True).agg(_ROW)
    return {name: np.array(rows, dtype=np.int64) for name, rows in zip(grouped["id"], grouped[_ROW], strict=True)}


def _frequency(
    stamps: ReadStamps,
    rows: dict[str | None, NDArray[np.int64]],
    columns: SeriesColumns,
    layout: _Layout,
    name: str,
    place: Place,
) -> tuple[Frequency, ReadStamps]:
    if columns.frequency is not None:
        named_frequency(columns.frequency)
    if columns.start is not None and layout.time is not None:
        raise DataError(f"{name}: has stamps in {layout.time!r}; leave out `start`")
    for unique_id, own in rows.items():
        _check_order(stamps.values[own], own, place, unique_id)
    if stamps.values.dtype.kind == "i":
        if columns.start is None or columns.frequency is None:
            if (columns.start or columns.frequency) and layout.time is None:
                raise DataError(f"{name}: has no stamps; give both `start` and `frequency`, or neither")
            return Frequency(STEP), stamps
        first = first_stamp(columns.start)
        frequency = frequency_of(columns.frequency, first)
        begin = int(frequency.positions(np.array([first]))[0][0])
        values = frequency.stamps(begin + stamps.values)
        dates = bool((values == values.astype("datetime64[D]")).all())
        return frequency, ReadStamps(values, None, dates)
    if columns.frequency is not None:
        return frequency_of(columns.frequency, stamps.values[int(next(iter(rows.values()))[0])]), stamps
    try:
        return infer_frequency([stamps.values[own] for own in rows.values()]), stamps
    except IrregularError as error:
        own = list(rows.values())[error.series]
        raise DataError(f"{place(int(own[error.place]))}: {error}") from error


def _check_order(stamps: NDArray[Any], rows: NDArray[np.int64], place: Place, unique_id: str | None) -> None:
    gaps = np.diff(stamps.astype(np.int64))
    wrong = np.flatnonzero(gaps <= 0)
    if not len(wrong):
        return
    before, at = int(wrong[0]), int(wrong[0]) + 1
    shown = str(stamps[at]).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    if gaps[before] == 0:
        raise DataError(
            f"{place(int(rows[at]))}: {shown}{_of(unique_id)} comes twice, as in {place(int(rows[before]))}; keep one "
            "row for each stamp, or say --id-column if these are different series, or --time-zone if clocks are set "
            "back there"
        )
    earlier = str(stamps[before]).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    raise DataError(
        f"{place(int(rows[at]))}: {shown}{_of(unique_id)} stands after {earlier}; sort the rows of each series by time"
    )


def _positions(
    stamps: NDArray[Any], rows: NDArray[np.int64], frequency: Frequency, place: Place, unique_id: str | None
) -> NDArray[np.int64]:
    positions, on_grid = frequency.positions(stamps)
    if not on_grid.all():
        wrong = int(np.flatnonzero(~on_grid)[0])
        shown = str(stamps[wrong]).replace("T", " ").removesuffix(".000000")
        raise DataError(
            f"{place(int(rows[wrong]))}: {shown}{_of(unique_id)} is not on the grid of the other stamps "
            f"({frequency.description})"
        )
    return positions


def _numbers(column: pl.Series, place: Place, decimal_comma: bool) -> NDArray[np.float64]:
    numbers, wrong = as_numbers(column, decimal_comma=decimal_comma)
    if wrong is not None:
        raise DataError(f"{place(wrong)}: {column[wrong]!r} in {column.name!r} is no number")
    return numbers.fill_null(float("nan")).to_numpy().copy()


def _covariate(column: pl.Series, decimal_comma: bool) -> Covariate:
    numbers, wrong = as_numbers(column, decimal_comma=decimal_comma)
    return numbers_or_texts(numbers if wrong is None else column.cast(pl.String))


def _spread(values: NDArray[Any], at: NDArray[np.int64], length: int) -> Any:
    empty = None if values.dtype == object else np.nan
    spread = np.full(length, empty, dtype=values.dtype)
    spread[at] = values
    return spread


def _static(values: Covariate, key: str, unique_id: str | None, name: str) -> float | str:
    different = set(values.tolist())
    if len(different) != 1:
        raise DataError(f"{name}: {key!r} is static and has {len(different)} different values{_of(unique_id)}")
    return cast("float | str", values.tolist()[0])


def _trimmed(series: Series) -> Series:
    """Without missing values at its ends, where nothing has been measured yet, or any more."""
    known = np.flatnonzero(~np.isnan(series.values))
    if not len(known):
        return series.between(series.end, series.end)
    return series.between(series.first + int(known[0]), series.first + int(known[-1]) + 1)


def _layout_remark(layout: _Layout, clock: list[str]) -> str:
    time = ", ".join(clock) if clock else layout.time
    parts = [f"time in {time!r}" if time else "no stamps, the steps are numbered"]
    if layout.unique_id is not None:
        parts.append(f"series named in {layout.unique_id!r}")
    if len(layout.target) == 1:
        parts.append(f"values in {layout.target[0]!r}")
    else:
        parts.append(f"each column a series: {', '.join(layout.target[:8])}{', ...' if len(layout.target) > 8 else ''}")
    if layout.unused:
        parts.append(f"not used: {', '.join(layout.unused)} (--past-covariates or --future-covariates takes them)")
    return "read as: " + "; ".join(parts)


def _of(unique_id: str | None) -> str:
    return "" if unique_id is None else f" of {unique_id}"
