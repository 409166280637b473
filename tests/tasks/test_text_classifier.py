from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import throughtime
from throughtime import LabelledText, TextClassifier, WordVectors
from throughtime.data import sample_reviews
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.tasks.cross_validation import cross_validate, deal_out
from throughtime.tasks.text_classification import Settings
from throughtime.tasks.text_classifier_sizing import learns_vectors
from throughtime.training import read_metrics

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "embedding_size": 16,
    "dropout": 0.1,
    "embedding_dropout": 0.0,
    "precision": "32",
    "device": "cpu",
}
FRUIT = LabelledText.of(
    ["red apple", "green apple", "red cherry", "green pear"] * 10,
    [["red"], ["green"], ["red", "small"], ["green"]] * 10,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TextClassifier:
    folder = tmp_path_factory.mktemp("trained") / "model"
    return TextClassifier.fit(sample_reviews(800), output=folder, epochs=10, learning_rate=1e-2, **SMALL)


def test_a_classifier_learns_what_praise_is(trained: TextClassifier) -> None:
    model, majority, tfidf = trained.evaluate().rows
    assert model.accuracy > 0.9
    assert majority.accuracy < 0.7
    assert tfidf.accuracy > majority.accuracy
    fresh = sample_reviews(200, seed=5)
    assert trained.evaluate(fresh).rows[0].accuracy > 0.9
    predicted = [prediction.labels for prediction in trained.predict(fresh.texts)]
    share = np.mean([guess == true for guess, true in zip(predicted, fresh.labels, strict=True)])
    assert share == trained.evaluate(fresh, baselines=False).rows[0].accuracy


def test_a_prediction_does_not_depend_on_its_neighbours(trained: TextClassifier) -> None:
    texts = ["the film was wonderful .", "we found the price of the small chair dreadful .", "not", ""]
    together = trained.predict(texts)
    for text, prediction in zip(texts, together, strict=True):
        alone = trained.predict([text])[0]
        assert alone.labels == prediction.labels
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
        assert sum(alone.probabilities.values()) == pytest.approx(1)
    assert trained.predict([]) == []
    with pytest.raises(ArgumentError, match="`texts` must be a list of strings, got a string"):
        trained.predict("a text")


def test_an_explanation_is_what_leaving_the_word_out_does(trained: TextClassifier) -> None:
    text = "the film was wonderful ."
    explanation = trained.explain(text)
    assert explanation.label == "good"
    strongest = max(explanation.contributions, key=lambda one: one.change)
    assert strongest.word == "wonderful"
    odds = [
        torch.logit(torch.tensor(trained.predict([some])[0].probabilities["good"], dtype=torch.float64)).item()
        for some in (text, "the film was .")
    ]
    assert strongest.change == pytest.approx(odds[0] - odds[1], abs=1e-3)
    against = trained.explain(text, "bad")
    assert against.contributions[3].change == pytest.approx(-strongest.change, abs=1e-3)
    with pytest.raises(ArgumentError, match="`label` must be one of 'bad', 'good', got 'god'; did you mean 'good'"):
        trained.explain(text, "god")
    with pytest.raises(ArgumentError, match="`text` must have a word in it"):
        trained.explain("  ")


def test_the_folder_holds_open_formats_alone(trained: TextClassifier) -> None:
    names = {path.name for path in trained.folder.path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "metrics.jsonl", "README.md", "loss.png"} <= names
    assert trained.folder.read_config()["classes"] == ["bad", "good"]
    card = trained.folder.card_file.read_text(encoding="utf-8")
    assert "Best validation: **accuracy" in card
    assert "| good | " in card
    validations = [record for record in read_metrics(trained.folder.metrics_file) if "validation_accuracy" in record]
    best = max(validations, key=lambda record: (record["validation_accuracy"], -record["validation_loss"]))
    assert trained.evaluate().rows[0].accuracy == pytest.approx(best["validation_accuracy"])


def test_a_saved_model_is_the_same_model(trained: TextClassifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, TextClassifier)
    assert loaded.predict(["a lovely lamp"]) == trained.predict(["a lovely lamp"])
    assert len(loaded.evaluate(sample_reviews(20)).rows) == 1
    with pytest.raises(ModelFolderError, match="holds a model already"):
        trained.save(tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text(encoding="utf-8"))
    del config["classes"]
    (tmp_path / "copy" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="its classes are missing or damaged"):
        throughtime.load(tmp_path / "copy")
    with pytest.raises(ModelFolderError, match="the prepared data is missing"):
        loaded.evaluate()


@pytest.mark.parametrize(
    "stages",
    [
        {"channels": 8, "widths": (2, 3)},
        {"recurrent": False, "channels": 8},
        {"tokens": "char", "embedding": "one-hot", "pooling": "attention"},
        {"cell": "gru", "num_layers": 2, "bidirectional": False, "pooling": "last", "tokens": "bpe"},
        {"recurrent": False, "pooling": "mean", "fully_connected": 8, "tokens": "byte"},
        {"class_weights": "balanced", "select_by": "loss", "optimizer": "muon"},
    ],
)
def test_every_stage_can_be_changed(stages: dict[str, Any]) -> None:
    options = {name: value for name, value in SMALL.items() if name != "embedding_dropout"}
    model = TextClassifier.fit(sample_reviews(60), steps=4, validations=2, **{**options, **stages})
    assert 0 <= model.evaluate(baselines=False).rows[0].accuracy <= 1
    assert model.predict(["a lovely lamp"])[0].labels[0] in {"good", "bad"}


def test_a_text_may_have_several_labels(tmp_path: Path) -> None:
    model = TextClassifier.fit(
        FRUIT, multi_label=True, epochs=30, batch_size=8, learning_rate=1e-2, output=tmp_path / "m", **SMALL
    )
    labels = [prediction.labels for prediction in model.predict(["red cherry", "green pear", "red apple"])]
    assert labels == [("red", "small"), ("green",), ("red",)]
    evaluation = TextClassifier.load(tmp_path / "m").evaluate()
    assert evaluation.confusion is None
    assert [row.model for row in evaluation.rows[1:]] == ["most frequent class", "TF-IDF + logistic regression"]


def test_words_that_were_never_seen_say_nothing(trained: TextClassifier) -> None:
    assert trained.tokenizer.unknown_id is not None
    assert not trained.network.embedding.weight[trained.tokenizer.unknown_id].any()  # pyright: ignore[reportIndexIssue]


def test_of_long_texts_the_beginning_and_the_end_are_read() -> None:
    texts = ["wonderful " + "so " * 50 + ending for ending in ("yes", "no")] * 20
    model = TextClassifier.fit(
        LabelledText.of(texts, ["yes", "no"] * 20), epochs=20, max_length=6, learning_rate=2e-2, **SMALL
    )
    assert [prediction.labels[0] for prediction in model.predict(texts[:2])] == ["yes", "no"]


def test_an_embedding_starts_from_word_vectors(tmp_path: Path) -> None:
    vectors = WordVectors(["lovely", "dreadful"], np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))
    vectors.save(tmp_path / "vectors.txt")
    given: dict[str, Any] = {"vectors": str(tmp_path / "vectors.txt"), "steps": 3, "precision": "32"}
    fixed = TextClassifier.fit(sample_reviews(60), fixed_vectors=True, **given)
    lovely = int(fixed.tokenizer.encode("lovely")[0])
    assert fixed.network.embedding.weight[lovely].tolist() == [1, 2, 3]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(ArgumentError, match="`embedding_size` is 3, that of the `vectors`, got 5"):
        TextClassifier.fit(sample_reviews(60), embedding_size=5, **given)
    own = TextClassifier.fit(sample_reviews(60), own_vectors=True, fixed_vectors=True, steps=3, **SMALL)
    weight = own.network.embedding.weight
    assert isinstance(weight, torch.Tensor)
    assert weight.shape == (own.tokenizer.vocabulary_size, 16)
    # Centred: they do not point one way, as after little training; and as wide as fresh ones.
    assert weight.mean(0).norm() < 0.05 * weight.norm(dim=1).mean()
    assert weight.std().item() == pytest.approx(0.1, rel=0.05)


