"""Sequences of numbers in tables and JSON lines: a row for each step, a row for each sequence, an object for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from throughtime.data.labelled_formats import LABEL_NAMES
from throughtime.data.labelled_sequences import (
    LabelledSequences,
    Numbers,
    SequenceExample,
    checked_numbers,
    with_channels,
)
from throughtime.data.table_rows import first_named, header_cells, json_rows, listed, table_rows
from throughtime.data.text_encodings import DecodedFile
from throughtime.errors import ArgumentError, DataError, counted, data_error

VALUE_NAMES = ("values", "x", "data", "sequence", "series", "signal", "signals", "inputs", "sequences")
ID_NAMES = ("id", "sequence_id", "sequence", "series", "unique_id", "series_id", "case", "case_id", "sample_id", "unit",
            "unit_id", "recording", "sample")  # fmt: skip
TIME_NAMES = ("time", "t", "step", "timestamp", "ds", "date", "datetime", "cycle", "frame")
MISSING = ("", "na", "nan", "null", "none")
FEWEST_COLUMNS = 5
"""Numbers of a row below which a table without steps isn't taken for one of sequences."""


@dataclass(frozen=True)
class SequenceColumns:
    """Where a table has what; recognised where None.

    Attributes:
        id: the column that says to which sequence a row belongs.
        time: the column that the rows of a sequence are sorted by.
        label: the column of the label.
        separator: what stands between several labels.
    """

    id: str | None = None
    time: str | None = None
    label: str | None = None
    separator: str | None = None


RECOGNISED_SEQUENCES = SequenceColumns()


def sequence_format(head: str, columns: SequenceColumns = RECOGNISED_SEQUENCES) -> str | None:
    """What the beginning of a text file looks like, if it is one of sequences of numbers.

    Args:
        head: its first lines, of which the last may be cut.
        columns: where the user said that things are.

    Returns:
        "jsonl", an object for each sequence; "steps", a row for each step; "rows", a row for each sequence; or None.
    """
    lines = [line for line in head.split("\n") if line.strip()]
    if lines and lines[0].lstrip().startswith(("{", "[")):
        return _json_format(lines[0])
    if columns.id is not None:
        return "steps"
    return _table_format(lines, columns) if lines else None


def _table_format(lines: Sequence[str], columns: SequenceColumns) -> str | None:
    delimiter = "\t" if "\t" in lines[0] else ","
    rows = [header_cells(line, delimiter) for line in lines[:2]]
    header, first = rows[0], rows[-1]
    if all(map(_is_number, header)):
        return "rows" if len(header) > FEWEST_COLUMNS else None
    label = columns.label or first_named(header, LABEL_NAMES)
    own = first_named(header, ID_NAMES)
    named = {label, first_named(header, LABEL_NAMES), own, _time(header, columns)}
    others = [cell for name, cell in zip(header, first, strict=False) if name not in named]
    if not others or not all(_is_number(cell) or _is_missing(cell) for cell in others):
        # Of a row for each sequence, the label may be a word.
        return "rows" if len(header) > FEWEST_COLUMNS and all(map(_is_number, header[1:])) else None
    if own in header:
        return "steps"
    return "rows" if label in header and len(others) >= FEWEST_COLUMNS else None


def _json_format(line: str) -> str | None:
    try:
        record = json.loads(line)
    except ValueError:
        return "jsonl" if any(f'"{name}": [' in line or f'"{name}":[' in line for name in VALUE_NAMES) else None
    value: Any = record
    if isinstance(record, dict):
        value = next((record[name] for name in VALUE_NAMES if name in record), None)
    while isinstance(value, list) and value:
        value = value[0]
    return "jsonl" if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_sequence_table(
    file: DecodedFile,
    format: str,  # noqa: A002 - the field's own word
    columns: SequenceColumns = RECOGNISED_SEQUENCES,
    *,
    labelled: bool = True,
) -> LabelledSequences:
    """Read the sequences of a text file.

    Args:
        file: its text.
        format: what ``sequence_format`` gave.
        columns: where things are.
        labelled: whether there must be labels.

    Raises:
        DataError: naming file and line, where something can't be read.
    """
    reader = {"jsonl": _read_json, "steps": _read_steps, "rows": _read_rows}[format]
    try:
        return reader(file, columns, labelled)
    except ArgumentError as error:
        raise DataError(str(error)) from error


