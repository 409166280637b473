"""Trained models in ONNX, run by onnxruntime."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from command_line import run
from throughtime import LanguageModel, TextClassifier, TextInMemory, Translator, Word2Vec
from throughtime.data import ParallelText, little_world, sample_reviews
from throughtime.errors import ArgumentError, BackendError
from throughtime.export import export_onnx, measure_int8, quantise
from throughtime.export.onnx_classifiers import classifier_files
from throughtime.export.onnx_decoders import translator_files
from throughtime.export.onnx_file import check_file, run_onnx, session_of
from throughtime.export.onnx_language import language_files
from throughtime.models import EncoderDecoder, RecurrentLanguageModel, RecurrentTextClassifier

pytest.importorskip("onnxruntime")

QUICK: dict[str, Any] = {"hidden_size": 8, "embedding_size": 6, "steps": 4, "device": "cpu", "precision": "32"}
TEXT = TextInMemory("one two three\n" * 200, "counting")
PAIRS = ParallelText.of(["a b c", "b c", "c a", "a"] * 10, ["x y z", "y z", "z x", "x"] * 10)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    longer: dict[str, Any] = {**QUICK, "steps": 60}
    return {
        "lm": LanguageModel.fit(TEXT, output=place / "lm", batch_size=4, bptt=16, num_layers=2, **longer),
        "classifier": TextClassifier.fit(sample_reviews(60), output=place / "classifier", **QUICK),
        "translator": Translator.fit(PAIRS, output=place / "translator", tokens="word", **QUICK),
    }


@pytest.mark.parametrize("options", [{"cell": "lstm", "num_layers": 2}, {"cell": "gru", "tied": True}], ids=str)
def test_language_models_whole_and_by_steps(options: dict[str, Any]) -> None:
    network = RecurrentLanguageModel(9, embedding_size=5, hidden_size=6, **options).eval()
    assert max(check_file(file) for file in language_files(network)) < 1e-6


@pytest.mark.parametrize(
    ("pooling", "embedding", "channels", "cell", "fully_connected", "bidirectional"),
    [
        row
        for place, row in enumerate(
            itertools.product(
                ("max", "mean", "last", "attention"),
                ("learned", "one-hot"),
                (0, 4),
                ("gru", None),
                (0, 5),
                (True, False),
            )
        )
        if place % 5 == 0
    ],
)
def test_classifiers_of_all_stages(
    pooling: str, embedding: str, channels: int, cell: str | None, fully_connected: int, bidirectional: bool
) -> None:
    network = RecurrentTextClassifier(
        7,
        3,
        embedding=embedding,
        embedding_size=5,
        channels=channels,
        widths=(2, 3),
        cell=cell,
        hidden_size=4,
        pooling=pooling,
        fully_connected=fully_connected,
        bidirectional=bidirectional,
    ).eval()
    assert max(check_file(file) for file in classifier_files(network)) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": None, "tied": False},
        {"attention": "additive", "attention_order": "before", "input_feeding": False},
        {"attention": "dot", "input_feeding": False, "bidirectional": False},
        {"encoder_hidden_size": 5, "num_layers": 2, "cell": "gru"},
        {"attention": "additive", "cell": "lstm_layer_norm", "input_feeding": False},
    ],
    ids=str,
)
def test_translators_encoder_and_step(options: dict[str, Any]) -> None:
    sizes: dict[str, Any] = {"embedding_size": 6, "hidden_size": 8, **options}
    network = EncoderDecoder(7, 8, **sizes).eval()
    assert max(check_file(file) for file in translator_files(network)) < 1e-5


def test_a_file_of_another_network_does_not_pass() -> None:
    first, second = (RecurrentLanguageModel(9, embedding_size=5, hidden_size=6).eval() for _ in range(2))
    wrong, right = language_files(first)[0], language_files(second)[0]
    swapped = type(wrong)("model", wrong.model, right.example)
    with pytest.raises(BackendError, match=r"model.onnx: scores is .* from the model's at length 1 and batch size 1"):
        check_file(swapped)


def test_a_language_model_writes_on_with_its_step_alone(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["lm"]
    export_onnx(model, tmp_path / "out")
    session = session_of(tmp_path / "out" / "step.onnx")
    states = {name: np.zeros((2, 1, 8), np.float32) for name in ("hidden", "cell")}
    tokens, written = model.tokenizer.encode("one t").tolist(), list[int]()
    found = states
    for _ in range(20):
        for token in tokens:
            found = run_onnx(session, {"tokens": np.array([token]), **states})
            states = {name: found[f"{name}_n"] for name in states}
        tokens = [int(found["scores"][0].argmax())]
        written += tokens
    text = "".join(map(model.tokenizer.token, written))
    assert text == "".join(model.generate("one t", length=20, temperature=0.0))
    assert len(set(text)) > 2


def test_a_classifiers_file_gives_its_probabilities(models: dict[str, Any], tmp_path: Path) -> None:
    model = models["classifier"]
    written = export_onnx(model, tmp_path / "out")
    assert set(written.files) == {"config.json", "model.onnx", "tokenizer.json"}
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["files"]["model.onnx"]["inputs"] == {"tokens": ["time", "batch"], "lengths": ["batch"]}
    tokens = model.tokenizer.encode("the film was good")
    given = {"tokens": tokens[:, None], "lengths": np.array([len(tokens)])}
    scores = run_onnx(session_of(tmp_path / "out" / "model.onnx"), given)["scores"][0]
    probabilities = np.exp(scores) / np.exp(scores).sum()
    expected = model.predict(["the film was good"])[0].probabilities
    assert probabilities.tolist() == pytest.approx([expected[label] for label in config["classes"]], abs=1e-6)


@pytest.mark.parametrize("name", ["lm", "classifier", "translator"])
def test_int8_is_smaller_and_what_it_costs_is_told(name: str, models: dict[str, Any], tmp_path: Path) -> None:
    export_onnx(models[name], tmp_path / "out")
    files = quantise(tmp_path / "out")
    figures = measure_int8(models[name], tmp_path / "out")
    assert {path.name for path in files} == {
        path.name.replace(".onnx", ".int8.onnx")
        for path in (tmp_path / "out").glob("*.onnx")
        if "int8" not in path.name
    }
    assert figures.int8 == pytest.approx(figures.float32, abs=0.05)
    if name == "lm":
        assert figures.float32 == pytest.approx(models[name].evaluate(lanes=1).rows[0].nats_per_token, abs=0.2)
    if name == "classifier":
        assert figures.float32 == pytest.approx(models[name].evaluate(baselines=False).rows[0].accuracy)
    if name == "translator":
        assert figures.float32 == pytest.approx(models[name].evaluate().nats_per_token, abs=1e-4)


def test_the_command_writes_checks_and_measures(
    models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    status, printed, _ = run(capsys, "export", models["lm"].folder.path, "--onnx", "--int8", "-o", out, "--json")
    assert status == 0
    result = json.loads(printed)
    assert set(result["errors"]) == {"model", "step"}
    assert max(result["errors"].values()) < 1e-5
    assert result["int8"]["measure"] == "nats per token"
    assert result["files"]["model.int8.onnx"] == (out / "model.int8.onnx").stat().st_size
    status, _, error = run(capsys, "export", models["lm"].folder.path, "--onnx", "-o", out)
    assert (status, error.count("\n")) == (1, 1)
    assert "is not empty" in error
    status, _, error = run(capsys, "export", models["lm"].folder.path, "-o", tmp_path / "other")
    assert "--onnx" in error
    vectors = tmp_path / "vectors"
    Word2Vec(size=4, epochs=1, threads=1).fit(little_world(50), output=vectors)
    status, _, error = run(capsys, "export", vectors, "--onnx", "-o", tmp_path / "other")
    assert "throughtime vectors convert" in error
    assert not (tmp_path / "other").exists()


def test_a_folder_that_keeps_no_data_can_be_exported_but_not_measured(models: dict[str, Any], tmp_path: Path) -> None:
    models["lm"].save(tmp_path / "copy")
    copy = LanguageModel.load(tmp_path / "copy", device="cpu")
    export_onnx(copy, tmp_path / "out")
    quantise(tmp_path / "out")
    with pytest.raises(ArgumentError, match="keeps no validation part to measure int8 by"):
        measure_int8(copy, tmp_path / "out")
    with pytest.raises(ArgumentError, match="has no ONNX file"):
        quantise(tmp_path)
