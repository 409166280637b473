"""Series from files and data frames: CSV with any separator, Parquet, JSON lines, Monash's .tsf; pandas and polars."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from throughtime.data.series import ID, TARGET, TIME, SeriesTable
from throughtime.data.series_columns import RECOGNISED_COLUMNS, SeriesColumns
from throughtime.data.series_frequency import frequency_of
from throughtime.data.series_stamps import first_stamp
from throughtime.data.series_tables import table_of
from throughtime.data.text_encodings import DecodedFile, decode_file, read_text_file
from throughtime.errors import ArgumentError, data_error

_DELIMITERS = (",", ";", "\t", "|")
_ROW_NAMES = ("v1", "id", "unique_id", "series")


def read_series(
    source: Any, columns: SeriesColumns = RECOGNISED_COLUMNS, *, encoding: str | None = None
) -> SeriesTable:
    """Read series from a file or a data frame.

    Args:
        source: a path (.csv, .tsv, .txt, .parquet, .jsonl, .tsf, also with .gz; "-" for standard input), the content
            of a CSV file as bytes, a pandas or polars data frame, or a table that is read already.
        columns: what is known of the columns.
        encoding: of a text file; UTF-8 or recognised by default.

    Raises:
        DataError: naming file and line, where it can't be read; see ``table_of``.
        ArgumentError: where the source is of another kind.
    """
    if isinstance(source, SeriesTable):
        return source
    if not isinstance(source, Path | str | bytes):
        return series_of_frame(source, columns)
    if isinstance(source, bytes):
        file, suffix = decode_file(source, "the table", encoding), ".csv"
    else:
        path = Path(source)
        suffix = PurePath(path.name.lower().removesuffix(".gz")).suffix
        if suffix in {".parquet", ".pq"}:
            return table_of(_parquet(path), columns, name=str(path))
        file = read_text_file(path, encoding)
    if suffix == ".tsf":
        frame, columns = _monash(file, columns)
        table = table_of(frame, columns, name=file.path)
    elif suffix in {".jsonl", ".ndjson", ".json"}:
        table = _json_table(file, columns)
    else:
        frame, place, comma = _csv_frame(file)
        table = table_of(frame, columns, name=file.path, place=place, decimal_comma=comma)
    return table if file.remark is None else replace(table, remarks=(*table.remarks, file.remark))


def read_frame(source: Any, *, encoding: str | None = None) -> tuple[pl.DataFrame, Callable[[int], str]]:
    """Read a table as it is: a CSV or Parquet file, whose cells may be texts, or a data frame; and what names a row.

    Raises:
        DataError: where a file can't be read.
        ArgumentError: where the source is of another kind.
    """
    if not isinstance(source, Path | str):
        return polars_frame(source), lambda row: f"the data frame, row {row}"
    path = Path(source)
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _parquet(path), lambda row: f"{path}, row {row}"
    frame, place, _ = _csv_frame(read_text_file(path, encoding))
    return frame, place


def series_of_frame(
    frame: Any, columns: SeriesColumns = RECOGNISED_COLUMNS, *, name: str = "the data frame"
) -> SeriesTable:
    """Make series of a pandas, polars or pyarrow data frame.

    A pandas index of dates is the time where no column is.

    Raises:
        ArgumentError: where it is no data frame.
        DataError: see ``table_of``.
    """
    return table_of(polars_frame(frame), columns, name=name)


def polars_frame(frame: Any) -> pl.DataFrame:
    """Any data frame as a polars one.

    Raises:
        ArgumentError: where it is no data frame.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise ArgumentError(
            f"series must be a path or a data frame of pandas or polars, got {type(frame).__name__}"
        ) from error
    columns: dict[str, pl.Series] = {}
    index = nw.maybe_get_index(table)
    if index is not None and index.dtype == nw.Datetime:
        columns[str(getattr(frame.index, "name", None) or TIME)] = _polars_column(index)
    for column in table.iter_columns():
        columns[str(column.name)] = _polars_column(column)
    return pl.DataFrame(columns)


def like_given(frame: pl.DataFrame, given: Any) -> Any:
    """A table of ours as the kind of data frame that the user gave: pandas for pandas, else polars."""
    if isinstance(given, pl.DataFrame) or not nw.dependencies.is_into_dataframe(given):
        return frame
    space = nw.from_native(given, eager_only=True).implementation
    return nw.from_dict({column.name: column.to_numpy() for column in frame}, backend=space).to_native()


