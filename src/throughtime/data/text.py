"""Text from files, folders, gzip, standard input or memory, read in blocks, so that its size doesn't matter."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import shutil
import stat
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from throughtime.data.splits import Splits
from throughtime.errors import DataError, check_range, counted, data_error

BLOCK_BYTES = 1 << 20
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".tokens")


class TextSource(Protocol):
    """A text that can be read from its beginning any number of times."""

    @property
    def name(self) -> str: ...  # noqa: D102
    def blocks(self) -> Iterator[str]: ...  # noqa: D102


@dataclass(frozen=True)
class TextInMemory:
    """A text that is there already."""

    text: str
    name: str = "text"

    def blocks(self) -> Iterator[str]:
        """The text in blocks.

        Raises:
            DataError: where it holds a surrogate, which is no character: half of a UTF-16 pair, or an undecoded byte.
        """
        for start in range(0, len(self.text), BLOCK_BYTES):
            block = self.text[start : start + BLOCK_BYTES]
            try:
                block.encode()
            except UnicodeEncodeError as error:
                code = f"U+{ord(block[error.start]):04X}"
                message = f"character {start + error.start} is {code}, a lone surrogate, which is not text"
                raise data_error(self.name, message) from error
            yield block


@dataclass(frozen=True)
class TextFile:
    """A text file, gzipped if its name ends in .gz; all line ends become newlines and a byte order mark is dropped.

    Attributes:
        path: the file.
        encoding: a name that Python knows.
    """

    path: Path
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def blocks(self) -> Iterator[str]:
        """The decoded text in blocks of about a mebibyte.

        Raises:
            DataError: naming the byte where the file is not text in this encoding, or why it can't be read.
        """
        try:
            with gzip.open(self.path) if self.path.suffix.lower() == ".gz" else self.path.open("rb") as file:
                yield from decoded_blocks(file, self.name, self.encoding)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise data_error(self.path, f"cannot be read ({reason})") from error


class StandardInput:
    """Standard input, or another stream that flows by only once, kept in a temporary file to be read again.

    Args:
        encoding: a name that Python knows.
        stream: what to read; standard input by default.
        name: for messages.
    """

    def __init__(
        self, encoding: str = "utf-8", stream: BinaryIO | None = None, *, name: str = "standard input"
    ) -> None:
        self.encoding = encoding
        self.name = name
        self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - lives as long as this object
        weakref.finalize(self, self._file.close)
        shutil.copyfileobj(stream or sys.stdin.buffer, self._file)

    def blocks(self) -> Iterator[str]:
        """The decoded text in blocks of about a mebibyte."""
        yield from decoded_blocks(_Reader(self._file), self.name, self.encoding)


class _Reader:
    """Reads a file from its beginning, whoever else reads it meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def read(self, size: int) -> bytes:
        self._file.seek(self._position)
        block = self._file.read(size)
        self._position += len(block)
        return block


@dataclass(frozen=True)
class Text:
    """Sources read one after the other, or a part of that.

    Attributes:
        sources: what to read.
        start: the first character of the part.
        stop: the character after its last; None to the end.
    """

    sources: tuple[TextSource, ...]
    start: int = 0
    stop: int | None = None

    def blocks(self) -> Iterator[str]:
        """The text in blocks."""
        position = 0
        for source in self.sources:
            for block in source.blocks():
                first, position = position, position + len(block)
                low = max(self.start - first, 0)
                high = len(block) if self.stop is None else min(self.stop - first, len(block))
                if low < high:
                    yield block[low:high] if (low, high) != (0, len(block)) else block
                if self.stop is not None and position >= self.stop:
                    return

    def count_characters(self) -> int:
        """Read it all and count."""
        return sum(map(len, self.blocks()))

    @property
    def name(self) -> str:
        """The sources' names."""
        return ", ".join(source.name for source in self.sources)


def find_splits(
    sources: Sequence[TextSource | Path | str], *, encoding: str = "utf-8", validation_fraction: float = 0.1
) -> Splits[Text]:
    """Find the training, validation and test parts of what the user gave.

    Files whose names say so (train.txt, ptb.valid.txt, wiki.test.tokens, dev.txt, val.txt.gz) are those parts.
    Else all is one text, and the last ``validation_fraction`` of its characters is for validation.

    Args:
        sources: files, folders (their text files, sorted, with those in subfolders), "-" for standard input, or
            texts in memory.
        encoding: of the files.
        validation_fraction: between 0 and 1.

    Raises:
        DataError: where there is no text.
        ArgumentError: where the fraction is not between 0 and 1.
    """
    check_range("validation_fraction", validation_fraction, low=0, high=1, low_open=True, high_open=True)
    found = [text for source in sources for text in find_texts(source, encoding=encoding)]
    by_part: dict[str, list[TextSource]] = {"train": [], "valid": [], "test": []}
    unnamed: list[TextSource] = []
    for text in found:
        by_part.get(part_of(text.name) or "", unnamed).append(text)
    has_layout = bool(by_part["train"] and (by_part["valid"] or by_part["test"]))
    gave_folder = any(isinstance(source, str | Path) and _is_folder(Path(source)) for source in sources)
    if not has_layout or (unnamed and not gave_folder):
        return _split(Text(tuple(found)), validation_fraction)
    train = Text(tuple(by_part["train"]))
    test = Text(tuple(by_part["test"])) if by_part["test"] else None
    if by_part["valid"]:
        return Splits(_not_empty(train), _not_empty(Text(tuple(by_part["valid"]))), test)
    return replace(_split(train, validation_fraction), test=test)


