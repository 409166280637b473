"""Word vectors as text: word2vec's and fastText's with a header, GloVe's without, and TensorBoard's pair of tables."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError, data_error
from throughtime.files import write_text
from throughtime.word2vec.nearest import Matrix
from throughtime.word2vec.table import (
    Table,
    TableBuilder,
    check_words,
    line_blocks,
    opened,
    read_header,
    rows_at_once,
    written,
)

SPACES = " \t\n\r\v\f"
FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_word2vec_text(path: Path) -> Table:
    """Read the text format of word2vec and fastText: a line "count size", then a word and its numbers a line.

    Raises:
        DataError: naming the line.
    """
    with opened(path) as (file, size):
        count, features = read_header(path, file, size, lambda features: 2 * features + 2)
        builder = TableBuilder(path, features, first_line=2)
        for block in line_blocks(path, file):
            builder.add(*_parse(builder, block))
            if len(builder.words) > count:
                raise data_error(path, f"goes on after the {count:,} words that its first line names", line=count + 2)
    if len(builder.words) < count:
        message = f"ends after {len(builder.words):,} of the {count:,} words that its first line names"
        raise data_error(path, message, line=len(builder.words) + 1)
    return builder.table()


def read_glove(path: Path) -> Table:
    """Read GloVe's text format: a word and its numbers a line; words may have spaces, as some of GloVe's own do.

    Raises:
        DataError: naming the line.
    """
    with opened(path) as (file, _):
        builder = None
        for block in line_blocks(path, file):
            if builder is None:
                first = block.partition(b"\n")[0].split()
                builder = TableBuilder(path, _numbers_at_end(first[1:]), first_line=1)
                if not builder.size:
                    raise data_error(path, "must be a word and its numbers", line=1)
            builder.add(*_parse(builder, block, spaces_in_words=True))
    if builder is None:
        raise data_error(path, "is empty; give a file of word vectors")
    return builder.table()


def read_projector(path: Path) -> Table:
    """Read the two tables of TensorBoard's embedding projector: of numbers, and of words in ``metadata_path(path)``.

    Raises:
        DataError: naming the line, also where one table is longer than the other.
    """
    metadata = metadata_path(path)
    words, counts = _read_metadata(metadata)
    with opened(path) as (file, _):
        builder = None
        for block in line_blocks(path, file):
            lines = block.replace(b"\t", b" ")
            if builder is None:
                first = lines.partition(b"\n")[0].split()
                builder = TableBuilder(path, len(first), first_line=1)
            start = len(builder.words)
            _, values = _parse(builder, lines, words_first=False)
            if start + len(values) > len(words):
                message = f"has more vectors than {metadata.name} has words, {len(words):,}"
                raise data_error(path, message, line=len(words) + 1)
            builder.add(words[start : start + len(values)], values)
    if builder is None:
        raise data_error(path, "is empty; give a file of word vectors")
    if len(builder.words) < len(words):
        raise data_error(path, f"has {len(builder.words):,} vectors, but {metadata.name} {len(words):,} words")
    return builder.table()._replace(counts=counts)


def metadata_path(vectors: Path) -> Path:
    """Where the words of a projector's table stand: metadata.tsv for vectors.tsv, x_metadata.tsv for x_tensor.tsv."""
    for ending in ("vectors", "tensor", "tensors"):
        if vectors.stem.endswith(ending):
            return vectors.with_name(vectors.stem.removesuffix(ending) + "metadata.tsv")
    return vectors.with_name(vectors.stem + "_metadata.tsv")


def write_text_format(path: Path, table: Table, format: str) -> None:  # noqa: A002 - the field's own word
    """Write word2vec's text format ("word2vec-text", "fasttext-vec") or GloVe's ("glove"), gzipped if named .gz.

    Numbers have nine digits, from which float32 comes back exactly.

    Raises:
        ArgumentError: where a word has a space in it.
    """
    check_words(table.words, SPACES, format, "a space or a line end", "write safetensors, which stores any word")
    with written(path, compress=path.suffix.lower() == ".gz") as file:
        if format != "glove":
            file.write(f"{len(table.words)} {table.vectors.shape[1]}\n".encode())
        pattern = "%s" + " %.9g" * table.vectors.shape[1] + "\n"
        for rows in rows_at_once(table.vectors):
            numbers = table.vectors[rows].tolist()
            lines = [pattern % (word, *row) for word, row in zip(table.words[rows], numbers, strict=True)]
            file.write("".join(lines).encode())