def _polars_column(column: nw.Series[Any]) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        zone = dtype.time_zone
        values = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
        return pl.Series(column.name, values).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if isinstance(dtype, nw.Datetime | nw.Date):
        return pl.Series(column.name, column.to_numpy().astype("datetime64[us]"))
    if dtype == nw.Boolean:
        return pl.Series(column.name, column.cast(nw.Float64).to_numpy())
    if dtype.is_numeric():
        return pl.Series(
            column.name, column.cast(nw.Float64).to_numpy() if not dtype.is_integer() else column.to_numpy()
        )
    texts = [None if value is None or value != value else str(value) for value in column.to_list()]  # noqa: PLR0124 - NaN
    return pl.Series(column.name, texts, dtype=pl.String)


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise data_error(path, f"cannot be read as Parquet ({error})") from error


def _csv_frame(file: DecodedFile) -> tuple[pl.DataFrame, Callable[[int], str], bool]:
    """The cells of a file as texts, what names a row, and whether numbers have a decimal comma."""
    lines = [line for line in islice(io.StringIO(file.text), 50) if line.strip()]
    if not lines:
        raise data_error(file.path, "is empty; give a table with a row for each value")
    delimiter = max(_DELIMITERS, key=lambda mark: min(line.count(mark) for line in lines))
    rows, numbers = _cells(file, delimiter)
    width = len(rows[0])
    for cells, number in zip(rows, numbers, strict=True):
        if len(cells) > width or (len(cells) < width and not any(map(str.strip, cells))):
            raise data_error(file.path, f"has {len(cells)} columns where the first row has {width}", line=number)
    has_header = _has_header(rows)
    names = [cell.strip() for cell in rows[0]] if has_header else _numbered(rows[0])
    names = [name or f"column_{place + 1}" for place, name in enumerate(names)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise data_error(file.path, f"has two columns called {twice!r}", line=1)
    body, places = rows[has_header:], numbers[has_header:]
    padded = [[*cells, *([""] * (width - len(cells)))] for cells in body]
    frame = pl.DataFrame(padded, schema=dict.fromkeys(names, pl.String), orient="row")
    if _is_series_a_row(frame):
        return _rows_as_series(frame, file), lambda row: f"{file.path}, value {row + 1}", False
    comma = delimiter != "," and _has_decimal_comma(frame)
    return frame, lambda row: f"{file.path}:{places[row]}", comma


def _has_header(rows: list[list[str]]) -> bool:
    first = rows[0]
    if all(map(_is_number, first)):
        return False
    # A stamp and a number above others like them are values and no names.
    is_value = len(first) == 2 and bool(first[1].strip()) and _is_number(first[1])
    return not (is_value and len(rows) > 1 and _is_number(rows[1][1]))


def _cells(file: DecodedFile, delimiter: str) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    numbers: list[int] = []
    reader = csv.reader(io.StringIO(file.text), delimiter=delimiter)
    try:
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip()):
                rows.append(cells)
                numbers.append(reader.line_num)
    except csv.Error as error:
        raise data_error(file.path, f"cannot be read as columns ({error})", line=reader.line_num) from error
    return rows, numbers


def _numbered(first: list[str]) -> list[str]:
    """Names for the columns of a table without a header."""
    if len(first) == 1:
        return [TARGET]
    return [TIME, TARGET] if len(first) == 2 else [f"column_{number}" for number in range(1, len(first) + 1)]


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", ".") or "nan")
    except ValueError:
        return False
    return True


def _has_decimal_comma(frame: pl.DataFrame) -> bool:
    columns = [frame[name].drop_nulls().str.strip_chars() for name in frame.columns]
    return any(
        len(c) and c.str.contains(r"^-?[\d.]*\d,\d+$").any() and not c.str.contains(r"[:/]").any() for c in columns
    )


def _is_series_a_row(frame: pl.DataFrame) -> bool:
    """Whether each row is a series, its name before its values, as in the files of the M competitions."""
    names = [name.strip().lower() for name in frame.columns]
    if len(names) < 4 or names[0] not in _ROW_NAMES or not all(re.fullmatch(r"v?\d+", name) for name in names[1:]):
        return False
    return not any(map(_is_number, frame[frame.columns[0]].head(5).to_list()))


