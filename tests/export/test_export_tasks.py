"""Trained models of every task, exported as a user would, and run without the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plain_pictures import patches, running_bar
from throughtime import (
    AnomalyDetector,
    Captioner,
    Forecaster,
    ImageClassifier,
    VideoClassifier,
    VideoPredictor,
    VisualQuestionAnswerer,
)
from throughtime.data import sample_digits, sample_questions
from throughtime.data.sample_series import sample_series
from throughtime.data.sample_signals import sample_signals
from throughtime.export import export_onnx, measure_int8, quantise
from throughtime.export.onnx_file import run_onnx, session_of
from throughtime.export.onnx_language import language_files
from throughtime.export.onnx_videos import frame_predictor_files
from throughtime.models import FramePredictor, RecurrentLanguageModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK: dict[str, Any] = {"steps": 4, "device": "cpu", "precision": "32"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    small: dict[str, Any] = {**QUICK, "channels": (4,), "hidden_size": 6}
    moving: dict[str, Any] = {**QUICK, "hidden_channels": 4, "num_layers": 1}
    series: dict[str, Any] = {**QUICK, "window": 15, "context": 8, "hidden_size": 6}
    return {
        "forecaster": Forecaster.fit(
            sample_series(3, 120), h=7, output=place / "forecaster", members=2, logarithms=True, **series
        ),
        "detector": AnomalyDetector.fit(
            sample_signals(300), output=place / "detector", hidden_size=6, window=16, **QUICK
        ),
        "images": ImageClassifier.fit(
            sample_digits().chosen(range(80)), output=place / "images", channels=(4,), **QUICK
        ),
        "captioner": Captioner.fit(patches(30), output=place / "captioner", embedding_size=4, **small),
        "answers": VisualQuestionAnswerer.fit(
            sample_questions(12, side=16), output=place / "answers", joint_size=6, **small
        ),
        "writer": VisualQuestionAnswerer.fit(
            sample_questions(12, side=16), output=place / "writer", joint_size=6, answers="sequence", **small
        ),
        "videos": VideoClassifier.fit(running_bar(10), output=place / "videos", frame_size=5, **small),
        "frames": VideoPredictor.fit(running_bar(10), output=place / "frames", **moving),
    }


FILES = {
    "forecaster": {"model", "step"},
    "detector": {"model", "score"},
    "images": {"model"},
    "captioner": {"encoder", "step"},
    "answers": {"model"},
    "writer": {"encoder", "step"},
    "videos": {"model", "step"},
    "frames": {"model", "step"},
}


@pytest.mark.parametrize("name", FILES)
def test_a_model_of_any_task_is_exported_and_its_int8_is_judged(
    name: str, models: dict[str, Any], tmp_path: Path
) -> None:
    written = export_onnx(models[name], tmp_path / "out")
    assert set(written.errors) == FILES[name]
    assert max(written.errors.values()) < 1e-5
    files = quantise(tmp_path / "out")
    assert {path.name.removesuffix(".int8.onnx") for path in files} == FILES[name]
    figures = measure_int8(models[name], tmp_path / "out")
    assert figures.int8 == pytest.approx(figures.float32, rel=0.2, abs=0.1)
    own = models[name]
    if name in {"images", "videos"}:
        assert figures.float32 == pytest.approx(own.evaluate(baselines=False).rows[0].accuracy)
    if name == "captioner":
        assert figures.float32 == pytest.approx(own.evaluate().nats_per_token, abs=1e-4)
    if name == "answers":
        assert figures.float32 == pytest.approx(own.evaluate(baselines=False).rows[0].accuracy)
    if name == "frames":
        assert figures.float32 == pytest.approx(own.evaluate().rows[0].mse, rel=1e-4)


def test_a_forecast_needs_no_more_than_values_and_what_the_config_says(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["forecaster"]
    export_onnx(model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["quantiles"] == [0.05, 0.1, 0.5, 0.9, 0.95]
    expected = model.predict()
    read = config["window"] - 1 + config["context"]
    data = model.data
    for one in data.table.series:
        scale = config["series"][one.unique_id]
        columns = data.encoder.columns(one, data.table, data.scale(one), config["horizon"])[-read - config["horizon"] :]
        past, _, _ = data.encoder.split(torch.from_numpy(columns)[:, None], config["window"], config["context"])
        given = {"values": one.values[-read:, None]}
        given |= {"future_covariates": past.future.numpy(), "static_covariates": past.static.numpy()}
        given |= {name: np.array([scale[name]]) for name in ("offset", "unit")}
        found = run_onnx(session_of(tmp_path / "out" / "model.onnx"), given)
        rows = expected.filter(expected["unique_id"] == one.unique_id)
        np.testing.assert_allclose(found["point"][0], rows["LSTM"], rtol=1e-5)
        for place, column in enumerate(["LSTM-lo-90", "LSTM-lo-80", "LSTM", "LSTM-hi-80", "LSTM-hi-90"]):
            np.testing.assert_allclose(found["quantiles"][0, :, place], rows[column], rtol=1e-5)


def test_what_is_odd_is_found_by_the_files_alone(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["detector"]
    export_onnx(model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    (name,) = config["recordings"]
    (found,) = model.detect(baselines=False).found
    values, window = found.recording.values, config["window"]
    begins = sorted({*range(0, len(values) - window + 1, config["hop"]), len(values) - window})
    given = {"values": np.stack([values[begin : begin + window] for begin in begins], axis=1)}
    for part in ("mean", "deviation"):
        given[part] = np.repeat([config["recordings"][name][part]], len(begins), axis=0)
    errors = run_onnx(session_of(tmp_path / "out" / "model.onnx"), given)["errors"]
    placed = np.full((len(begins), *values.shape), np.nan)
    for row, begin in enumerate(begins):
        placed[row, begin : begin + window] = errors[:, row]
    median = np.nanmedian(placed, axis=0).astype(np.float32)
    scores = run_onnx(session_of(tmp_path / "out" / "score.onnx"), {"errors": median})["scores"]
    np.testing.assert_allclose(scores, found.scores, rtol=1e-3, atol=1e-3)
    assert config["threshold"] == pytest.approx(model.thresholds["model"])


def test_a_caption_is_written_word_by_word(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["captioner"]
    export_onnx(model, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    pixels = np.full((8, 12, 3), (80, 9, 9), np.uint8)
    state = run_onnx(session_of(tmp_path / "out" / "encoder.onnx"), {"pixels": pixels[None]})
    step = session_of(tmp_path / "out" / "step.onnx")
    names = {own.name for own in step.get_inputs()} - {"tokens"}
    token, written = config["end"], list[int]()
    while len(written) < 5:
        output = run_onnx(step, {"tokens": np.array([token]), **{name: state[name] for name in names}})
        state |= {name.removesuffix("_n"): own for name, own in output.items() if name.endswith("_n")}
        assert output["weights"].shape == (1, config["grid"][0] * config["grid"][1])
        token = int(output["scores"][0].argmax())
        if token == config["end"]:
            break
        written.append(token)
    (caption,) = model.caption([pixels], beam_size=1, max_length=5, min_length=0)
    assert model.tokenizer.decode(written) == caption.text


def test_a_video_goes_on_frame_by_frame(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["frames"]
    export_onnx(model, tmp_path / "out")
    video = np.asarray(running_bar(1).examples[0].video)
    found = run_onnx(session_of(tmp_path / "out" / "model.onnx"), {"pixels": video[:, None, :, :, None]})
    step, predicted = session_of(tmp_path / "out" / "step.onnx"), [found["predicted"][-1]]
    for _ in range(2):
        states = {name.removesuffix("_n"): own for name, own in found.items() if name.endswith("_n")}
        found = run_onnx(step, {"frame": predicted[-1], **states})
        predicted.append(found["predicted"])
    frames = (np.stack(predicted)[:, 0] * 255).round().astype(np.uint8)
    assert (frames == model.predict(video, 3)[len(video) :]).all()


@pytest.mark.parametrize("name", ["step of a GRU", "frames"])
def test_weights_that_no_int8_operator_takes_are_kept_small_all_the_same(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if name == "frames":
        predictor = FramePredictor((8, 8, 1), hidden_channels=16, num_layers=1).eval()
        file = frame_predictor_files(predictor)[1]
    else:
        file = language_files(RecurrentLanguageModel(30, cell="gru", embedding_size=32, hidden_size=64).eval())[1]
    onnx.save(file.model, str(tmp_path / "step.onnx"))
    (small,) = quantise(tmp_path)
    assert small.stat().st_size < 0.4 * (tmp_path / "step.onnx").stat().st_size
    inputs, expected = file.example(7, 3)
    found = run_onnx(session_of(small), inputs)
    for key, want in expected.items():
        np.testing.assert_allclose(found[key], want, atol=0.03)
