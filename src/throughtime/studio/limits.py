"""How much the studio takes on: sizes of what is sent, lengths of what is asked for, time, and how many at once."""

from __future__ import annotations

from dataclasses import dataclass

MOST_CHARACTERS = 20_000
"""Of a text in a request."""
MOST_TOKENS = 5_000
"""That a language model writes for a request."""
MOST_STOPS, LONGEST_STOP = 8, 200
"""Strings before which a text ends, and characters of one."""
MOST_WORDS_EXPLAINED = 300
MOST_PIXELS = 25_000_000
MOST_ANSWERS = 50
MOST_SERIES_SHOWN = 24
MOST_HORIZON = 1_000
MOST_POINTS = 100_000
"""Of a recording that is searched for anomalies, in an answer."""
MOST_SPANS = 500
MOST_SEQUENCES = 1_000
MOST_STEPS_EXPLAINED = 2_000
MOST_UNPACKED = 128_000_000
"""Bytes of the arrays in an NPZ file."""
MOST_VIDEOS = 24
MOST_FRAMES = 1_000
"""Of a video that is sent."""
MOST_FRAMES_SHOWN = 60
MOST_FRAMES_AHEAD = 100


@dataclass(frozen=True)
class Limits:
    """What a studio can be told.

    Attributes:
        body: bytes of a request, of a picture or a table at most.
        bodies: bytes of all requests that are being served.
        seconds: that a request may take.
        side_by_side: texts that a language model writes at once; others wait.
        waiting: requests that may wait, for a model or to write.
    """

    body: int = 16_000_000
    bodies: int = 256_000_000
    seconds: float = 120.0
    side_by_side: int = 64
    waiting: int = 256
