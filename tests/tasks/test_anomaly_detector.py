from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import throughtime
from command_line import run
from throughtime import AnomalyDetector
from throughtime.data.recordings import recordings_of
from throughtime.data.sample_signals import sample_signals
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.models import RecurrentAutoencoder
from throughtime.tasks.anomaly_stream import AnomalyStream

SMALL: dict[str, Any] = {"hidden_size": 12, "window": 24, "latent_size": 6, "precision": "32", "device": "cpu"}
TINY = ["--hidden-size", "6", "--window", "16", "--steps", "3", "--precision", "32", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> AnomalyDetector:
    folder = tmp_path_factory.mktemp("trained") / "model"
    return AnomalyDetector.fit(
        sample_signals(800), output=folder, steps=120, learning_rate=1e-2, batch_size=16, validations=3, **SMALL
    )


def test_a_detector_finds_faults_and_says_when(trained: AnomalyDetector) -> None:
    odd = sample_signals(900, seed=1, anomalies=2)
    detection = trained.detect(odd, label="anomaly")
    model, *beside = detection.rows
    assert model.auroc is not None
    assert model.auroc > 0.7
    assert [row.model.split(" ")[0] for row in beside] == ["rolling", "principal"]
    labels = detection.found[0].recording.labels
    assert labels is not None
    assert labels[detection.spans[0].begin : detection.spans[0].end].any()
    assert detection.spans[0].first.startswith("2024-0")
    table = pl.DataFrame({"ds": range(100), "rotation": np.arange(100.0) % 7, "odd": 0})
    with pytest.raises(DataError, match=r"has no column 'od' for `label_column`; .* did you mean 'odd'"):
        trained.detect(table, label="od")
    # Nothing is odd above every score, and half of what was learned from is above its median.
    assert trained.detect(odd, threshold=1e9).spans == ()
    own = trained.detect(threshold=float(np.median(trained.detect().found[0].scores)))
    assert own.rows[0].odd == pytest.approx(0.5, abs=0.01)


def test_a_stream_has_the_scores_of_the_file(trained: AnomalyDetector) -> None:
    table = sample_signals(117, seed=2)
    scores = trained.detect(table, baselines=False).found[0].scores
    stream = AnomalyStream(trained)
    found = []
    for row in recordings_of(table)[0].values:
        found += stream.feed(row.tolist())
        assert stream.steps - len(found) <= 2 * trained.window + trained.settings.hop
    found += stream.finish()
    assert [one.step for one in found] == list(range(117))
    np.testing.assert_allclose([one.score for one in found], scores, rtol=1e-4)
    with pytest.raises(DataError, match="has 1 numbers, the model reads 2"):
        stream.feed([1.0])
    short = AnomalyStream(trained)
    short.feed([1.0, float("nan")])
    with pytest.raises(DataError, match="there were 1 steps, a window of the model has 24"):
        short.finish()


def test_a_saved_model_is_the_same_model(trained: AnomalyDetector, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, AnomalyDetector)
    table = sample_signals(120, seed=3)
    np.testing.assert_array_equal(loaded.detect(table).found[0].scores, trained.detect(table).found[0].scores)
    assert len(loaded.detect(table).rows) == 1
    assert "Best validation: **mean squared error" in trained.folder.card_file.read_text(encoding="utf-8")
    config = json.loads((tmp_path / "copy" / "config.json").read_text(encoding="utf-8"))
    for damaged in ({}, {"normal": {**config["normal"], "levels": [0.0]}}):
        rest = {name: part for name, part in config.items() if name != "normal"}
        (tmp_path / "copy" / "config.json").write_text(json.dumps({**rest, **damaged}), encoding="utf-8")
        with pytest.raises(ModelFolderError, match="say what is normal"):
            throughtime.load(tmp_path / "copy")


def test_a_run_that_goes_on_ends_at_the_same_loss(tmp_path: Path) -> None:
    options: dict[str, Any] = {**SMALL, "schedule": "constant", "validations": 1}
    whole = AnomalyDetector.fit(sample_signals(200), steps=6, **options)
    AnomalyDetector.fit(sample_signals(200), steps=3, output=tmp_path / "m", **options)
    resumed = AnomalyDetector.fit(steps=6, output=tmp_path / "m", resume=True, **options)
    last = [model.folder.metrics_file.read_text(encoding="utf-8").splitlines()[-1] for model in (whole, resumed)]
    assert json.loads(last[0])["validation_loss"] == pytest.approx(json.loads(last[1])["validation_loss"], abs=1e-7)


def test_what_is_missing_is_not_learned_from_and_series_may_stand_apart() -> None:
    stamps = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 9), "1h", eager=True)
    wave = np.sin(np.arange(len(stamps)) / 4)
    frame = pl.DataFrame({"ds": stamps, "a": wave, "b": 100 + 5 * wave[::-1]}).with_columns(
        a=pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise(pl.col("a"))
    )
    options: dict[str, Any] = {**SMALL, "window": 8}
    model = AnomalyDetector.fit(frame, steps=3, together=False, **options)
    assert set(model.scales) == {"a", "b"}
    known = frame["a"].drop_nulls().to_numpy()
    assert model.scales["a"].mean[0] == pytest.approx(known[: int(0.8 * len(known))].mean(), abs=0.1)
    assert len(model.detect(frame).found) == 2
    other = pl.DataFrame({"ds": stamps, "c": wave, "d": wave})
    with pytest.raises(DataError, match="c: is not among the series that the model learned from: a, b"):
        model.detect(other)


