from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import throughtime
from command_line import run
from throughtime import LabelledSequences, SequenceClassifier
from throughtime.data import sample_gestures
from throughtime.errors import ArgumentError, DataError
from throughtime.models import RecurrentSequenceClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.sequence_baselines import beside_sequences
from throughtime.tasks.sequence_classification import start_scaling

SMALL: dict[str, Any] = {"hidden_size": 16, "dropout": 0.1, "precision": "32", "device": "cpu"}
TINY = ["--hidden-size", "8", "--steps", "4", "--precision", "32", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SequenceClassifier:
    folder = tmp_path_factory.mktemp("trained") / "model"
    return SequenceClassifier.fit(
        sample_gestures(300), output=folder, epochs=12, learning_rate=2e-2, batch_size=16, validations=3, **SMALL
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        f"{number},{step},{step * (1 if number % 2 else -1)},{'up' if number % 2 else 'down'}"
        for number in range(24)
        for step in range(3 + number % 3)
    ]
    path = tmp_path / "slopes.csv"
    path.write_text("id,time,height,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_classifier_learns_which_way_a_circle_goes(trained: SequenceClassifier) -> None:
    fresh = sample_gestures(200, seed=5)
    evaluation = trained.evaluate(fresh)
    assert evaluation.rows[0].accuracy > 0.75
    assert [row.model for row in evaluation.rows[1:]] == [
        "most frequent class",
        "logistic regression (summary statistics)",
    ]
    predicted = trained.predict([example.values for example in fresh.examples])
    share = np.mean([guess.labels == true for guess, true in zip(predicted, fresh.labels, strict=True)])
    assert share == evaluation.rows[0].accuracy
    alone = trained.predict([fresh.examples[3].values])[0]
    assert alone.probabilities == pytest.approx(predicted[3].probabilities, abs=1e-5)
    assert trained.predict([]) == []
    with pytest.raises(ArgumentError, match=r"has 1 numbers a step, the model reads 2 \(x, y\)"):
        trained.predict([[1, 2, 3]])


def test_a_saved_model_is_the_same_model(trained: SequenceClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, SequenceClassifier)
    values = sample_gestures(2).examples[1].values
    assert loaded.predict([values]) == trained.predict([values])
    assert loaded.channels == ("x", "y")
    assert "| zigzag | " in trained.folder.card_file.read_text(encoding="utf-8")


def test_a_run_that_goes_on_ends_at_the_same_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = {**SMALL, "hidden_size": 6, "schedule": "constant", "validations": 1, "seed": 3}
    data = sample_gestures(60)
    whole = SequenceClassifier.fit(data, steps=6, **options)
    SequenceClassifier.fit(data, steps=3, output=tmp_path / "m", **options)
    resumed = SequenceClassifier.fit(steps=6, output=tmp_path / "m", resume=True, **options)
    best = [model.folder.metrics_file.read_text(encoding="utf-8").splitlines()[-1] for model in (whole, resumed)]
    assert json.loads(best[0])["validation_loss"] == pytest.approx(json.loads(best[1])["validation_loss"], abs=1e-7)
    with pytest.raises(ArgumentError, match="there is nothing to learn from; give a file or folder of labelled"):
        SequenceClassifier.fit(**SMALL)


def test_numbers_come_to_one_scale() -> None:
    generator = np.random.default_rng(0)
    values = [generator.normal([5, -2, 1], [0.1, 30, 0], (length, 3)) for length in (40, 50, 7)]
    train = LabelledSequences.of(values, ["a", "b", "a"])
    together = np.concatenate(values)
    network = RecurrentSequenceClassifier(3, 2, hidden_size=3)
    start_scaling(network, train, "each")
    np.testing.assert_allclose(network.mean.numpy(), together.mean(0), rtol=1e-5)
    # A channel that never moves isn't divided by nothing.
    np.testing.assert_allclose(network.scale.numpy(), [*together.std(0)[:2], 1], rtol=1e-4)
    start_scaling(network, train, "all")
    np.testing.assert_allclose(network.scale.numpy(), np.full(3, together.std()), rtol=1e-5)
    np.testing.assert_allclose(network.mean.numpy(), np.full(3, together.mean()), rtol=1e-5)


def test_logistic_regression_reads_all_numbers_where_all_are_as_long() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(300, 5, 2))
    labels = (values[:, 3, 1] > 0).tolist()
    train, test = (LabelledSequences.of(values[part], labels[part]) for part in (slice(200), slice(200, 300)))
    targets = ClassTargets(("False", "True"))
    beside = beside_sequences(train, test, targets)
    assert list(beside) == ["most frequent class", "logistic regression (all numbers)"]
    right = targets.encode(test)
    assert (beside["logistic regression (all numbers)"] == right).double().mean() > 0.9
    assert torch.unique(beside["most frequent class"]).numel() == 1


def test_several_labels_and_folds(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = LabelledSequences.of([[1, 2, 3], [3, 2, 1], [1, 1, 1]] * 10, [["up"], ["down"], []] * 10)
    model = SequenceClassifier.fit(both, multi_label=True, steps=2, **SMALL)
    assert len(model.evaluate().rows) == 3
    code, out, _ = run(capsys, "classify", "train", table, "--folds", "2", *TINY)
    assert code == 0
    assert "2-fold cross-validation" in out
    assert "logistic" in out


def test_the_command_reads_tables_and_answers_lines(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    code, out, err = run(capsys, "classify", "train", table, "-o", model, *TINY[:-1])
    assert code == 0
    assert "24 sequences, a row for each step; sequence in 'id', sorted by 'time', label in 'label'" in err
    assert "logistic regression" in out
    code, out, _ = run(capsys, "classify", "evaluate", model, table, "--figure", tmp_path / "confusion.png", "--json")
    assert json.loads(out)["examples"] == 24
    unlabelled = tmp_path / "new.csv"
    unlabelled.write_text("id,time,height\n1,1,4\n1,0,2\n2,0,5\n", encoding="utf-8")
    answers = [
        json.loads(line) for line in run(capsys, "classify", "predict", model, unlabelled, "--json")[1].splitlines()
    ]
    assert [answer["sequence"] for answer in answers] == [f"{unlabelled}:2", f"{unlabelled}:4"]
    command = [sys.executable, "-m", "throughtime", "classify", "predict", str(model), "--json"]
    lines = '[2, 4]\n{"values": [[5]]}\n'
    piped = subprocess.run(command, input=lines, capture_output=True, check=True, text=True).stdout.splitlines()
    for line, answer in zip(piped, answers, strict=True):
        assert json.loads(line)["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "DATA", "-o", "OUT", "--tokens", "char"],
            "`tokens` is for texts, and the data is taken for sequences",
        ),
        (
            ["train", "TEXT", "-o", "OUT", "--scaling", "all"],
            "`scaling` is for sequences of numbers, and the data is taken",
        ),
        (["train", "DATA", "-o", "OUT", "--label-column", "kind"], "has no column 'kind'; there is 'id', 'time'"),
        (["train", "--sample", "--sample-sequences", "-o", "OUT"], "give one of --sample and --sample-sequences"),
        (["predict", "MODEL", "DATA", "--explain"], "--explain shows what each word does"),
        (["evaluate", "MODEL", "DATA", "--text-column", "x"], "which have no `text_column`"),
    ],
)
def test_bad_input_is_one_sentence(
    trained: SequenceClassifier,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    text = tmp_path / "text.csv"
    text.write_text("text,label\na film,good\n", encoding="utf-8")
    places = {"DATA": table, "TEXT": text, "MODEL": trained.folder.path, "OUT": tmp_path / "out"}
    code, out, err = run(capsys, "classify", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_class_that_was_not_learned(trained: SequenceClassifier) -> None:
    other = LabelledSequences.of([np.ones((3, 2))], ["square"])
    with pytest.raises(DataError, match="the label 'square' is not among the training data's"):
        trained.evaluate(other)