def read_one_sequence(file: DecodedFile, channels: Sequence[str]) -> LabelledSequences:
    """Read a table with a row for each step, all of one sequence, and a column for each channel.

    Raises:
        DataError: naming file and line, where a channel has no column, or something is no number.
    """
    rows, header = _with_header(file)
    missing = [name for name in channels if name not in (header or ())]
    if header is None or missing or not channels:
        known = f"; the model reads {listed(channels)}" if channels else ""
        message = "holds no sequences of numbers that are recognised; give JSON lines with values, a table with a row "
        raise data_error(file.path, f"{message}for each sequence, or a row for each step and a column called id{known}")
    places = [header.index(name) for name in channels]
    table = [[_number(cells[place], file, number) for place in places] for number, cells in rows]
    if not table:
        raise data_error(file.path, "is empty; give a file with sequences in it")
    values, _ = _filled(np.array(table, dtype=np.float32), file.path, rows[0][0])
    example = SequenceExample(values, (), f"{file.path}:{rows[0][0]}")
    return _told([example], file, channels, f"{file.path}: a sequence, a row for each step")


def _read_json(file: DecodedFile, columns: SequenceColumns, labelled: bool) -> LabelledSequences:
    examples: list[SequenceExample] = []
    for number, record in json_rows(file):
        place = f"{file.path}:{number}"
        key = first_named(record, VALUE_NAMES)
        if key is None:
            raise data_error(file.path, f"has no values; there is {listed(record)}, and one of {listed(VALUE_NAMES)} "
                             "must hold the numbers", line=number)  # fmt: skip
        label = columns.label or first_named(record, LABEL_NAMES)
        if labelled and (label is None or label not in record):
            raise data_error(file.path, f"has no label; there is {listed(record)}", line=number)
        value = record.get(label) if label else None
        several = value if isinstance(value, list) else [] if value is None else [value]
        examples.append(SequenceExample(checked_numbers(record[key], place), tuple(map(str, several)), place))
    remark = f"{file.path}: {counted(len(examples), 'sequence')}, JSON lines"
    return _told(examples, file, None, remark)


def _read_rows(file: DecodedFile, columns: SequenceColumns, labelled: bool) -> LabelledSequences:
    rows, header = _with_header(file)
    place_of_label: int | None = 0
    if header is not None:
        label = columns.label or first_named(header, LABEL_NAMES)
        place_of_label = header.index(label) if label in header else None
    elif not labelled:
        place_of_label = None
    if labelled and place_of_label is None:
        raise data_error(file.path, f"has no column of labels; there is {listed(header or ())}", line=1)
    examples: list[SequenceExample] = []
    for number, cells in rows:
        given = "" if place_of_label is None else cells[place_of_label].strip()
        others = [cell for place, cell in enumerate(cells) if place != place_of_label]
        while others and _is_missing(others[-1]):
            others.pop()  # a shorter sequence
        values = np.array([_number(cell, file, number) for cell in others], dtype=np.float32)
        values, _ = _filled(values[:, None], file.path, number)
        examples.append(SequenceExample(values, _labels(given, columns) if labelled else (), f"{file.path}:{number}"))
    return _told(examples, file, None, f"{file.path}: {counted(len(examples), 'sequence')}, a row each")


def _read_steps(file: DecodedFile, columns: SequenceColumns, labelled: bool) -> LabelledSequences:
    rows, header = _with_header(file)
    if header is None:
        raise data_error(file.path, "has no names of columns in its first line", line=1)
    own = _column(file, header, columns.id, ID_NAMES, "id")
    label = _column(file, header, columns.label, LABEL_NAMES, "label") if labelled else (
        columns.label or first_named(header, LABEL_NAMES))  # fmt: skip
    time = _time(header, columns)
    named = {own, label, time}
    channels = [name for name in header if name not in named]
    if not channels:
        raise data_error(file.path, f"has no column of numbers beside {listed(named - {None})}", line=1)  # pyright: ignore[reportArgumentType]
    places = {name: header.index(name) for name in header}
    by_id: dict[str, list[tuple[int, list[str]]]] = {}
    for number, cells in rows:
        by_id.setdefault(cells[places[own]].strip(), []).append((number, cells))
    examples: list[SequenceExample] = []
    filled = 0
    for steps in by_id.values():
        if time is not None:
            steps = _sorted(steps, places[time], time, file)  # noqa: PLW2901
        table = [[_number(cells[places[name]], file, number) for name in channels] for number, cells in steps]
        values, count = _filled(np.array(table, dtype=np.float32), file.path, steps[0][0])
        filled += count
        given = _one_label(steps, places[label], label, file) if labelled and label else ""
        labels = _labels(given, columns) if labelled else ()
        examples.append(SequenceExample(values, labels, f"{file.path}:{min(steps)[0]}"))
    how = f"{file.path}: {counted(len(examples), 'sequence')}, a row for each step; sequence in {own!r}, "
    how += f"sorted by {time!r}" if time else "in the order of the rows"
    how += f", label in {label!r}" if labelled else ""
    how += f"; {filled:,} missing numbers are as they were at the step before" if filled else ""
    return _told(examples, file, channels, how)


