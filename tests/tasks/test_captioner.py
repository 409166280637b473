from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import run
from throughtime import CaptionedImages, Captioner, load
from throughtime.data import sample_scenes
from throughtime.data.sample_scenes import SceneObject
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.tasks.attention_overlays import brightened
from throughtime.tasks.reproduction import figure_of, read_recipe, reproduce
from throughtime.tasks.scene_captioning import HELD_OUT, is_within, judge_scenes, training_scenes, unseen_scenes

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 40), "blue": (30, 60, 210)}
TINY = {
    "channels": (8, 16),
    "hidden_size": 32,
    "embedding_size": 16,
    "dropout": 0.0,
    "batch_size": 8,
    "validations": 3,
    "precision": "32",
    "learning_rate": 0.01,
    "warmup": 5,
    "attention_penalty": 0.0,
}


def patches(count: int) -> CaptionedImages:
    """Pictures of one colour, on the left or on the right."""
    random = np.random.default_rng(0)
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    captions: list[list[str]] = []
    for number in range(count):
        name = list(COLOURS)[number % 3]
        side = ("left", "right")[number // 3 % 2]
        pixels = np.full((12, 16, 3), 255, np.uint8)
        pixels[:, slice(0, 8) if side == "left" else slice(8, 16)] = COLOURS[name]
        pictures.append((pixels - random.integers(0, 20, pixels.shape)).clip(0, 255).astype(np.uint8))
        captions.append([f"{name} on the {side}", f"the {side} is {name}"])
    return CaptionedImages.of(pictures, captions)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Captioner:
    folder = tmp_path_factory.mktemp("captioner") / "model"
    return Captioner.fit(patches(60), output=folder, epochs=24, **TINY)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "000000000042.png"
    Image.fromarray(np.asarray(patches(1).pictures[0])).save(path)
    return path


def test_it_learns_to_say_what_is_in_pictures(trained: Captioner) -> None:
    fresh = patches(12)
    found = trained.caption(fresh.pictures, beam_size=2, n_best=2)
    said = [caption.text in references for caption, references in zip(found, fresh.captions, strict=True)]
    assert all(said)
    assert all(caption.others[0].score <= caption.score for caption in found)
    evaluation = trained.evaluate(fresh, beam_size=1)
    names = [row.model for row in evaluation.rows]
    assert names[1:] == ["caption of the nearest picture", "most common caption"]
    assert evaluation.rows[0].bleu_4 == pytest.approx(100)
    assert evaluation.rows[0].cider > 2 * evaluation.rows[2].cider
    assert 0 < evaluation.nats_per_token < 2


def test_attention_has_a_weight_for_each_place_and_word(trained: Captioner) -> None:
    (found,) = trained.caption([patches(1).pictures[0]], attention=True)
    assert found.attention is not None
    assert found.attention.shape == (len(found.pieces) + 1, 3, 4)
    np.testing.assert_allclose(found.attention.sum((1, 2)), 1, rtol=1e-5)
    assert found.text == " ".join(found.pieces)


def test_a_saved_model_says_the_same(trained: Captioner, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    again = load(tmp_path / "copy")
    assert isinstance(again, Captioner)
    pictures = patches(4).pictures
    assert again.caption(pictures) == trained.caption(pictures)
    assert "CIDEr-D" in (tmp_path / "copy" / "README.md").read_text(encoding="utf-8")
    (tmp_path / "copy" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"config.json"):
        load(tmp_path / "copy")


def test_a_resumed_run_makes_the_same_updates(tmp_path: Path) -> None:
    whole = Captioner.fit(patches(30), output=tmp_path / "whole", steps=8, **TINY)  # pyright: ignore[reportArgumentType]
    Captioner.fit(patches(30), output=tmp_path / "half", steps=4, **{**TINY, "schedule": "constant"})  # pyright: ignore[reportArgumentType]
    half = Captioner.fit(output=tmp_path / "half", resume=True, steps=8)
    constant = Captioner.fit(patches(30), output=tmp_path / "other", steps=8, **{**TINY, "schedule": "constant"})  # pyright: ignore[reportArgumentType]
    losses = [
        json.loads(line) for line in (tmp_path / "half" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    expected = [
        json.loads(line) for line in (tmp_path / "other" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert losses[-1]["validation_loss"] == pytest.approx(expected[-1]["validation_loss"], rel=1e-6)
    assert whole.settings.schedule == "cosine"
    assert half.settings.steps == constant.settings.steps == 8


def test_wrong_use_is_refused_in_one_sentence(trained: Captioner, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="`pictures` must be a list of pictures, got one name"):
        trained.caption("photo.jpg")
    with pytest.raises(DataError, match=r"none.png: there is no such file"):
        trained.caption([tmp_path / "none.png"])
    with pytest.raises(ArgumentError, match=r"`search` must be one of .*did you mean 'beam_size'"):
        trained.caption([], beam_sise=2)
    with pytest.raises(ArgumentError, match="`hard_attention` needs `attention`, which is 'none'"):
        Captioner.fit(patches(10), attention="none", hard_attention="reinforce")
    with pytest.raises(DataError, match="has 2 pictures to learn from, at least 4 are needed"):
        Captioner.fit(patches(3))


def test_predict_prints_captions_draws_attention_and_writes_coco_s_results(
    trained: Captioner, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained.folder.path
    overlay, results = tmp_path / "looked.png", tmp_path / "results.json"
    code, out, _ = run(capsys, "caption", "predict", folder, photo, "--attention", overlay, "--coco", results)
    assert code == 0
    assert out.strip() in patches(1).captions[0]
    assert json.loads(results.read_text(encoding="utf-8")) == [{"image_id": 42, "caption": out.strip()}]
    with Image.open(overlay) as drawn:
        assert drawn.size[0] > 400
    code, out, _ = run(capsys, "caption", "predict", folder, photo.parent, "--n-best", "2", "--json")
    assert len(json.loads(out)["captions"]) == 2
    code, _, err = run(capsys, "caption", "predict", folder, photo, "--attention", tmp_path / "looked.html")
    assert code == 1
    assert "must be a file that ends in .png" in err
    code, _, err = run(capsys, "caption", "predict", folder, photo, "--beam-size", "0")
    assert (code, "`beam_size` must be a positive integer, got 0" in err) == (1, True)
    code, _, err = run(capsys, "caption", "evaluate", folder, "--examples", "-1")
    assert (code, "`examples` must be" in err) == (1, True)


def test_evaluate_prints_the_scores_beside_the_others_with_their_signature(
    trained: Captioner, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "caption", "evaluate", trained.folder.path, "--beam-size", "1", "--examples", "1")
    assert code == 0
    for shown in (
        "BLEU-4",
        "ROUGE-L",
        "CIDEr-D",
        "most common caption",
        "tok:throughtime-ptb",
        "pictures/s",
        "reference",
    ):
        assert shown in out
    code, out, _ = run(capsys, "caption", "evaluate", trained.folder.path, "--beam-size", "1", "--json")
    assert json.loads(out)["count"] == 6


def test_scenes_are_judged_by_what_is_known_of_them(trained: Captioner) -> None:
    shape = SceneObject("circle", "red", "small", 20, 52, 6)
    weights = np.zeros((4, 4), np.float32)
    weights[1, 3] = 1
    assert is_within(weights, shape, 64)
    assert not is_within(weights.T.copy(), shape, 64)
    assert not any((one.colour, one.kind) in HELD_OUT for scene in unseen_scenes(30) for one in scene.objects)
    assert all(
        any((one.colour, one.kind) in HELD_OUT for one in scene.objects) for scene in unseen_scenes(10, held_out=True)
    )
    assert len(training_scenes(4).captions[0]) == 5
    judged = judge_scenes(trained, sample_scenes(3), "patches")
    assert (judged.scenes, judged.right) == (3, 0.0)


def test_an_overlay_is_bright_where_the_network_looked() -> None:
    weights = np.zeros((2, 2), np.float32)
    weights[0, 1] = 0.9
    shown = brightened(np.full((8, 8, 3), 200, np.uint8), weights)
    assert shown[0, -1].tolist() == [200, 200, 200]
    assert shown[-1, 0].tolist() == [40, 40, 40]


def test_word_vectors_are_what_the_words_start_from(tmp_path: Path) -> None:
    vectors = {"red": [1.0, 2.0, 3.0], "left": [-1.0, 0.5, 0.25]}
    lines = [f"{word} {' '.join(map(str, values))}" for word, values in vectors.items()]
    (tmp_path / "words.txt").write_text(f"2 3\n{chr(10).join(lines)}\n", encoding="utf-8")
    options = {**TINY, "embedding_size": 3, "learning_rate": 1e-9, "matrix_learning_rate": 1e-9}
    model = Captioner.fit(patches(12), vectors=str(tmp_path / "words.txt"), steps=1, **options)  # pyright: ignore[reportArgumentType]
    weight = model.network.decoder.embedding.weight
    for word, values in vectors.items():
        (index,) = model.tokenizer.encode(word).tolist()
        assert weight[index].tolist() == pytest.approx(values, abs=1e-6)


def test_the_recipe_counts_right_captions_and_those_with_what_was_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_recipe("scenes-caption")
    monkeypatch.setattr("throughtime.tasks.scene_captioning.JUDGED", 4)
    short = {**recipe.settings, "scenes": 30, "epochs": None, "steps": 2, "channels": [4, 4], "hidden_size": 8}
    found = reproduce(replace(recipe, settings=short))
    assert not found.reached
    assert [row.scenes for row in found.rows] == [4, 4]
    assert [figure_of(found.rows[0], metric) for metric in recipe.beside] == [
        pytest.approx(found.rows[0].looked, nan_ok=True)
    ]
    assert found.rows[1].model.endswith("held-out combinations")
