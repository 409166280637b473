"""Texts with labels in one file: its format is recognised, and so are the columns that hold text and label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import cast

from throughtime.data.labelled_text import Example, LabelledText
from throughtime.data.table_rows import first_named, header_cells, json_rows, lines_of, listed, table_rows
from throughtime.data.text_encodings import DecodedFile
from throughtime.errors import ArgumentError, DataError, counted, data_error

FORMATS = ("csv", "tsv", "jsonl", "fasttext", "label-first")
PREFIX = "__label__"
TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "question", "message", "body", "tweet", "document")
LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "polarity", "topic", "intent", "rating")

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SAMPLE = 1_000
_MOST_CLASSES = 1_000


@dataclass(frozen=True)
class Columns:
    """Where a row has its text and its label.

    Attributes:
        text: the name of the text's column, or its number from 1; recognised if None.
        label: the same of the label's.
        separator: what stands between several labels of a row of CSV or TSV; None where there is one alone.
    """

    text: str | None = None
    label: str | None = None
    separator: str | None = None


RECOGNISED = Columns()


def recognised_format(file: DecodedFile) -> str:
    """The format of a file, from its name or else from its first lines."""
    name = PurePath(file.path.lower().removesuffix(".gz"))
    if name.suffix in _SUFFIXES:
        return _SUFFIXES[name.suffix]
    sample = [line for line in islice(lines_of(file.text), _SAMPLE) if line.strip()]
    if sample and sample[0].lstrip().startswith("{"):
        return "jsonl"
    if any(line.startswith(PREFIX) for line in sample):
        return "fasttext"
    if sample and all("\t" in line for line in sample):
        return "tsv"
    header = header_cells(sample[0]) if sample else []
    return "csv" if first_named(header, TEXT_NAMES) and first_named(header, LABEL_NAMES) else "label-first"


def read_labelled(file: DecodedFile, columns: Columns = RECOGNISED, *, format: str | None = None) -> LabelledText:  # noqa: A002 - the field's own word
    """Read the examples of a file.

    A row without text or without label is left out, and that is told. The formats:

    - csv, tsv: columns with a header that names them, or without, where the column with the longest fields is the text
      and, of the others, that with the fewest different values is the label;
    - jsonl: one JSON object a line;
    - fasttext: a line begins with its labels, each after ``__label__``;
    - label-first: the first word of a line is its label.

    Args:
        file: what to read.
        columns: where text and label are (csv, tsv, jsonl).
        format: one of FORMATS; recognised if None.

    Raises:
        DataError: naming file and line, where a row can't be read, a column isn't there, or nothing is left.
    """
    kind = format or recognised_format(file)
    if kind == "jsonl":
        rows, how = _json_rows(file, columns)
    elif kind in {"csv", "tsv"}:
        rows, how = _table_rows(file, columns, "\t" if kind == "tsv" else ",")
    elif kind == "fasttext":
        rows, how = _fasttext_rows(file), "labels after __label__"
    else:
        rows, how = _label_first_rows(file), "the first word of a line is its label"
    examples: list[Example] = []
    without: list[str] = []
    for example in rows:
        if example.text.strip() and (example.labels or kind in {"jsonl", "fasttext"}):
            examples.append(example)
        else:
            without.append(example.place)
    if not examples:
        raise data_error(file.path, f"has no row with a text and a label (read as {kind}: {how})")
    left_out = f", {len(without):,} without text or label left out, the first at {without[0]}" if without else ""
    remark = f"{file.path}: {counted(len(examples), 'row')}, {kind}, {how}, {file.encoding}{left_out}"
    remarks = (remark,) if file.remark is None else (remark, file.remark)
    return LabelledText(tuple(examples), file.path, remarks)


def unlabelled_lines(file: DecodedFile, label: str) -> LabelledText:
    """The lines of a file that all have one label, as in a data set with a file for each class."""
    rows = tuple(
        Example(line.strip(), (label,), f"{file.path}:{number}")
        for number, line in enumerate(lines_of(file.text), 1)
        if line.strip()
    )
    if not rows:
        raise data_error(file.path, "is empty; give a file with a text on each line")
    remark = f"{file.path}: {counted(len(rows), 'line')}, all labelled {label!r}, {file.encoding}"
    return LabelledText(rows, file.path, (remark,) if file.remark is None else (remark, file.remark))


def _fasttext_rows(file: DecodedFile) -> Iterator[Example]:
    for number, line in enumerate(lines_of(file.text), 1):
        words = line.split()
        labels = tuple(word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX))
        text = " ".join(word for word in words if not word.startswith(PREFIX))
        if words:
            yield Example(text, labels, f"{file.path}:{number}")


def _label_first_rows(file: DecodedFile) -> Iterator[Example]:
    rows: list[Example] = []
    for number, line in enumerate(lines_of(file.text), 1):
        label, _, text = line.strip().partition(" ")
        if label:
            rows.append(Example(text.strip(), (label,), f"{file.path}:{number}"))
    different = len({row.labels for row in rows})
    if different > max(len(rows) // 2, 1) or different > _MOST_CLASSES:
        raise data_error(
            file.path,
            f"the first words of its {len(rows):,} lines are {different:,} different ones, too many to be labels; give "
            "CSV, TSV or JSONL with named columns, lines with __label__, or a file or folder for each class",
        )
    return iter(rows)


def _json_rows(file: DecodedFile, columns: Columns) -> tuple[Iterator[Example], str]:
    records = list(json_rows(file))
    if not records:
        raise data_error(file.path, "is empty; give a file with a JSON object on each line")
    names = list(records[0][1])
    text = _key(columns.text, names, TEXT_NAMES, "text", file.path)
    label = _key(columns.label, names, LABEL_NAMES, "label", file.path)

    def rows() -> Iterator[Example]:
        for number, record in records:
            for key in (text, label):
                if key not in record:
                    raise data_error(file.path, f"has no {key!r}; there is {listed(record)}", line=number)
            value, labels = record[text], _several(record[label])
            if not isinstance(value, str):
                raise data_error(file.path, f"{text!r} must be a string, got {type(value).__name__}", line=number)
            yield Example(value, labels, f"{file.path}:{number}")

    return rows(), f"text in {text!r}, label in {label!r}"


def _several(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else (str(value),)


def _table_rows(file: DecodedFile, columns: Columns, delimiter: str) -> tuple[Iterator[Example], str]:
    table = table_rows(file, delimiter)
    if not table:
        raise data_error(file.path, "is empty; give a file with a row for each text")
    header = [cell.strip() for cell in table[0][1]]
    width = len(header)
    for line, cells in table:
        if len(cells) != width:
            message = f"has {counted(len(cells), 'column')} where the first row has {width}"
            raise data_error(file.path, f"{message}; a quote may be missing, or a text with a comma in it", line=line)
    if _has_header(table, columns):
        text = header.index(_key(columns.text, header, TEXT_NAMES, "text", file.path))
        label = header.index(_key(columns.label, header, LABEL_NAMES, "label", file.path))
        body, how = table[1:], f"text in column {header[text]!r}, label in {header[label]!r}"
    else:
        text, label = _guessed(table, columns, file.path)
        has_title = _is_title(table, label)
        body = table[has_title:]
        how = f"text in column {text + 1}, label in column {label + 1}"
        how += f", the first row is a header ({header[text]!r}, {header[label]!r})" if has_title else ", no header"

    def labels_of(cell: str) -> tuple[str, ...]:
        parts = cell.split(columns.separator) if columns.separator else [cell]
        return tuple(part.strip() for part in parts if part.strip())

    rows = (Example(cells[text], labels_of(cells[label]), f"{file.path}:{line}") for line, cells in body)
    return rows, how


def _has_header(table: Sequence[tuple[int, list[str]]], columns: Columns) -> bool:
    header = [cell.strip() for cell in table[0][1]]
    if any(name is not None and not name.isdecimal() for name in (columns.text, columns.label)):
        return True
    return columns.text is columns.label is None and bool(
        first_named(header, TEXT_NAMES) and first_named(header, LABEL_NAMES)
    )


def _key(given: str | None, present: Sequence[str], names: Sequence[str], what: str, path: str) -> str:
    if given is not None and given in present:
        return given
    if given is not None and given.isdecimal() and 1 <= int(given) <= len(present):
        return present[int(given) - 1]
    found = first_named(present, names) if given is None else None
    if found is None:
        wanted = f"no column {given!r}" if given is not None else f"no column with a known name for the {what}"
        raise data_error(path, f"has {wanted}; there is {listed(present)}; give --{what}-column", line=1)
    return found


def _guessed(table: Sequence[tuple[int, list[str]]], columns: Columns, path: str) -> tuple[int, int]:
    sample = [cells for _, cells in table]
    width = len(sample[0])

    def number(given: str | None, what: str) -> int | None:
        if given is None:
            return None
        if not 1 <= int(given) <= width:
            raise DataError(f"{path}: `{what}_column` must be from 1 to {width}, got {given}")
        return int(given) - 1

    text, label = number(columns.text, "text"), number(columns.label, "label")
    if width < 2:
        raise data_error(path, "has one column alone; a text and its label need two", line=table[0][0])
    if text is None:
        lengths = [sum(len(cells[column]) for cells in sample) for column in range(width)]
        text = max((column for column in range(width) if column != label), key=lengths.__getitem__)
    if label is None:
        # One value that is always the same says nothing.
        different = [len({cells[column] for cells in sample}) for column in range(width)]
        others = [column for column in range(width) if column != text]
        label = min(others, key=lambda column: (different[column] < 2, different[column]))
    if text == label:
        raise ArgumentError(f"`text_column` and `label_column` must be different, got {text + 1} for both")
    return text, label


def _is_title(table: Sequence[tuple[int, list[str]]], label: int) -> bool:
    """Whether the first row's label occurs nowhere else, while every other does."""
    counts = Counter(cells[label] for _, cells in table)
    first = table[0][1][label]
    return counts[first] == 1 and len(counts) > 2 and all(count > 1 for name, count in counts.items() if name != first)
