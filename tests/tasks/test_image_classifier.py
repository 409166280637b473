from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from command_line import run
from throughtime import ImageClassifier, LabelledImages, load
from throughtime.data import sample_digits
from throughtime.errors import ArgumentError, DataError
from throughtime.models import PretrainedEncoder
from throughtime.models.image_classifier import moved
from throughtime.tasks.reproduction import read_recipe, reproduce

TINY = {
    "precision": "32",
    "channels": (8, 16),
    "convolutions": 1,
    "fully_connected": 0,
    "dropout": 0.0,
    "validations": 2,
}


def digits(count: int) -> LabelledImages:
    return sample_digits().chosen(range(count))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> ImageClassifier:
    folder = tmp_path_factory.mktemp("images") / "model"
    return ImageClassifier.fit(digits(600), output=folder, epochs=8, batch_size=32, **TINY)  # pyright: ignore[reportArgumentType]


def test_it_learns_handwritten_digits(trained: ImageClassifier) -> None:
    fresh = sample_digits().chosen(range(1200, 1500))
    evaluation = trained.evaluate(fresh)
    assert evaluation.examples == 300
    assert [row.model for row in evaluation.rows][1:] == ["most frequent class", "nearest picture"]
    assert evaluation.rows[0].accuracy > 0.8
    assert evaluation.rows[1].accuracy < 0.2
    found = trained.predict(fresh.pictures[:5])
    assert sum(found[0].probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert list(found[0].probabilities) == [str(digit) for digit in range(10)]


def test_the_nearest_picture_is_scikit_learn_s_nearest_neighbour(trained: ImageClassifier) -> None:
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - slow to import

    train = LabelledImages.load(trained.folder.tokens / "train.jsonl", "train")
    known = trained.folder.tokens / "train.npy"
    neighbour = KNeighborsClassifier(1).fit(
        np.load(known).reshape(len(train), -1), [label for (label,) in train.labels]
    )
    fresh = sample_digits().chosen(range(1500, 1600))
    asked = np.stack([np.asarray(picture) for picture in fresh.pictures]).reshape(100, -1)
    expected = np.mean([found == label for found, (label,) in zip(neighbour.predict(asked), fresh.labels, strict=True)])
    assert trained.evaluate(fresh).rows[2].accuracy == pytest.approx(expected)


def test_a_saved_model_says_the_same(trained: ImageClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    again = load(tmp_path / "copy")
    assert isinstance(again, ImageClassifier)
    pictures = digits(8).pictures
    assert again.predict(pictures) == trained.predict(pictures)
    assert again.reader.preprocessing == trained.reader.preprocessing


def test_a_feed_forward_network_has_as_many_weights_as_its_layers(tmp_path: Path) -> None:
    model = ImageClassifier.fit(
        digits(80), output=tmp_path / "mlp", network="fully-connected", hidden_sizes=(12, 7), steps=3, precision="32"
    )
    layers = [weight.shape for name, weight in model.network.named_parameters() if "layers" in name or "output" in name]
    assert layers == [(12, 64), (7, 12), (10, 7), (10,)]


def test_a_resumed_run_makes_the_same_updates(tmp_path: Path) -> None:
    options = {**TINY, "schedule": "constant", "shift": 1, "batch_size": 16}
    ImageClassifier.fit(digits(80), output=tmp_path / "half", steps=4, **options)  # pyright: ignore[reportArgumentType]
    ImageClassifier.fit(output=tmp_path / "half", resume=True, steps=8)
    ImageClassifier.fit(digits(80), output=tmp_path / "whole", steps=8, **options)  # pyright: ignore[reportArgumentType]
    last = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        for name in ("half", "whole")
    ]
    assert last[0]["validation_loss"] == pytest.approx(last[1]["validation_loss"], rel=1e-6)


def test_shifts_and_flips_only_move_pixels() -> None:
    pictures = torch.arange(2 * 5 * 6 * 1, dtype=torch.uint8).view(2, 5, 6, 1)
    assert moved(pictures, shift=0, flip=False).equal(pictures)
    shifted = moved(pictures.repeat(50, 1, 1, 1), shift=1, flip=False)
    middle = shifted[:, 2, 2, 0].view(50, 2)
    around = {int(pictures[0, 2 + down, 2 + right, 0]) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    assert set(middle[:, 0].tolist()) == around
    flipped = moved(pictures.repeat(50, 1, 1, 1), shift=0, flip=True).view(50, 2, 5, 6)
    mirrored = flipped[:, 0, 0, 0] == pictures[0, 0, -1, 0]
    assert 10 < int(mirrored.sum()) < 40
    assert flipped[mirrored][0, 0].equal(pictures[0, :, :, 0].flip(1))


def test_broken_pictures_are_named_and_left_out_if_asked(tmp_path: Path) -> None:
    for label in ("dark", "light"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(6):
            shade = (40 if label == "dark" else 200) + number
            Image.new("RGB", (20, 16), (shade, shade, number * 9)).save(tmp_path / "data" / label / f"{number}.png")
    (tmp_path / "data" / "dark" / "3.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"3.png: is not a picture .*--skip-broken"):
        ImageClassifier.fit(tmp_path / "data", output=tmp_path / "model", steps=1, image_size=16, **TINY)  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "model").exists()
    model = ImageClassifier.fit(
        tmp_path / "data",
        output=tmp_path / "model",
        steps=1,
        image_size=16,
        skip_broken=True,
        **TINY,  # pyright: ignore[reportArgumentType]
    )
    kept = [LabelledImages.load(model.folder.tokens / f"{part}.jsonl", part) for part in ("train", "valid")]
    assert sum(map(len, kept)) == 11


def test_the_command_trains_evaluates_and_predicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--steps", "3", "--precision", "32", "--quiet", "--channels", "4", "--no-flip")
    code, out, _ = run(capsys, "image", "train", "--sample", "-o", tmp_path / "model", *options, "--json")
    assert code == 0
    assert json.loads(out)["steps"] == 3
    code, out, _ = run(capsys, "image", "evaluate", tmp_path / "model", "--figure", tmp_path / "confusion.png")
    assert "nearest picture" in out
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    Image.fromarray(np.asarray(digits(1).pictures[0])[..., 0]).save(tmp_path / "digit.png")
    code, out, _ = run(capsys, "image", "predict", tmp_path / "model", tmp_path / "digit.png", "--json")
    assert set(json.loads(out)["probabilities"]) == {str(digit) for digit in range(10)}
    code, _, err = run(capsys, "image", "predict", tmp_path / "model")
    assert (code, err.count("give a picture's file")) == (1, 1)
    with pytest.raises(ArgumentError, match="give one of `backbone` and `network`"):
        ImageClassifier.fit(digits(20), backbone="any", network="convolutional")
    with pytest.raises(ArgumentError, match="`batch_norm` is left out of convolutions alone"):
        ImageClassifier.fit(digits(20), network="fully-connected", batch_norm=False)


def test_the_recipe_runs(tmp_path: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415

    recipe = read_recipe("mnist-mlp")
    assert recipe.target == 0.983
    pixels = np.stack([np.asarray(picture) for picture in digits(60).pictures])[..., 0]
    labels = np.array([int(label) for (label,) in digits(60).labels])
    np.savez(tmp_path / "small.npz", x_train=pixels, y_train=labels, x_test=pixels[:20], y_test=labels[:20])
    short = replace(recipe, settings={**recipe.settings, "epochs": None, "steps": 2})
    found = reproduce(short, tmp_path / "small.npz")
    assert 0 <= found.result <= 1
    assert not found.reached


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_model_with_a_backbone_needs_nothing_from_elsewhere(fine_tune: bool, tmp_path: Path) -> None:
    folder = tmp_path / "resnet"
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 16, "width": 16}}', encoding="utf-8")
    options = {"backbone": str(folder), "fine_tune": fine_tune, "steps": 3, "precision": "32", "learning_rate": 0.05}
    model = ImageClassifier.fit(digits(40), output=tmp_path / "model", **options)  # pyright: ignore[reportArgumentType]
    assert model.reader.preprocessing.shape == (16, 16, 3)
    start = transformers.AutoModel.from_pretrained(folder).state_dict()
    shutil.rmtree(folder)
    again = ImageClassifier.load(tmp_path / "model")
    pictures = digits(5).pictures
    assert again.predict(pictures) == model.predict(pictures)
    inside = again.network.images if fine_tune else again.reader.backbone
    assert isinstance(inside, PretrainedEncoder)
    changed = [name for name, weight in inside.network.named_parameters() if not weight.cpu().equal(start[name])]
    assert bool(changed) == fine_tune
    assert model.evaluate().examples == 4