def write_projector(path: Path, table: Table) -> None:
    """Write a table of the vectors for TensorBoard's embedding projector, and one of the words and counts beside it.

    Raises:
        ArgumentError: where a word has a tab or a line end in it.
    """
    if path.suffix.lower() == ".gz":
        raise ArgumentError(f"{path}: TensorBoard reads no .gz; give a name that ends in .tsv")
    check_words(table.words, "\t\n\r", "projector", "a tab or a line end", "write safetensors, which stores any word")
    if table.counts is None:
        lines = list(table.words)
    else:  # TensorBoard wants names of columns where there is more than one, and only there
        lines = ["word\tcount", *(f"{w}\t{c}" for w, c in zip(table.words, table.counts.tolist(), strict=True))]
    write_text(metadata_path(path), "\n".join(lines) + "\n")
    pattern = "\t".join(["%.9g"] * table.vectors.shape[1]) + "\n"
    with written(path, compress=False) as file:
        for rows in rows_at_once(table.vectors):
            file.write("".join(pattern % tuple(row) for row in table.vectors[rows].tolist()).encode())


def is_number(text: bytes) -> bool:
    """Whether this is a number as text formats have them; nan and inf are, so that their line can be named."""
    try:
        float(text)
    except ValueError:
        return False
    return b"_" not in text


def _parse(
    builder: TableBuilder, block: bytes, *, words_first: bool = True, spaces_in_words: bool = False
) -> tuple[list[bytes], Matrix]:
    """The words and numbers of whole lines; words stay empty where lines have none."""
    parsed = _parse_regular(block, builder.size, words_first=words_first)
    if parsed is not None:
        return parsed
    words: list[bytes] = []
    rows: list[list[float]] = []
    for line in block.removesuffix(b"\n").split(b"\n"):
        start = len(builder.words) + len(rows)
        parts = line.split()
        cut = len(parts) - builder.size
        # A number more than the others have is a mistake, anything else a word of several parts.
        has_spaces = spaces_in_words and cut > 1 and not is_number(parts[cut - 1])
        if cut != words_first and not has_spaces:
            have = f"{len(parts) - words_first} numbers" if parts else "nothing"
            shown = f" after {parts[0].decode('utf-8', 'replace')!r}" if words_first and parts else ""
            raise builder.error(f"has {have}{shown}, must have {builder.size}", start)
        words.append(b" ".join(parts[:cut]))
        rows.append([_number(part, lambda message, row=start: builder.error(message, row)) for part in parts[cut:]])
    return words, np.array(rows, dtype=np.float32)


def _parse_regular(block: bytes, size: int, *, words_first: bool) -> tuple[list[bytes], Matrix] | None:
    """Parse lines with single spaces and the right number of numbers; None where a line is anything else.

    One call parses the numbers of all lines, and it takes "1-2" for two numbers. But where each line has ``size``
    parts, and each part is at least one number, and there are ``size`` numbers a line in all, each part is one.
    """
    if b"  " in block or any(space in block for space in (b"\t", b"\r", b"\v", b"\f")):
        return None
    words: list[bytes] = []
    tails: list[bytes] = []
    for line in block.removesuffix(b"\n").split(b"\n"):
        word, _, tail = line.partition(b" ") if words_first else (b"-", b"", line)
        if not word or tail.count(b" ") != size - 1:
            return None
        words.append(word)
        tails.append(tail)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # some versions of numpy only warn of what is no number
        try:
            values: npt.NDArray[np.float32] = np.fromstring(b" ".join(tails), dtype=np.float32, sep=" ")  # pyright: ignore[reportArgumentType] - bytes do
        except (ValueError, DeprecationWarning):
            return None
    if len(values) != len(tails) * size or not np.isfinite(values).all():
        return None
    return words, values.reshape(-1, size)


def _number(text: bytes, error: Callable[[str], Exception]) -> float:
    if not is_number(text):
        raise error(f"{text[:40].decode('utf-8', 'replace')!r} is not a number")
    value = float(text)
    if not math.isfinite(value) or abs(value) > FLOAT32_MAX:
        raise error(f"{text[:40].decode()!r} is not a finite number of 32 bits")
    return value


def _numbers_at_end(parts: list[bytes]) -> int:
    count = 0
    for part in reversed(parts):
        if not is_number(part):
            break
        count += 1
    return count


def _read_metadata(path: Path) -> tuple[list[bytes], npt.NDArray[np.int64] | None]:
    with opened(path) as (file, _):
        lines = [line for block in line_blocks(path, file) for line in block.removesuffix(b"\n").split(b"\n")]
    if not lines or b"\t" not in lines[0]:
        return lines, None
    names = lines[0].split(b"\t")
    rows = [line.split(b"\t") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise data_error(path, f"has {len(row)} columns, must have {len(names)}", line=number)
    word_column = names.index(b"word") if b"word" in names else 0
    words = [row[word_column] for row in rows]
    if b"count" not in names:
        return words, None
    column = names.index(b"count")
    for number, row in enumerate(rows, start=2):
        if not row[column].isdigit() or len(row[column]) > 18:
            shown = row[column][:40].decode("utf-8", "replace")
            raise data_error(path, f"the count must be a whole number, got {shown!r}", line=number)
    return words, np.array([int(row[column]) for row in rows], dtype=np.int64)
