"""What encoding a text file is in: UTF-8, else one that is recognised and told, never one that garbles it silently."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from throughtime.data.text import decoded_blocks
from throughtime.errors import data_error

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_EXAMPLE_REACH = 12


@dataclass(frozen=True)
class DecodedFile:
    """A text file that has been read.

    Attributes:
        path: of the file; "standard input" where it was that.
        text: its characters; every line ends in a newline alone.
        encoding: in which it was read.
        remark: where the encoding was recognised and not known, what to tell the user: which it is, and an example.
    """

    path: str
    text: str
    encoding: str
    remark: str | None = None


def read_text_file(path: Path, encoding: str | None = None) -> DecodedFile:
    """Read a text file, gzipped if its name ends in .gz, or standard input for "-".

    Args:
        path: the file.
        encoding: a name that Python knows; without one UTF-8, or what a byte order mark says, or, where neither fits,
            Windows-1252, or Latin-1 where bytes occur that Windows-1252 doesn't have.

    Raises:
        DataError: where the file can't be read, is not text in this encoding, or looks like damaged UTF-8.
    """
    content, name = _content(path)
    return decode_file(content, name, encoding)


def decode_file(content: bytes, name: str, encoding: str | None = None) -> DecodedFile:
    """The same for the content of a file that has been read.

    Raises:
        DataError: as ``read_text_file``.
    """
    remark = None
    if encoding is None:
        encoding, remark = _recognised(content, name)
    text = "".join(decoded_blocks(io.BytesIO(content), name, encoding))
    return DecodedFile(name, text, encoding, remark)


def _content(path: Path) -> tuple[bytes, str]:
    if str(path) == "-":
        return sys.stdin.buffer.read(), "standard input"
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix.lower() == ".gz" else content), str(path)
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise data_error(path, f"cannot be read ({reason})") from error


def _recognised(content: bytes, name: str) -> tuple[str, str | None]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, None
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        first = error.start
    else:
        return "utf-8", None
    if b"\0" in content:
        return "utf-8", None  # whose reader says what is wrong with that
    line = content.count(b"\n", 0, first) + 1
    as_utf8 = sum(1 for _ in _MULTIBYTE.finditer(content))
    wrong = sum(byte >= 0x80 for byte in _MULTIBYTE.sub(b"", content))
    if as_utf8 > wrong:
        message = f"UTF-8 with damage: byte value 0x{content[first]:02x} doesn't fit, but {as_utf8:,} characters do"
        raise data_error(name, f"{message}; mend the line, or say --encoding", line=line)
    encoding = "windows-1252"
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
    start = max(content.rfind(b"\n", 0, first) + 1, first - _EXAMPLE_REACH)
    end = content.find(b"\n", first)
    example = content[start : min(len(content) if end < 0 else end, first + _EXAMPLE_REACH)].decode(encoding)
    return encoding, f"{name}: not UTF-8, read as {encoding}; line {line} has {example!r} (--encoding says otherwise)"
