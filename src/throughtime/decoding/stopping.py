"""Ending a text that comes in pieces at a stop string."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from throughtime.errors import ArgumentError


def stop_at(pieces: Iterable[str], stops: str | Sequence[str]) -> Iterator[str]:
    """Pass pieces of text on until one of the stop strings has come; nothing of it, and nothing after it, is passed.

    Text that may be the beginning of a stop string is held back until it is certain. Where stop strings overlap,
    the one that is complete first ends the text, and of those the longest; how the text is cut into pieces makes no
    difference.

    >>> "".join(stop_at(["the e", "nd. ", "More"], ["end"]))
    'the '

    Raises:
        ArgumentError: for an empty stop string, when called and not only when iterated over.
    """
    stops = (stops,) if isinstance(stops, str) else tuple(stops)
    if "" in stops:
        raise ArgumentError("`stop` must not be an empty string")
    return _until(pieces, stops)


def _until(pieces: Iterable[str], stops: tuple[str, ...]) -> Iterator[str]:
    held = ""
    for piece in pieces:
        held += piece
        found = [(place + len(stop), place) for stop in stops if (place := held.find(stop)) >= 0]
        certain = min(found)[1] if found else len(held) - max((_overlap(held, stop) for stop in stops), default=0)
        if certain:
            yield held[:certain]
            held = held[certain:]
        if found:
            return
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of the text that is a beginning of the stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