def test_word2vec_comes_first_where_there_is_enough_to_read() -> None:
    assert not learns_vectors(Settings(), 99_999)
    assert learns_vectors(Settings(), 100_000)
    assert not learns_vectors(Settings(own_vectors=False), 10**6)
    assert learns_vectors(Settings(own_vectors=True), 10)
    assert not learns_vectors(Settings(tokens="char"), 10**6)
    assert not learns_vectors(Settings(vectors="glove.txt"), 10**6)


def test_a_time_budget_ends_no_later_than_what_is_enough(tmp_path: Path) -> None:
    few = LabelledText.of(["red apple", "green pear"] * 4, ["red", "green"] * 4)
    model = TextClassifier.fit(few, time_budget="10m", patience=None, output=tmp_path / "model", **SMALL)
    assert read_metrics(model.folder.metrics_file)[-1]["step"] == 30


def losses(folder: Path) -> list[tuple[int, float | None]]:
    records = read_metrics(folder / "metrics.jsonl")
    return [(record["step"], record.get("loss", record.get("validation_loss"))) for record in records]


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    options = ["--hidden-size", "16", "--embedding-size", "16", "--steps", "60", "--precision", "32", "--quiet"]
    options += ["--checkpoint-every", "0.01", "--threads", "1", "--sample", "--json", "--validations", "6"]
    command = [sys.executable, "-m", "throughtime", "classify", "train", *options]
    subprocess.run([*command, "-o", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, "-o", str(killed), "--resume"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(losses(killed)) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    process.communicate()
    subprocess.run([*command, "-o", str(killed), "--resume"], check=True, capture_output=True)
    assert losses(killed) == losses(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "sum"}, "`pooling` must be 'max', 'mean', 'last' or 'attention', got 'sum'"),
        ({"class_weights": "a:3"}, "class weights are 'balanced', or written like spam=3,ham=1, got 'a:3'"),
        ({"vectors": "v.txt", "own_vectors": True}, "give one of `vectors` and `own_vectors`"),
        ({"vectors": "v.txt", "tokens": "char"}, "word vectors need `tokens` 'word'"),
        ({"fixed_vectors": True}, "`fixed_vectors` needs `vectors` or `own_vectors`"),
        ({"embedding": "one-hot", "embedding_dropout": 0.2}, "`embedding_dropout` needs an `embedding`"),
        ({"text_column": "a", "label_column": "a"}, "`text_column` and `label_column` are both 'a'; give two"),
        ({"epochs": 1, "time_budget": "3s"}, "give one of `epochs`, `steps` and `time_budget`"),
    ],
)
def test_bad_settings_are_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        TextClassifier.fit(sample_reviews(20), **settings)


