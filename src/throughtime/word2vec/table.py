"""What every format of word vectors reads into and writes from, and how files are opened for it."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError, data_error
from throughtime.files import replacing
from throughtime.word2vec.nearest import Matrix

BLOCK_BYTES = 1 << 20
LINE_BYTES = 1 << 24
LARGEST_VECTOR = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
HEADER = re.compile(rb"\s*(-?\d{1,40})\s+(-?\d{1,40})\s*")


class Table(NamedTuple):
    """Words, their vectors, float32 of shape (words, feature), and how often each word occurs, where known."""

    words: Sequence[str]
    vectors: Matrix
    counts: npt.NDArray[np.int64] | None = None


class TableBuilder:
    """Grows with the rows that come, so that no memory is taken on a header's word.

    Args:
        path: for messages.
        size: numbers in a vector.
        first_line: the line of the first word, where the file has lines.
    """

    def __init__(self, path: Path, size: int, first_line: int | None = None) -> None:
        self.path = path
        self.size = size
        self.words: list[str] = []
        self._first_line = first_line
        self._vectors: Matrix = np.empty((0, size), dtype=np.float32)

    def add(self, words: Sequence[bytes], values: Matrix) -> None:
        """Append words in UTF-8 and their vectors, shape (words, size).

        Raises:
            DataError: where a word is not UTF-8, or a number is not finite.
        """
        start = len(self.words)
        try:
            # A word holds no newline, and one call decodes all.
            self.words += b"\n".join(words).decode("utf-8").split("\n") if words else []
        except UnicodeDecodeError as error:
            row = error.object[: error.start].count(b"\n")
            raise self.error(f"the word {words[row]!r} is not UTF-8 text", start + row) from error
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0].tolist()
            word = self.words[start + row]
            raise self.error(f"number {column + 1} of {word!r} is {values[row, column]}, not finite", start + row)
        end = start + len(words)
        if end > len(self._vectors):
            self._vectors.resize((max(end, 3 * len(self._vectors) // 2), self.size), refcheck=False)
        self._vectors[start:end] = values

    def table(self) -> Table:
        """All rows.

        Raises:
            DataError: where there are none, or a word comes twice.
        """
        if not self.words:
            raise data_error(self.path, "holds no word vectors")
        rows = dict(zip(reversed(self.words), range(len(self.words) - 1, -1, -1), strict=True))
        if len(rows) < len(self.words):
            row = next(row for row, word in enumerate(self.words) if rows[word] != row)
            first = rows[self.words[row]]
            earlier = f"word {first + 1}" if self._first_line is None else f"line {first + self._first_line}"
            raise self.error(f"the word {self.words[row]!r} comes twice, first as {earlier}", row)
        self._vectors.resize((len(self.words), self.size), refcheck=False)
        return Table(self.words, self._vectors)

    def error(self, message: str, row: int) -> Exception:
        """The DataError about a row: by its line, or by the word's number."""
        if self._first_line is None:
            return data_error(self.path, f"word {row + 1}: {message}")
        return data_error(self.path, message, line=self._first_line + row)


@contextmanager
def opened(path: Path) -> Generator[tuple[IO[bytes], int | None]]:
    """Open a file to read, through gzip if it is compressed; gives it and its size, which is None if compressed.

    Raises:
        DataError: where there is no such file, or it can't be read to the end.
    """
    try:
        with path.open("rb") as file:
            is_compressed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if is_compressed:
                with gzip.open(file) as content:
                    yield cast("IO[bytes]", content), None
            else:
                yield file, path.stat().st_size
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise data_error(path, f"cannot be read ({reason})") from error


def line_blocks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file in blocks of whole lines, each ended by a newline alone, spaces before it dropped.

    Empty lines at the end are left out.

    Raises:
        DataError: where a line is longer than 16 MiB.
    """
    rest = b""
    while block := file.read(BLOCK_BYTES):
        rest += block
        # Whole lines with something after them; what is empty may be the end.
        end = rest.rfind(b"\n", 0, len(rest.rstrip())) + 1
        if end:
            yield _tidy(rest[:end])
            rest = rest[end:]
        if len(rest) > LINE_BYTES:
            raise data_error(path, "has a line of more than 16 MiB, so this is not a text file of word vectors")
    rest = rest.rstrip()
    if rest:
        yield _tidy(rest + b"\n")


def _tidy(lines: bytes) -> bytes:
    # Windows ends lines by \r\n, fastText by a space and \n.
    return lines.replace(b"\r\n", b"\n").replace(b" \n", b"\n")


def read_header(path: Path, file: IO[bytes], size: int | None, least: Callable[[int], int]) -> tuple[int, int]:
    """The number of words and the length of their vectors from a first line "count size".

    Args:
        path: for messages.
        file: stands at its beginning, and at the second line afterwards.
        size: of the file, or None where it is compressed and can't be checked.
        least: from the length of a vector to the fewest bytes that a word and its vector take.

    Raises:
        DataError: where the line is something else, or promises more than a file of this size can hold.
    """
    line = file.readline(100)
    match = HEADER.fullmatch(line)
    if match is None or not line.endswith(b"\n"):
        shown = line[:40].decode("utf-8", "replace").strip()
        message = f"the first line must be the number of words and the size of vectors, got {shown!r}"
        raise data_error(path, message if line else "is empty; give a file of word vectors", line=1 if line else None)
    count, features = int(match[1]), int(match[2])
    if count < 1 or features < 1:
        raise data_error(path, f"promises {count:,} words of {features:,} numbers, so it holds no vectors", line=1)
    if features > LARGEST_VECTOR:
        raise data_error(path, f"promises vectors of {features:,} numbers, at most {LARGEST_VECTOR:,} can be", line=1)
    needed = len(line) + count * least(features) - 1  # the last newline may be missing
    if size is not None and needed > size:
        message = f"promises {count:,} words of {features:,} numbers, which take at least {needed:,} bytes"
        raise data_error(path, f"{message}, but the file has {size:,}: it was cut short or is damaged", line=1)
    return count, features


@contextmanager
def written(path: Path, *, compress: bool) -> Generator[IO[bytes]]:
    """Open a file to write, whole or not at all; the same content always makes the same compressed bytes."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        if not compress:
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as content:
            yield cast("IO[bytes]", content)


def check_words(words: Sequence[str], forbidden: str, format: str, kind: str, better: str) -> None:  # noqa: A002
    """Raise ArgumentError where a word is empty, no Unicode text, or holds a forbidden character.

    Args:
        words: to be written.
        forbidden: characters that would be taken for the end of the word.
        format: in which they are to be written.
        kind: what the forbidden characters are, as in "a space".
        better: what to do instead.
    """
    pattern = re.compile(f"[{re.escape(forbidden)}]")
    for word in words:
        if not word or pattern.search(word):
            what = f"the word {word!r} has {kind} in it" if word else "a word is empty"
            raise ArgumentError(f"{what}, which the format {format!r} can't store; {better}")
    try:
        "\n".join(words).encode()
    except UnicodeEncodeError as error:
        word = words[error.object[: error.start].count("\n")]
        raise ArgumentError(
            f"the word {word!r} holds a lone surrogate, which is not text and can't be stored"
        ) from error


def rows_at_once(vectors: npt.NDArray[Any]) -> Iterator[slice]:
    """Slices of rows that take about a mebibyte each."""
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(vectors), step):
        yield slice(start, start + step)
