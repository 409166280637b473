"""Networks that others trained, in front of every task that looks at pictures or videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from throughtime import VideoCaptioner, VideoClassifier, VisualQuestionAnswerer, load
from throughtime.data import gliding_digits, moving_shapes, sample_questions
from throughtime.tasks.image_features import open_pictures

TINY: dict[str, Any] = {"steps": 2, "hidden_size": 8, "precision": "32"}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbones") / "resnet"
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(folder)
    how = {"size": {"shortest_edge": 32}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
    (folder / "preprocessor_config.json").write_text(json.dumps(how), encoding="utf-8")
    return folder


def questions(backbone: str, output: Path, **options: Any) -> VisualQuestionAnswerer:
    return VisualQuestionAnswerer.fit(
        sample_questions(12, side=32), backbone=backbone, output=output, joint_size=8, **TINY, **options
    )


def digits(backbone: str, output: Path, **options: Any) -> VideoClassifier:
    return VideoClassifier.fit(gliding_digits(12, frames=3), backbone=backbone, output=output, **TINY, **options)


def captions(backbone: str, output: Path) -> VideoCaptioner:
    videos = moving_shapes(12, frames=3)
    return VideoCaptioner.fit(videos, backbone=backbone, output=output, embedding_size=8, max_length=5, **TINY)


def answered(model: VisualQuestionAnswerer) -> object:
    picture = sample_questions(1, side=32, seed=1).pictures[0]
    return model.answer(picture, ["what shape is in the image?"])[0].answer


def labelled(model: VideoClassifier) -> object:
    return model.predict([np.asarray(gliding_digits(1, frames=3, seed=1).examples[0].video)])[0].labels


def captioned(model: VideoCaptioner) -> object:
    return model.caption([np.asarray(moving_shapes(1, frames=3, seed=1).examples[0].video)])[0].text


@pytest.mark.parametrize(
    ("fit", "use", "options", "shape"),
    [
        (questions, answered, {}, (16, 16)),
        (questions, answered, {"answers": "sequence", "max_length": 5}, (16, 16)),
        (questions, answered, {"combination": "relation"}, (16, 16)),
        (digits, labelled, {}, (1, 16)),
        (digits, labelled, {"recurrence": "convolutional"}, (16, 16)),
        (captions, captioned, {}, (1, 16)),
    ],
)
def test_features_are_computed_once_and_what_is_saved_does_the_same(
    fit: Callable[..., Any],
    use: Callable[[Any], object],
    options: dict[str, Any],
    shape: tuple[int, int],
    resnet: Path,
    tmp_path: Path,
) -> None:
    model = fit(str(resnet), tmp_path / "model", **options)
    assert open_pictures(model.folder, "train").array.shape[1:] == shape  # places, features
    said = use(model)
    model.evaluate()
    model.save(tmp_path / "saved")
    assert use(load(tmp_path / "saved")) == said