def part_of(name: str) -> str | None:
    """The part that a file's name says it is.

    >>> part_of("ptb.train.txt"), part_of("dev.txt.gz"), part_of("wiki.test.tokens"), part_of("training.txt")
    ('train', 'valid', 'test', None)
    """
    names = {
        "train": "train",
        "valid": "valid",
        "validation": "valid",
        "val": "valid",
        "dev": "valid",
        "test": "test",
    }
    words = re.split(r"[._\-\s]+", Path(name).name.lower())
    return next((names[word] for word in words if word in names), None)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def decoded_blocks(file: _Readable, name: str, encoding: str) -> Iterator[str]:
    """Decode a binary file block by block.

    Raises:
        DataError: naming byte and line where the bytes are not text in this encoding.
    """
    codec = _codec(encoding)
    # Python's own utf-8-sig miscounts the bytes after the mark that it drops.
    decoder = codecs.getincrementaldecoder("utf-8" if codec == "utf-8-sig" else codec)()
    has_mark = codec.startswith("utf")
    has_zeros = codec.startswith(("utf-16", "utf-32"))
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    read = lines = 0
    is_last = False
    while not is_last:
        block = file.read(BLOCK_BYTES)
        is_last = not block
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=is_last)
        except UnicodeDecodeError as error:
            at = read - pending + error.start
            line = lines + error.object[: error.start].count(b"\n") + 1
            message = f"not {encoding} text (line {line}, byte value 0x{error.object[error.start]:02x})"
            raise data_error(name, f"{message}; {_advice(error.object, codec)}", byte=at) from error
        except UnicodeError as error:  # of a UTF-16 or UTF-32 decoder that finds no byte order mark
            raise data_error(name, f"not {encoding} text ({error}); {_advice(block, codec)}", byte=read) from error
        zero = -1 if has_zeros else block.find(b"\0")
        if zero >= 0:
            message = f"a zero byte, so this is not {encoding} text; {_advice(block, codec)}"
            raise data_error(name, message, byte=read + zero)
        read += len(block)
        lines += block.count(b"\n")
        text = newlines.decode(text, final=is_last)
        if text and has_mark:
            text = text.removeprefix("\ufeff")
            has_mark = False
        if text:
            yield text


def _codec(encoding: str) -> str:
    try:
        " ".encode(encoding)  # the only public check that it is an encoding of text, unlike base64
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeError) as error:
        raise DataError(f"`encoding` {encoding!r} is not known; try utf-8, latin-1, cp1252 or utf-16") from error


def _advice(sample: bytes, codec: str) -> str:
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it looks like --encoding utf-16"
    if b"\0" in sample:
        is_utf16 = sample.count(b"\0") > len(sample) // 4
        return "it may be --encoding utf-16-le" if is_utf16 else "it looks like a binary file; give plain text"
    for other, advice in (
        ("utf-8", "it looks like --encoding utf-8"),
        ("cp1252", "it may be --encoding cp1252 (Western Windows) or latin-1"),
    ):
        try:
            codecs.getincrementaldecoder(other)().decode(sample)
        except UnicodeDecodeError:
            continue
        if other != codec:
            return advice
    return "it may be --encoding latin-1"


def find_texts(source: TextSource | Path | str, *, encoding: str = "utf-8") -> list[TextSource]:
    """The texts of one source: a file, a folder's text files, "-" for standard input, or a text in memory.

    Raises:
        DataError: where there is no such file, or the folder has no text files.
    """
    if not isinstance(source, str | Path):
        return [source]
    _codec(encoding)
    if str(source) == "-":
        return [StandardInput(encoding)]
    path = Path(source)
    if _is_folder(path):
        files = sorted(file for file in path.rglob("*") if file.is_file() and _is_text_name(file.relative_to(path)))
        if not files:
            raise data_error(path, f"this folder has no text files ({', '.join(TEXT_SUFFIXES)}, also .gz)")
        return [TextFile(file, encoding) for file in files]
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise data_error(_shortened(path), "there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError for a path with a zero byte in it
        reason = getattr(error, "strerror", None) or str(error)
        raise data_error(_shortened(path), f"cannot be read ({reason})") from error
    if stat.S_ISREG(mode):
        return [TextFile(path, encoding)]
    with path.open("rb") as stream:  # a pipe, as in <(zcat book.gz)
        return [StandardInput(encoding, stream, name=str(path))]


def _shortened(path: Path) -> str:
    text = str(path)
    if len(text) < 256 and "\n" not in text:
        return text
    return f"{text[:40]!r}... (give a text itself as TextInMemory)"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_text_name(file: Path) -> bool:
    name = file.name.lower().removesuffix(".gz")
    return name.endswith(TEXT_SUFFIXES) and not any(part.startswith(".") for part in file.parts)


def _split(text: Text, validation_fraction: float) -> Splits[Text]:
    count = _not_empty(text).count_characters()
    # As everyone splits tiny Shakespeare: the first int(0.9 n) characters are the training part.
    cut = int(count * (1 - validation_fraction))
    if not 0 < cut < count:
        raise data_error(text.name, f"has {counted(count, 'character')}, too few to keep some for validation")
    return Splits(replace(text, stop=cut), replace(text, start=cut))


def _not_empty(text: Text) -> Text:
    if next(text.blocks(), None) is None:
        raise data_error(text.name, "is empty; give a file with text in it")
    return text