def _told(
    examples: Sequence[SequenceExample], file: DecodedFile, channels: Sequence[str] | None, remark: str
) -> LabelledSequences:
    if not examples:
        raise data_error(file.path, "is empty; give a file with sequences in it")
    found = with_channels(examples, file.path, channels)
    shown = ", ".join(found.channels[:8]) + (", ..." if len(found.channels) > 8 else "")
    remark += f"; {len(found.channels)} numbers a step" + (f" ({shown})" if channels else "")
    remarks = (remark,) if file.remark is None else (remark, file.remark)
    return LabelledSequences(found.examples, file.path, remarks, found.channels)


def _with_header(file: DecodedFile) -> tuple[list[tuple[int, list[str]]], list[str] | None]:
    first = file.text.lstrip("\n").split("\n", 1)[0]
    table = table_rows(file, "\t" if "\t" in first else ",")
    if not table:
        raise data_error(file.path, "is empty; give a file with sequences in it")
    if all(_is_number(cell) for cell in table[0][1][1:]):
        return table, None
    header = [cell.strip() for cell in table[0][1]]
    for number, cells in table[1:]:
        if len(cells) != len(header):
            raise data_error(file.path, f"has {len(cells)} columns, the first line has {len(header)}", line=number)
    return table[1:], header


def _column(file: DecodedFile, header: Sequence[str], given: str | None, names: Sequence[str], what: str) -> str:
    found = given or first_named(header, names)
    if found is None or found not in header:
        wanted = f"no column {given!r}" if given else f"no column with a known name for the {what}"
        raise data_error(file.path, f"has {wanted}; there is {listed(header)}; give --{what}-column", line=1)
    return found


def _time(header: Iterable[str], columns: SequenceColumns) -> str | None:
    return columns.time or first_named(header, TIME_NAMES)


def _sorted(
    steps: list[tuple[int, list[str]]], place: int, name: str, file: DecodedFile
) -> list[tuple[int, list[str]]]:
    moments = [(_moment(cells[place], name, file, number), number, cells) for number, cells in steps]
    moments.sort(key=lambda moment: moment[0])
    for (before, earlier, _), (moment, number, _) in pairwise(moments):
        if moment == before:
            message = f"has the same {name!r} as line {earlier} of its sequence"
            raise data_error(file.path, message, line=max(number, earlier))
    return [(number, cells) for _, number, cells in moments]


def _moment(cell: str, name: str, file: DecodedFile, number: int) -> float:
    try:
        return float(cell)
    except ValueError:
        try:
            return datetime.fromisoformat(cell.strip()).timestamp()
        except ValueError as error:
            message = f"{name!r} must be a number or a date such as 2024-05-01 12:30, got {cell!r}"
            raise data_error(file.path, message, line=number) from error


def _one_label(steps: Sequence[tuple[int, list[str]]], place: int, name: str, file: DecodedFile) -> str:
    first = steps[0][1][place].strip()
    for number, cells in steps:
        if cells[place].strip() != first:
            message = f"{name!r} is {cells[place]!r}, and {first!r} in line {steps[0][0]} of the same sequence"
            raise data_error(file.path, message, line=number)
    return first


def _labels(cell: str, columns: SequenceColumns) -> tuple[str, ...]:
    if columns.separator is None:
        return (_whole(cell),) if cell else ()
    return tuple(part.strip() for part in cell.split(columns.separator) if part.strip())


def _whole(label: str) -> str:
    """1 for 1.0 and 1.0000000e+00, as some archives write their classes."""
    try:
        number = float(label)
    except ValueError:
        return label
    return str(int(number)) if number.is_integer() else label


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, file: DecodedFile, line: int) -> float:
    if _is_missing(cell):
        return np.nan
    try:
        return float(cell)
    except ValueError as error:
        raise data_error(file.path, f"must be a number, got {cell!r}", line=line) from error


def _filled(values: Numbers, path: str, line: int) -> tuple[Numbers, int]:
    """Missing numbers as at the step before, at the beginning as at the first that is there; and how many they were."""
    missing = ~np.isfinite(values)
    if missing.any():
        if missing.all(axis=0).any():
            raise data_error(path, "the sequence that begins here has a channel without a single number", line=line)
        steps = np.arange(len(values))[:, None]
        last = np.maximum.accumulate(np.where(missing, -1, steps), axis=0)
        first = (~missing).argmax(axis=0)
        values = np.take_along_axis(values, np.where(last < 0, first, last), axis=0)
    return values, int(missing.sum())
