"""Data to try each task with, for a newcomer who has none at hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from throughtime.data.captioned_images import CaptionedImages
from throughtime.data.labelled_images import LabelledImages
from throughtime.data.sample_scenes import Scene
from throughtime.data.scene_captions import scene_captions
from throughtime.data.text import TextInMemory


def python_language_reference() -> TextInMemory:
    """Real English prose that is on every Python machine: the language reference of the standard library.

    About half a million characters, from ``pydoc_data.topics``, in the order of the topics' names.
    """
    from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte that only this needs

    text = "\n".join(topics[name] for name in sorted(topics))
    return TextInMemory(text, "the Python language reference")


def sample_digits() -> LabelledImages:
    """Real handwritten digits that come with scikit-learn: 1,797 grey pictures of 8 x 8 pixels."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import

    digits: Any = load_digits()
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)
    return LabelledImages.of(list(pixels), digits.target.tolist(), "scikit-learn's handwritten digits")


def captioned_scenes(scenes: Sequence[Scene], captions: int = 5, *, seed: int = 0) -> CaptionedImages:
    """Generated scenes with captions that are right.

    Args:
        scenes: from ``sample_scenes``.
        captions: of each scene.
        seed: of the captions.
    """
    random = Random(seed)  # noqa: S311 - no secrets here
    said = [scene_captions(scene, captions, random) for scene in scenes]
    return CaptionedImages.of([scene.pixels() for scene in scenes], said, "generated scenes")
