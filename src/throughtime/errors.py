"""Where every message to a user is worded: one sentence that says what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path


class ThroughTimeError(Exception):
    """Base of every error that is the user's to mend; the command line prints it without a traceback."""


class ArgumentError(ThroughTimeError, ValueError):
    """An argument has a value that cannot be used."""


class DataError(ThroughTimeError, ValueError):
    """A data file cannot be used; the message names the file and, where there is one, the line or byte."""


class BackendError(ThroughTimeError, RuntimeError):
    """The backend that was asked for cannot run this cell on this input."""


class ModelFolderError(ThroughTimeError, RuntimeError):
    """A model folder is missing, damaged, foreign, or of a newer format."""


class TrainingError(ThroughTimeError, RuntimeError):
    """Training cannot go on; the message says what was kept and what to try."""


class MissingExtraError(ThroughTimeError, ImportError):
    """Something needs a package that comes with an extra of throughtime and is not installed.

    Args:
        what: needs it, such as "reading pictures".
        package: its name.
        extra: that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}; install it with: pip install 'throughtime[{extra}]'")


def check_installed(what: str, package: str, extra: str) -> None:
    """Raise MissingExtraError unless a package is installed; before work that would need it in the end."""
    if find_spec(package) is None:
        raise MissingExtraError(what, package, extra)


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ArgumentError unless ``value`` is one of ``choices``; suggest the nearest name."""
    valid = list(choices)
    if value in valid:
        return
    near = difflib.get_close_matches(str(value), valid, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ArgumentError(f"`{name}` must be one of {', '.join(map(repr, valid))}, got {value!r}{hint}")


def check_positive_integer(name: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` is an integer of at least 1 (True is not a number here)."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"`{name}` must be a positive integer, got {value!r}")


def check_range(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Raise ArgumentError unless ``value`` is a number in the interval; the message prints the interval."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    above = is_number and (value > low if low_open else value >= low)
    below = is_number and (value < high if high_open else value <= high)
    if above and below:
        return
    interval = (
        f"{'(' if low_open or low == -math.inf else '['}{low}, {high}{')' if high_open or high == math.inf else ']'}"
    )
    raise ArgumentError(f"`{name}` must be a number in {interval}, got {value!r}")


def check_shape(name: str, shape: Sequence[int], expected: Sequence[int | str]) -> None:
    """Raise ArgumentError unless ``shape`` matches ``expected``, in which a string names an axis of any size.

    >>> check_shape("input", (5, 3, 7), ("time", "batch", 7))
    >>> check_shape("input", (5, 3, 8), ("time", "batch", 7))
    Traceback (most recent call last):
    throughtime.errors.ArgumentError: `input` must have shape (time, batch, 7), got (5, 3, 8)
    """
    if len(shape) != len(expected) or any(
        have != want and not isinstance(want, str) for have, want in zip(shape, expected, strict=True)
    ):
        wanted = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ArgumentError(f"`{name}` must have shape ({wanted}), got {tuple(shape)}")


def counted(count: int, unit: str) -> str:
    """So many of something, for people to read.

    Args:
        count: how many.
        unit: what one of them is called; more than one have an s at the end.

    >>> counted(1, "picture"), counted(2_000, "picture"), counted(0, "video")
    ('1 picture', '2,000 pictures', '0 videos')
    """
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def data_error(path: Path | str, message: str, *, line: int | None = None, byte: int | None = None) -> DataError:
    """Make the DataError that names the place: ``file:line: message``, or ``file, byte N: message``."""
    place = str(path)
    if line is not None:
        place += f":{line}"
    if byte is not None:
        place += f", byte {byte}"
    return DataError(f"{place}: {message}")
