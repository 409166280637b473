"""Text that comes in while a command runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

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
