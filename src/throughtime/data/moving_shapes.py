"""Generated videos of a coloured shape that moves, and what can be said of each."""

from __future__ import annotations

from random import Random

import numpy as np

from throughtime.data.captioned_videos import CaptionedVideos
from throughtime.data.images import Pixels
from throughtime.data.sample_scenes import KINDS, Scene, SceneObject
from throughtime.errors import ArgumentError, check_positive_integer

_WAYS = {
    "moves to the left": (0, -1),
    "moves to the right": (0, 1),
    "moves up": (-1, 0),
    "moves down": (1, 0),
    "stands still": (0, 0),
}
_SAID_OTHERWISE = {
    "moves to the left": "goes left",
    "moves to the right": "goes right",
    "moves up": "rises",
    "moves down": "sinks",
    "stands still": "does not move",
}
_COLOURS = ("red", "green", "blue", "yellow")


def moving_shapes(count: int, *, frames: int = 6, side: int = 32, seed: int = 0) -> CaptionedVideos:
    """Videos of a shape that moves to one side or stands still, two captions each: "a red circle moves to the left".

    What leaves the frame comes in again on the other side, so that no single frame tells where the shape is going.

    Args:
        count: how many videos.
        frames: of each.
        side: height and width, in pixels, at least 16.
        seed: of the choices.

    Raises:
        ArgumentError: for a number that can't be.
    """
    check_positive_integer("count", count)
    check_positive_integer("frames", frames)
    if side < 16:
        raise ArgumentError(f"`side` must be at least 16, got {side}")
    random = Random(seed)  # noqa: S311 - no secrets here
    videos: list[Pixels] = []
    captions: list[tuple[str, str]] = []
    for _ in range(count):
        kind, colour, way = random.choice(KINDS), random.choice(_COLOURS), random.choice(list(_WAYS))
        place = random.uniform(0, side), random.uniform(0, side)
        videos.append(_video(random, SceneObject(kind, colour, "large", *place, side * 0.22), way, frames, side))
        captions.append((f"a {colour} {kind} {way}", f"the {colour} {kind} {_SAID_OTHERWISE[way]}"))
    return CaptionedVideos.of(videos, captions, "generated moving shapes")


def _video(random: Random, shape: SceneObject, way: str, frames: int, side: int) -> Pixels:
    still = SceneObject(shape.kind, shape.colour, shape.size, side / 2, side / 2, shape.radius)
    picture = Scene((still,), side, random.randint(225, 250), random.randrange(2**31)).pixels()
    down, right = (3 * part for part in _WAYS[way])
    begin = round(shape.row - side / 2), round(shape.column - side / 2)
    return np.stack([np.roll(picture, (begin[0] + t * down, begin[1] + t * right), axis=(0, 1)) for t in range(frames)])
