"""How well a captioner does on generated scenes, of which all is known: what is right, and where it has to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from throughtime.data import CaptionedImages, Scene, SceneObject, captioned_scenes, is_right, mentions, sample_scenes
from throughtime.data.sample_scenes import COMBINATIONS
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.captioning import Settings
from throughtime.training import Display

HELD_OUT = frozenset({("red", "triangle"), ("blue", "circle"), ("green", "cross"), ("yellow", "square")})
"""Colours and kinds that no scene to learn from has together."""
SEEN = COMBINATIONS - HELD_OUT
SIDE = 48
"""Height and width of the scenes, in pixels."""
JUDGED = 1_000


@dataclass(frozen=True)
class SceneEvaluation:
    """Captions of generated scenes.

    Attributes:
        model: which.
        scenes: how many.
        right: the share of captions that the grammar has and that are right in all they say.
        looked: the share of words for a kind of shape at which attention was largest within that shape; NaN without
            attention.
        words: how many such words there are.
    """

    model: str
    scenes: int
    right: float
    looked: float
    words: int


def training_scenes(count: int, *, seed: int = 0) -> CaptionedImages:
    """Scenes to learn from, five captions each, in which the combinations of HELD_OUT don't occur."""
    return captioned_scenes(sample_scenes(count, seed=seed, side=SIDE, combinations=SEEN), seed=seed)


def unseen_scenes(count: int, *, seed: int = 1_000_003, held_out: bool = False) -> list[Scene]:
    """Scenes to judge by: of the combinations that were learned, or with one at least that was not."""
    return sample_scenes(count, seed=seed, side=SIDE, combinations=SEEN, must_have=HELD_OUT if held_out else ())


def learn_scenes(
    scenes: int, settings: Settings, *, output: Path | None = None, display: Display | None = None
) -> tuple[SceneEvaluation, ...]:
    """Train a captioner on generated scenes, and judge it on 1,000 unseen ones, and on 1,000 with what was held out.

    Args:
        scenes: how many to learn from.
        settings: of the captioner; its seed is that of the scenes as well.
        output: the model folder to make; a temporary one if None.
        display: shows progress.
    """
    model = Captioner.train([training_scenes(scenes, seed=settings.seed)], settings, output=output, display=display)
    name = settings.decoder_name
    return tuple(
        judge_scenes(model, unseen_scenes(JUDGED, held_out=held_out), label)
        for label, held_out in ((name, False), (f"{name}, held-out combinations", True))
    )


def judge_scenes(model: Captioner, scenes: Sequence[Scene], name: str, *, beam_size: int = 3) -> SceneEvaluation:
    """Let a captioner caption scenes, and see whether it is right and where it looked.

    Args:
        model: what captions.
        scenes: unseen ones.
        name: of the result.
        beam_size: of its search.
    """
    captions = model.caption([scene.pixels() for scene in scenes], attention=True, beam_size=beam_size)
    right = [is_right(caption.text, scene) for caption, scene in zip(captions, scenes, strict=True)]
    hits: list[bool] = []
    for caption, scene in zip(captions, scenes, strict=True):
        if caption.attention is None:
            continue
        for word, shape in mentions(caption.text, scene):
            hits.append(shape is not None and is_within(caption.attention[word], shape, scene.side))
    looked = float(np.mean(hits)) if hits else float("nan")
    return SceneEvaluation(name, len(scenes), float(np.mean(right)), looked, len(hits))


def is_within(weights: npt.NDArray[np.float32], shape: SceneObject, side: int) -> bool:
    """Whether the place of the largest weight overlaps the shape.

    Args:
        weights: shape (rows, columns), of places that cover the scene.
        shape: where it should be.
        side: of the scene, in pixels.
    """
    row, column = np.unravel_index(int(weights.argmax()), weights.shape)
    high, wide = side / weights.shape[0], side / weights.shape[1]
    top, left, bottom, right = shape.box
    return bool(row * high < bottom and (row + 1) * high > top and column * wide < right and (column + 1) * wide > left)
