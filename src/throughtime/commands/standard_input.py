"""Lines that commands are given, all at once or while they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

from throughtime.errors import DataError, data_error


def standard_input_lines() -> Iterator[str]:
    """The lines of standard input, without their ends, each as soon as it is there.

    Raises:
        DataError: where it is no text.
    """
    try:
        for line in sys.stdin:
            yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise _no_text(error) from error


def some_lines(lines: Iterator[str], count: int) -> Iterator[list[str]]:
    """The lines in lists of so many, of which the last may be shorter; as soon as these are there."""
    while some := list(islice(lines, count)):
        yield some


def standard_input_text() -> str:
    """All of standard input.

    Raises:
        DataError: where it is no text.
    """
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise _no_text(error) from error


def _no_text(error: UnicodeDecodeError) -> DataError:
    return data_error("standard input", f"not {error.encoding} text (byte value {error.object[error.start]:#04x})")