def test_data_that_cannot_be_learned_from_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    one, few = (
        LabelledText.of(["x"] * 20, ["a"] * 20, "data"),
        LabelledText.of(["x", "y", "z"], ["a", "b", "a"], "data"),
    )
    for data, message in (
        (one, "all 18 examples are labelled 'a'; there must be two classes"),
        (few, "too few to keep some|examples to learn from, at least 4 are needed"),
        (FRUIT, r"texts\[\d+\]: must have one label, has 2"),
    ):
        with pytest.raises(DataError, match=message):
            TextClassifier.fit(data, output=tmp_path / "model")
        assert not (tmp_path / "model").exists()
    with pytest.raises(ArgumentError, match="there is nothing to learn from"):
        TextClassifier.fit()


def test_an_own_part_that_is_not_there_is_one_sentence(trained: TextClassifier) -> None:
    with pytest.raises(ModelFolderError, match=r"test\.jsonl: the prepared data is missing"):
        trained.evaluate(part="test")
    with pytest.raises(DataError, match="the label 'so-so' is not among the training data's: bad, good"):
        trained.evaluate(LabelledText.of(["hm"], ["so-so"]))


def test_folds_are_dealt_evenly_and_their_table_has_the_means() -> None:
    reviews = sample_reviews(120)
    deal = deal_out(reviews, 3, seed=0)
    assert np.bincount(deal).tolist() == [40, 40, 40]
    good = np.array([labels == ("good",) for labels in reviews.labels])
    assert np.ptp(np.bincount(deal[good])) <= 1
    found = cross_validate(TextClassifier, [reviews], Settings.of({**SMALL, "steps": 3}), 3)
    accuracies = [fold.rows[0].accuracy for fold in found.folds]
    assert found.rows[0].accuracy == pytest.approx(np.mean(accuracies))
    assert found.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert sum(fold.examples for fold in found.folds) == 120
    with pytest.raises(DataError, match=r"has .* examples, fewer than the 100 folds"):
        cross_validate(TextClassifier, [reviews], Settings(), 100)
    with pytest.raises(ArgumentError, match="`folds` must be at least 2, got 1"):
        cross_validate(TextClassifier, [reviews], Settings(), 1)
