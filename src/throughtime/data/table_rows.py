"""Rows of tables and of JSON lines, each with its place in the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from throughtime.data.text_encodings import DecodedFile
from throughtime.errors import data_error


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text, without their ends."""
    # str.splitlines would cut at characters that are no line ends in such files, such as U+0085.
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def table_rows(file: DecodedFile, delimiter: str) -> list[tuple[int, list[str]]]:
    """The rows of a table with the lines on which they begin; empty ones left out.

    Raises:
        DataError: naming file and line, where the columns can't be told apart.
    """
    if delimiter == "\t":
        # In tab-separated text a quote is mostly a quote; it is a bracket where all cells of a column have them, or
        # where else the columns don't come out even.
        plain = [(number, line.split("\t")) for number, line in enumerate(lines_of(file.text), 1) if line.strip()]
        is_even = len({len(cells) for _, cells in plain}) == 1
        columns = zip(*(cells for _, cells in plain), strict=True) if is_even else ()
        if is_even and not any(all(map(_is_quoted, column)) for column in columns):
            return plain
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader((line + "\n" for line in lines_of(file.text)), delimiter=delimiter)
    begin = 1
    try:
        for cells in reader:
            if cells:
                rows.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        message = f"cannot be read as columns ({error}); a quote may not be closed"
        raise data_error(file.path, message, line=begin) from error
    return rows


def header_cells(line: str, delimiter: str = ",") -> list[str]:
    """The cells of a single line; none where it can't be read as such, as of a file that is no table."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def json_rows(file: DecodedFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file that has one a line, each with its line.

    Raises:
        DataError: naming file and line, where a line is no JSON object.
    """
    for number, line in enumerate(lines_of(file.text), 1):
        if not line.strip():
            continue
        try:
            record: object = json.loads(line)
        except ValueError as error:
            raise data_error(file.path, f"not a JSON object ({error})", line=number) from error
        if not isinstance(record, dict):
            raise data_error(file.path, f"must be a JSON object, got {type(record).__name__}", line=number)
        yield number, cast("dict[str, Any]", record)


def first_named(header: Iterable[str], names: Sequence[str]) -> str | None:
    """The column whose name, in whatever case, is nearest to the beginning of the list."""
    known = {cell.strip().lower(): cell for cell in header}
    return next((known[name] for name in names if name in known), None)


def listed(names: Iterable[str]) -> str:
    """Names in quotes, for messages."""
    return ", ".join(map(repr, names)) or "none"