def test_the_network_tells_a_window_from_its_vector_alone() -> None:
    network = RecurrentAutoencoder(3, 4, cell="lstm", hidden_size=5, num_layers=2).eval()
    windows = torch.randn(7, 2, 3)
    latent = network.encode(windows)
    assert latent.shape == (2, 4)
    told = network(windows)
    torch.testing.assert_close(told, network.decode(latent, 7))
    # Another window of the same vector would be told alike, and what is told first is the last step.
    torch.testing.assert_close(network.decode(latent, 3)[-1], told[-1])
    network(windows).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    for cell in ("gru", "rnn_tanh"):
        assert RecurrentAutoencoder(1, 2, cell=cell)(torch.randn(4, 3, 1)).shape == (4, 3, 1)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, odd = tmp_path / "model", tmp_path / "odd.csv"
    code, out, _ = run(capsys, "autoencode", "train", "--sample", "-o", model, *TINY)
    assert code == 0
    assert "principal components" in out
    picture, scores = tmp_path / "odd.png", tmp_path / "scores.csv"
    code, out, _ = run(capsys, "autoencode", "detect", model, "--sample", "--figure", picture, "-o", scores)
    assert code == 0
    assert "AUROC" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(scores.read_text(encoding="utf-8").splitlines()) == 3_001
    recording = recordings_of(sample_signals(60, seed=4))[0]
    lines = ["time,current,temperature", *(f"t{step},{a},{b}" for step, (a, b) in enumerate(recording.values.tolist()))]
    odd.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "throughtime", "autoencode", "detect", str(model), "--stream", "--json"]
    piped = subprocess.run(command, input=odd.read_text(encoding="utf-8"), capture_output=True, check=True, text=True)
    answers = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [answer["stamp"] for answer in answers] == [f"t{step}" for step in range(60)]
    code, out, _ = run(capsys, "autoencode", "encode", model, "-o", tmp_path / "vectors.npy")
    assert code == 0
    assert np.load(tmp_path / "vectors.npy").shape == (3_000 // 16 + 1, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-o", "OUT"], "there is nothing to learn from; give a file of series, or --sample"),
        (["train", "SHORT", "-o", "OUT", "--quiet"], "has 20 steps, at least 3 windows of"),
        (["train", "SHORT"], "give --output, the model folder to write"),
        (["train", "SHORT", "--sample", "-o", "OUT"], "give data or --sample, not both"),
        (["train", "none.csv", "-o", "OUT"], "none.csv: there is no such file"),
        (["detect", "MODEL", "SHORT"], "has 1 channels, the model reads 2"),
        (["detect", "MODEL", "SHORT", "--stream"], "--stream reads standard input"),
        (["detect", "MODEL", "--threshold", "nan"], "`threshold` must be a number"),
        (["detect", "MODEL", "-o", "scores.doc"], "`output` must be a file that ends in .csv"),
        (["encode", "MODEL"], "give --output, a file whose name ends in .npy or .csv"),
    ],
)
def test_bad_input_is_one_sentence(
    trained: AnomalyDetector,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    short = tmp_path / "short.csv"
    short.write_text("y\n" + "\n".join(map(str, range(20))) + "\n", encoding="utf-8")
    places = {"SHORT": short, "MODEL": trained.folder.path, "OUT": tmp_path / "out"}
    code, out, err = run(capsys, "autoencode", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_told(trained: AnomalyDetector) -> None:
    with pytest.raises(ArgumentError, match="`name` must be one of the series"):
        AnomalyStream(trained, "pump")
    with pytest.raises(ArgumentError, match="`latent_size` must be a positive integer, got 0"):
        RecurrentAutoencoder(1, 0)
