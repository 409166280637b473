"""Labelled sequences of numbers as people keep them: NPZ, IDX, JSON lines, tables; alone or as parts in a folder."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.data.image_arrays import (
    NPZ_BEGINS,
    Arrays,
    idx_part,
    is_idx_images,
    labels_beside,
    read_idx,
    read_npz,
)
from throughtime.data.labelled_examples import split_off
from throughtime.data.labelled_sequences import (
    LabelledSequences,
    SequenceExample,
    check_same_channels,
    checked_numbers,
    with_channels,
)
from throughtime.data.sequence_tables import (
    RECOGNISED_SEQUENCES,
    SequenceColumns,
    read_one_sequence,
    read_sequence_table,
    sequence_format,
)
from throughtime.data.splits import Splits, joined_parts, splits_of
from throughtime.data.text import part_of
from throughtime.data.text_encodings import decode_file, read_text_file
from throughtime.errors import ArgumentError, DataError, counted, data_error

VALUE_ARRAYS = ("values", "x", "data", "sequences", "sequence", "inputs", "signals", "images")
LABEL_ARRAYS = ("labels", "y", "label", "targets", "target", "classes")
LENGTH_ARRAYS = ("lengths", "length", "sizes")
_PARTS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "test": "test"}
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".txt")
_HEAD = 1 << 16


def holds_sequences(sources: Sequence[object], columns: SequenceColumns = RECOGNISED_SEQUENCES) -> bool:
    """Whether what the user gave are sequences of numbers, by the names of the files or by how they begin."""
    return any(
        isinstance(source, LabelledSequences)
        or (isinstance(source, Path | str) and any(_is_sequences(file, columns) for file in _files(Path(source))))
        for source in sources
    )


def find_sequences(
    sources: Sequence[LabelledSequences | Path | str],
    columns: SequenceColumns = RECOGNISED_SEQUENCES,
    *,
    encoding: str | None = None,
    labelled: bool = True,
) -> dict[str, LabelledSequences]:
    """Find the parts of a set of labelled sequences in what the user gave.

    Args:
        sources: ``LabelledSequences``; files: NPZ, IDX (the labels' file beside it is found), JSON lines, CSV or TSV;
            or folders with such files, of which those called train, valid and test are these parts.
        columns: where a table has what.
        encoding: of text files; recognised if None.
        labelled: whether there must be labels.

    Returns:
        The sequences of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming file and line.
    """
    found: dict[str, list[LabelledSequences]] = {}
    for source in sources:
        if isinstance(source, LabelledSequences):
            found.setdefault("train", []).append(source)
            continue
        path = Path(source)
        files = [file for file in _files(path) if not path.is_dir() or _is_sequences(file, columns)]
        if not files:
            raise data_error(path, "this folder has no files of sequences: NPZ, IDX, JSON lines, CSV or TSV")
        for file in files:
            for part, sequences in _file(file, columns, encoding, labelled=labelled):
                found.setdefault(part, []).append(sequences)
    return joined_parts(found)


def read_sequences(
    content: bytes,
    columns: SequenceColumns = RECOGNISED_SEQUENCES,
    *,
    channels: Sequence[str] = (),
    encoding: str | None = None,
    most_bytes: int | None = None,
) -> LabelledSequences:
    """Read sequences without labels from the content of a file: NPZ, JSON lines, CSV or TSV.

    Args:
        content: of the file.
        columns: where a table has what.
        channels: of a model; a table that has a column for each, and none that says to which sequence a row belongs, is
            one sequence.
        encoding: of a text; recognised if None.
        most_bytes: arrays that take more are refused.

    Raises:
        DataError: where it can't be read.
    """
    if content.startswith(NPZ_BEGINS):
        parts = _npz(read_npz(content, most_bytes=most_bytes), "the file", labelled=False)
        first, *others = (sequences for _, sequences in parts)
        return first.joined(*others)
    file = decode_file(content, "the file", encoding)
    format = sequence_format(file.text[:_HEAD], columns)  # noqa: A001 - the field's own word
    if format is None:
        return read_one_sequence(file, channels)
    return read_sequence_table(file, format, columns, labelled=False)


def split_sequences(
    parts: dict[str, LabelledSequences], validation_fraction: float, *, seed: int
) -> Splits[LabelledSequences]:
    """Take a validation part, the same share of each class, out of the training part where there is none.

    Raises:
        DataError: where there is no training part, it is too small, or the parts have other channels.
    """
    splits = splits_of(parts, lambda train: split_off(train, validation_fraction, seed=seed))
    check_same_channels([splits.train, splits.valid, splits.test])
    return splits


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))


def _is_sequences(path: Path, columns: SequenceColumns) -> bool:
    name = path.name.lower().removesuffix(".gz")
    if is_idx_images(path) or name.endswith(".npz"):
        return True
    return name.endswith(_TABLES) and path.is_file() and sequence_format(_head(path), columns) is not None


def _head(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8", errors="replace")
    except (OSError, EOFError):
        return ""  # whoever reads it says what is wrong


def _file(
    path: Path, columns: SequenceColumns, encoding: str | None, *, labelled: bool
) -> Iterator[tuple[str, LabelledSequences]]:
    name = path.name.lower().removesuffix(".gz")
    if is_idx_images(path):
        yield idx_part(path), _idx(path, labelled=labelled)
    elif name.endswith(".npz"):
        for part, sequences in _npz(read_npz(path), path, labelled=labelled):
            yield (part if part != "train" else part_of(path.name) or part), sequences
    else:
        file = read_text_file(path, encoding)
        format = sequence_format(file.text[:_HEAD], columns)  # noqa: A001 - the field's own word
        if format is None:
            message = "holds no sequences of numbers that are recognised; give a table with a row for each step and "
            raise data_error(path, message + "--id-column, or JSON lines with values")
        yield part_of(path.name) or "train", read_sequence_table(file, format, columns, labelled=labelled)


def _idx(path: Path, *, labelled: bool) -> LabelledSequences:
    values = read_idx(path)
    if values.ndim != 3:
        raise data_error(
            path, f"must hold pictures of rows of pixels, shape (pictures, rows, columns), got {values.shape}"
        )
    labels = None
    if labelled:
        beside = labels_beside(path)
        if not beside.exists():
            raise data_error(path, f"has no labels beside it; there should be {beside.name}")
        labels = read_idx(beside)
    remark = f"{path}: {len(values):,} pictures, each a sequence of {values.shape[1]} rows of {values.shape[2]} pixels"
    return replace(_of_arrays(path, values, labels, None), remarks=(remark,), alike=True)


def _npz(arrays: Arrays, path: Path | str, *, labelled: bool) -> Iterator[tuple[str, LabelledSequences]]:
    roles: dict[str, dict[str, str]] = {}
    for name in arrays:
        words = name.lower().split("_")
        part = next((_PARTS[word] for word in words if word in _PARTS), "train")
        for role, names in (("values", VALUE_ARRAYS), ("labels", LABEL_ARRAYS), ("lengths", LENGTH_ARRAYS)):
            if any(word in names for word in words):
                roles.setdefault(part, {}).setdefault(role, name)
    roles = {part: own for part, own in roles.items() if "values" in own}
    if not roles:
        raise data_error(path, f"has no array called values or x; its arrays are {', '.join(arrays) or 'none'}")
    for part, own in roles.items():
        if labelled and "labels" not in own:
            message = f"has {own['values']!r} and no labels or y for it; its arrays are {', '.join(arrays)}"
            raise data_error(path, message)
        chosen = {role: arrays[name] for role, name in own.items()}
        found = _of_arrays(path, chosen["values"], chosen.get("labels") if labelled else None, chosen.get("lengths"))
        if "channels" in arrays:
            names = tuple(map(str, arrays["channels"].tolist()))
            if len(names) != len(found.channels):
                raise data_error(path, f"has {len(names)} names in 'channels' and {len(found.channels)} numbers a step")
            found = replace(found, channels=names)
        alike = chosen["values"].dtype == np.uint8
        remark = (
            f"{path}: {len(found):,} sequences, {len(found.channels)} numbers a step, NPZ, {' and '.join(own.values())}"
        )
        yield part, replace(found, remarks=(remark,), alike=alike)


def _of_arrays(
    path: Path | str, values: npt.NDArray[Any], labels: npt.NDArray[Any] | None, lengths: npt.NDArray[Any] | None
) -> LabelledSequences:
    """Sequences from an array of shape (sequences, time, channel), (sequences, time), or (all steps, channel)."""
    if values.ndim not in {2, 3} or 0 in values.shape:
        wanted = "(sequences, time, channel) or (sequences, time)"
        raise data_error(path, f"its values must have shape {wanted}, got {values.shape}")
    parts: Iterable[npt.NDArray[Any]] = values
    if lengths is not None:
        counts = lengths.reshape(-1).astype(np.int64)
        if counts.min(initial=1) < 1:
            raise data_error(path, f"its lengths must be 1 at least, got {int(counts.min())}")
        if len(counts) == len(values) and counts.max() <= values.shape[1]:
            parts = [row[:count] for row, count in zip(values, counts.tolist(), strict=True)]
        elif values.ndim == 2 and counts.sum() == len(values):
            parts = np.split(values, np.cumsum(counts)[:-1])
        else:
            raise data_error(
                path, f"has {len(counts)} lengths, up to {counts.max()}, and values of shape {values.shape}"
            )
    pieces = list(parts)
    names: list[tuple[str, ...]] = [()] * len(pieces)
    if labels is not None:
        flat = labels.reshape(len(labels), -1)
        if flat.shape[1] != 1 or len(flat) != len(pieces):
            message = f"has {counted(len(pieces), 'sequence')} and labels of shape {labels.shape}; one each is needed"
            raise data_error(path, message)
        names = [(str(label),) for label in flat[:, 0].tolist()]
    try:
        examples = [
            SequenceExample(checked_numbers(piece, f"{path}[{number}]"), label, f"{path}[{number}]")
            for number, (piece, label) in enumerate(zip(pieces, names, strict=True))
        ]
        return with_channels(examples, str(path), None)
    except ArgumentError as error:
        raise DataError(str(error)) from error
