"""What stands in a text, character by character, that a neuron may follow: quotes, brackets, the place in the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

OPENING, CLOSING = "([{", ")]}"
SINGLE_QUOTES, DOUBLE_QUOTES = "'", '"'
DEEPEST = 20

Feature = npt.NDArray[np.float64]
"""A number for each character of a text, shape (characters,)."""


def inside_quotes(text: str) -> Feature:
    """1 inside double quotes, straight or typographic, of one line or paragraph, else 0.

    >>> inside_quotes('a "b" c').astype(int).tolist()
    [0, 0, 1, 1, 0, 0, 0]
    """
    inside = False
    found = np.zeros(len(text))
    for place, character in enumerate(text):
        if character in "“„«":
            inside = True
        elif character in "”»":
            inside = False
        elif character == DOUBLE_QUOTES:
            inside = not inside
        elif character == "\n" and text[place : place + 2] == "\n\n":
            inside = False
        found[place] = inside
    return found


def bracket_depth(text: str) -> Feature:
    """How many brackets are open after each character.

    >>> bracket_depth("a(b[c])d").astype(int).tolist()
    [0, 1, 1, 2, 2, 1, 0, 0]
    """
    depth = 0
    found = np.zeros(len(text))
    for place, character in enumerate(text):
        if character in OPENING:
            depth = min(depth + 1, DEEPEST)
        elif character in CLOSING:
            depth = max(depth - 1, 0)
        found[place] = depth
    return found


def place_in_line(text: str) -> Feature:
    r"""How many characters have come since the last line break; a line break itself is 0.

    >>> place_in_line("ab\ncd").astype(int).tolist()
    [1, 2, 0, 1, 2]
    """
    found = np.zeros(len(text))
    since = 0
    for place, character in enumerate(text):
        since = 0 if character == "\n" else since + 1
        found[place] = since
    return found


def place_in_word(text: str) -> Feature:
    """Which character of a word each is, from 1; 0 between words."""
    found = np.zeros(len(text))
    since = 0
    for place, character in enumerate(text):
        since = since + 1 if character.isalnum() else 0
        found[place] = since
    return found


def _each(test: Callable[[str], bool]) -> Callable[[str], Feature]:
    return lambda text: np.array([float(test(character)) for character in text])


FEATURES: dict[str, Callable[[str], Feature]] = {
    "inside quotes": inside_quotes,
    "inside brackets": lambda text: (bracket_depth(text) > 0).astype(np.float64),
    "bracket depth": bracket_depth,
    "place in the line": place_in_line,
    "place in the word": place_in_word,
    "digit": _each(str.isdigit),
    "capital letter": _each(str.isupper),
    "white space": _each(str.isspace),
}
"""Features by their names; each makes an array of shape (characters,) of a text."""


def feature_of_pieces(feature: Feature, pieces: Sequence[str]) -> Feature:
    """The feature at each piece's last character, shape (pieces,), where the pieces joined are the text.

    >>> feature_of_pieces(bracket_depth("f(x)"), ["f(", "x", ")"]).astype(int).tolist()
    [1, 1, 0]
    """
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    return feature[np.maximum(ends, 0)] if len(feature) else np.zeros(len(pieces))
