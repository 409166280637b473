"""Generated videos of digits that move, drawn from a small font of our own."""

from __future__ import annotations

from random import Random

import numpy as np

from throughtime.data.images import Pixels
from throughtime.data.videos import LabelledVideos
from throughtime.errors import ArgumentError, check_positive_integer

_GLYPHS = (
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00110 01000 10000 11111",
    "11110 00001 00001 01110 00001 00001 11110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)
_SCALE = 2
_DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}


def digit(number: int) -> Pixels:
    """The picture of a digit, white on black, shape (14, 10)."""
    rows = [[int(cell) * 255 for cell in row] for row in _GLYPHS[number].split()]
    return np.kron(np.array(rows, dtype=np.uint8), np.ones((_SCALE, _SCALE), dtype=np.uint8))


def moving_digits(count: int, *, frames: int = 20, side: int = 32, digits: int = 2, seed: int = 0) -> LabelledVideos:
    """Videos of digits that fly straight on and bounce off the walls, as in Moving MNIST (Srivastava et al. 2015).

    Digits may pass over each other. Grey, black ground; https://arxiv.org/abs/1502.04681.

    Args:
        count: how many videos.
        frames: of each.
        side: height and width, in pixels, at least 16.
        digits: in each video.
        seed: of the choices.

    Raises:
        ArgumentError: for a number that can't be.
    """
    for name, value in (("count", count), ("frames", frames), ("digits", digits)):
        check_positive_integer(name, value)
    if side < 16:
        raise ArgumentError(f"`side` must be at least 16, got {side}")
    random = Random(seed)  # noqa: S311 - no secrets here
    return LabelledVideos.of(
        [_flight(random, frames, side, digits) for _ in range(count)], name="generated moving digits"
    )


def gliding_digits(count: int, *, frames: int = 8, side: int = 32, seed: int = 0) -> LabelledVideos:
    """Videos of one digit that glides up, down, left or right, which is its label; no single frame tells.

    Args:
        count: how many videos.
        frames: of each.
        side: height and width, in pixels, at least 16.
        seed: of the choices.

    Raises:
        ArgumentError: for a number that can't be.
    """
    for name, value in (("count", count), ("frames", frames)):
        check_positive_integer(name, value)
    if side < 16:
        raise ArgumentError(f"`side` must be at least 16, got {side}")
    random = Random(seed)  # noqa: S311 - no secrets here
    videos: list[Pixels] = []
    labels: list[str] = []
    for _ in range(count):
        label = random.choice(list(_DIRECTIONS))
        glyph = digit(random.randrange(10))
        height, width = glyph.shape
        speed = random.choice((1, 2))
        down, right = (speed * part for part in _DIRECTIONS[label])
        row, column = random.randint(0, side - height), random.randint(0, side - width)
        video = np.zeros((frames, side, side), dtype=np.uint8)
        for t in range(frames):
            # What leaves on one side comes in on the other, so that the place says nothing.
            rows = (row + t * down + np.arange(height)) % side
            columns = (column + t * right + np.arange(width)) % side
            video[t][np.ix_(rows, columns)] = glyph
        videos.append(video)
        labels.append(label)
    return LabelledVideos.of(videos, labels, "generated gliding digits")


def _flight(random: Random, frames: int, side: int, digits: int) -> Pixels:
    video = np.zeros((frames, side, side), dtype=np.uint8)
    for _ in range(digits):
        glyph = digit(random.randrange(10))
        height, width = glyph.shape
        place = np.array([random.uniform(0, side - height), random.uniform(0, side - width)])
        angle = random.uniform(0, 2 * np.pi)
        velocity = random.uniform(1.5, 3.0) * np.array([np.sin(angle), np.cos(angle)])
        limit = np.array([side - height, side - width])
        for t in range(frames):
            row, column = place.round().astype(int)
            part = video[t, row : row + height, column : column + width]
            np.maximum(part, glyph, out=part)
            place = place + velocity
            outside = (place < 0) | (place > limit)
            velocity = np.where(outside, -velocity, velocity)
            place = np.where(place < 0, -place, np.where(place > limit, 2 * limit - place, place)).clip(0, limit)
    return video
