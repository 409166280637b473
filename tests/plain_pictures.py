"""Pictures and videos that any network learns in no time."""

from __future__ import annotations

import numpy as np

from throughtime.data import CaptionedImages, LabelledVideos


def running_bar(count: int, frames: int = 6) -> LabelledVideos:
    """Videos of a white bar that runs to one side."""
    videos = [
        np.stack([np.roll(255 * np.eye(8, dtype=np.uint8)[[0] * 8], start + way * t, axis=1) for t in range(frames)])
        for start in range(count)
        for way in (1, -1)
    ]
    return LabelledVideos.of(videos, ["right", "left"] * count)


def patches(count: int) -> CaptionedImages:
    """Pictures of one colour."""
    shades = [40 * (number % 6) for number in range(count)]
    pictures = [np.full((8, 12, 3), (shade, 9, 9), np.uint8) for shade in shades]
    return CaptionedImages.of(pictures, [f"shade {shade}" for shade in shades])
