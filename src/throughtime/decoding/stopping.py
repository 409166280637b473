"""Ending a text that comes in pieces at a stop string."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from throughtime.errors import ArgumentError


class StopFilter:
    """Passes pieces of a text on until one of the stop strings has come.

    Nothing of it, and nothing after it, is passed. Text that may be the beginning of a stop string is held back until
    it is certain. Where stop strings overlap, the one that is complete first ends the text, and of those the longest;
    how the text is cut into pieces makes no difference.

    Args:
        stops: the stop strings; without any, all is passed on at once.

    Attributes:
        has_ended: whether a stop string has come.

    Raises:
        ArgumentError: for an empty stop string.
    """

    def __init__(self, stops: str | Sequence[str]) -> None:
        self._stops = (stops,) if isinstance(stops, str) else tuple(stops)
        if "" in self._stops:
            raise ArgumentError("`stop` must not be an empty string")
        self._held = ""
        self.has_ended = False

    def push(self, piece: str) -> str:
        """The text that this piece makes certain."""
        if not self._stops:
            return piece
        held = self._held + piece
        found = [(place + len(stop), place) for stop in self._stops if (place := held.find(stop)) >= 0]
        self.has_ended = bool(found)
        certain = min(found)[1] if found else len(held) - max(_overlap(held, stop) for stop in self._stops)
        self._held = "" if found else held[certain:]
        return held[:certain]

    def finish(self) -> str:
        """The text that was still held back."""
        held, self._held = self._held, ""
        return held


def stop_at(pieces: Iterable[str], stops: str | Sequence[str]) -> Iterator[str]:
    """Pass pieces of text on until one of the stop strings has come, as ``StopFilter`` does.

    >>> "".join(stop_at(["the e", "nd. ", "More"], ["end"]))
    'the '

    Raises:
        ArgumentError: for an empty stop string, when called and not only when iterated over.
    """
    return _until(pieces, StopFilter(stops))


def _until(pieces: Iterable[str], stop: StopFilter) -> Iterator[str]:
    for piece in pieces:
        certain = stop.push(piece)
        if certain:
            yield certain
        if stop.has_ended:
            return
    held = stop.finish()
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of the text that is a beginning of the stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