def _rows_as_series(frame: pl.DataFrame, file: DecodedFile) -> pl.DataFrame:
    parts: list[pl.DataFrame] = []
    for row in frame.iter_rows():
        values = [cell for cell in row[1:] if cell is not None and cell.strip()]
        parts.append(pl.DataFrame({ID: [row[0]] * len(values), TIME: np.arange(1, len(values) + 1), TARGET: values}))
    if not parts:
        raise data_error(file.path, "is empty; give a row for each series")
    return pl.concat(parts)


def _json_table(file: DecodedFile, columns: SeriesColumns) -> SeriesTable:
    records: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    try:
        if file.text.lstrip().startswith("["):
            records = json.loads(file.text)
            numbers = list(range(1, len(records) + 1))
        else:
            for number, line in enumerate(file.text.split("\n"), 1):
                if line.strip():
                    numbers.append(number)
                    records.append(json.loads(line))
    except ValueError as error:
        raise data_error(file.path, f"not JSON ({error})", line=(numbers or [1])[-1]) from error
    if not records or not all(isinstance(record, dict) for record in records):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise data_error(file.path, "must hold an object for each row")
    if isinstance(records[0].get("target"), list):
        return _gluon_table(file, records, columns)
    frame = pl.DataFrame([dict(record) for record in records], infer_schema_length=None)
    return table_of(frame, columns, name=file.path, place=lambda row: f"{file.path}:{numbers[row]}")


def _gluon_table(file: DecodedFile, records: list[Mapping[str, Any]], columns: SeriesColumns) -> SeriesTable:
    """A series an object: start, target and, perhaps, item_id, as GluonTS writes them."""
    frequency = columns.frequency or records[0].get("freq")
    series = [
        (str(record.get("item_id", number)), record.get("start"), record["target"])
        for number, record in enumerate(records)
    ]
    return table_of(
        _long(series, frequency if all(start for _, start, _ in series) else None),
        replace(columns, frequency=None),
        name=file.path,
    )


_MONASH_FREQUENCIES = {
    "yearly": "year", "quarterly": "quarter", "monthly": "month", "weekly": "week", "daily": "day", "hourly": "hour",
    "half_hourly": "30min", "10_minutes": "10min", "4_seconds": "4s", "minutely": "min",
}  # fmt: skip


def _monash(file: DecodedFile, columns: SeriesColumns) -> tuple[pl.DataFrame, SeriesColumns]:
    """Monash's .tsf (https://forecastingdata.org): attributes, then a series a line, values after its last colon."""
    attributes: list[str] = []
    frequency: str | None = None
    series: list[tuple[str, str | None, list[float]]] = []
    in_data = False
    for number, line in enumerate(file.text.split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if in_data:
            *fields, values = text.split(":")
            if len(fields) != len(attributes):
                raise data_error(
                    file.path, f"has {len(fields)} attributes, {len(attributes)} are declared", line=number
                )
            about = dict(zip(attributes, fields, strict=True))
            start = about.get("start_timestamp")
            try:
                numbers = [float("nan") if value == "?" else float(value) for value in values.split(",")]
            except ValueError as error:
                raise data_error(file.path, f"holds a value that is no number ({error})", line=number) from error
            stamp = None if start is None else f"{start[:10]} {start[11:].replace('-', ':')}".strip()
            series.append((about.get("series_name", f"T{len(series) + 1}"), stamp, numbers))
        elif text.lower().startswith("@attribute"):
            attributes.append(text.split()[1])
        elif text.lower().startswith("@frequency"):
            frequency = text.split()[1]
        in_data = in_data or text.lower() == "@data"
    if not series:
        raise data_error(file.path, "holds no series after @data")
    known = _MONASH_FREQUENCIES.get(frequency or "", frequency)
    return _long(series, columns.frequency or known), replace(columns, frequency=None)


def _long(series: list[tuple[str, str | None, list[float]]], frequency: str | None) -> pl.DataFrame:
    parts: list[pl.DataFrame] = []
    for name, start, values in series:
        steps: Any = np.arange(1, len(values) + 1)
        if frequency is not None and start is not None:
            first = first_stamp(start)
            grid = frequency_of(frequency, first)
            steps = grid.stamps(grid.positions(np.array([first]))[0] + steps - 1)
        parts.append(pl.DataFrame({ID: [name] * len(values), TIME: steps, TARGET: np.array(values, dtype=np.float64)}))
    return pl.concat(parts)
