from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from command_line import run
from throughtime import TextInMemory, Word2Vec, WordVectors, load
from throughtime.data import little_world
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.training.model_folder import read_metrics

SENTENCES = [
    ["the", "king", "rules", "his", "country"],
    ["the", "queen", "rules", "her", "country"],
    ["a", "man", "walks", "with", "his", "dog"],
    ["a", "woman", "walks", "with", "her", "dog"],
] * 30
TINY = {"size": 12, "epochs": 2, "threads": 1, "deterministic": True}


def text_of(sentences: list[list[str]]) -> str:
    return "".join(" ".join(sentence) + "\n" for sentence in sentences)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(text_of(SENTENCES), encoding="utf-8")
    return path


def vectors_of(model: Word2Vec) -> np.ndarray:
    return model.vectors.vectors


def test_all_ways_to_give_a_text_give_the_same_vectors(text: Path, tmp_path: Path) -> None:
    packed = tmp_path / "text.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    models = [
        Word2Vec(**TINY).fit(source)
        for source in (text, str(text), packed, TextInMemory(text.read_text()), iter(SENTENCES))
    ]
    assert models[0].vectors.words[0] in {"a", "the"}
    assert len(models[0].vectors) == len({word for sentence in SENTENCES for word in sentence})
    for model in models[1:]:
        assert model.vectors.words == models[0].vectors.words
        np.testing.assert_array_equal(vectors_of(model), vectors_of(models[0]))


def test_deterministic_runs_do_not_depend_on_threads(text: Path) -> None:
    first, second = (Word2Vec(**{**TINY, "threads": threads}).fit(text) for threads in (1, 3))
    np.testing.assert_array_equal(vectors_of(first), vectors_of(second))
    other = Word2Vec(**TINY, seed=1).fit(text)
    assert not np.array_equal(vectors_of(first), vectors_of(other))


def test_save_load_and_open_by_any_door(text: Path, tmp_path: Path) -> None:
    model = Word2Vec(**TINY).fit(text, output=tmp_path / "model")
    model.save(tmp_path / "copy")
    for folder in (tmp_path / "model", tmp_path / "copy"):
        for loaded in (Word2Vec.load(folder), load(folder)):
            assert isinstance(loaded, Word2Vec)
            assert loaded.settings == model.settings
            np.testing.assert_array_equal(vectors_of(loaded), vectors_of(model))
        assert WordVectors.load(folder).words == model.vectors.words
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "README.md",
        "config.json",
        "loss.png",
        "metrics.jsonl",
        "training_state.safetensors",
        "vectors.safetensors",
    }
    with pytest.raises(ModelFolderError, match="holds a model already"):
        Word2Vec(**TINY).fit(text, output=tmp_path / "model")


def test_a_resumed_run_ends_in_the_very_same_vectors(text: Path, tmp_path: Path) -> None:
    whole = Word2Vec(**{**TINY, "epochs": 4}).fit(text)
    Word2Vec(**TINY, learning_rate=0.025).fit(text, output=tmp_path / "half")
    # The learning rate falls over all epochs of a run, so that a longer run differs from its first step on.
    longer = Word2Vec(epochs=4).fit(text, output=tmp_path / "half", resume=True)
    assert longer.settings.size == 12
    assert vectors_of(longer).shape == vectors_of(whole).shape
    again = Word2Vec(epochs=4).fit(text, output=tmp_path / "half", resume=True)  # nothing is left to do
    np.testing.assert_array_equal(vectors_of(again), vectors_of(longer))
    with pytest.raises(ArgumentError, match="`size` stays as the run began"):
        Word2Vec(size=13).fit(text, output=tmp_path / "half", resume=True)


def test_new_words_are_added_to_vectors_that_are_there(text: Path, tmp_path: Path) -> None:
    parent = Word2Vec(**TINY).fit(text, output=tmp_path / "parent")
    more = [["the", "princess", "rules", "her", "country"]] * 40
    model = Word2Vec(**{**TINY, "epochs": 0.01}, learning_rate=1e-6, min_learning_rate=0).fit(
        iter(more), init_from=tmp_path / "parent"
    )
    assert set(model.vectors.words) == {*parent.vectors.words, "princess"}
    assert model.vectors.counts is not None
    assert model.vectors.counts[model.vectors.index("the")] == 60 + 40
    np.testing.assert_allclose(model.vectors["queen"], parent.vectors["queen"], atol=1e-4)
    parent.vectors.save(tmp_path / "vectors.glove")
    from_file = Word2Vec(deterministic=True, epochs=1).fit(iter(more), init_from=tmp_path / "vectors.glove")
    assert "princess" in from_file.vectors
    with pytest.raises(ArgumentError, match="`size` is 12 in the vectors to start from"):
        Word2Vec(size=13).fit(iter(more), init_from=tmp_path / "parent")


@pytest.mark.parametrize("objective", ["negative-sampling", "hierarchical-softmax"])
@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_words_of_the_same_context_become_neighbours(architecture: str, objective: str) -> None:
    days, trees = ["monday", "friday", "sunday"], ["oak", "elm", "ash"]
    sentences = [["on", day, "we", "work", "late"] for day in days] + [
        ["an", tree, "has", "green", "leaves"] for tree in trees
    ]
    model = Word2Vec(
        architecture=architecture,
        objective=objective,
        size=16,
        epochs=30,
        subsample=0,
        learning_rate=0.1,
        deterministic=True,
    ).fit(iter(sentences * 40))
    vectors = model.vectors
    assert {word for word, _ in vectors.most_similar("monday", 2, exclude=["on", "we", "work", "late"])} == {*days[1:]}
    assert vectors.doesnt_match(["oak", "elm", "friday", "ash"]) == "friday"


def test_phrases_become_words() -> None:
    sentences = [["in", "new", "york", "city", f"word{number % 9}", "goes", "on"] for number in range(200)]
    once, twice = (Word2Vec(**TINY, phrases=passes, phrase_threshold=3.0).fit(iter(sentences)) for passes in (1, 2))
    assert any("_" in word for word in once.vectors.words)
    assert max(word.count("_") for word in twice.vectors.words) > max(word.count("_") for word in once.vectors.words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-o", "OUT"], "there is no text to learn from; give a text file, or --sample"),
        (["train", "missing.txt", "-o", "OUT"], "missing.txt: there is no such file"),
        (["train", "EMPTY", "-o", "OUT"], "empty.txt: has no words"),
        (["train", "TEXT", "-o", "OUT", "--min-count", "1000"], "occur 1000 times, and two are needed"),
        (["train", "LATIN", "-o", "OUT"], "latin.txt:2: not utf-8 text"),
        (["train", "TEXT", "-o", "OUT", "--size", "0"], "`size` must be greater than or equal to 1"),
        (
            ["train", "TEXT", "-o", "OUT", "--epochs", "1", "--time-budget", "9s"],
            "give one of `epochs` and `time_budget`",
        ),
        (["train", "TEXT", "--sample", "-o", "OUT"], "give text or --sample, not both"),
        (["nearest", "nowhere", "king"], "nowhere: there is no such file"),
        (["nearest", "TEXT", "king"], "is not a file of word vectors"),
        (["nearest", "MODEL", "kingg"], "did you mean 'king'?"),
        (["nearest", "MODEL"], "give a word after the vectors"),
        (["odd-one-out", "MODEL", "king"], "must be at least two words"),
        (["evaluate", "MODEL"], "give --analogies FILE, --similarities FILE or both"),
        (["convert", "MODEL", "OUT"], "the name says no format"),
        (["plot", "MODEL", "man:woman", "king", "-o", "OUT"], "or pairs such as man:woman alone"),
    ],
)
def test_bad_input_is_one_sentence(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes("the end\ncaf\xe9 au lait\n".encode("latin-1") * 20)
    places = {
        "TEXT": text,
        "OUT": tmp_path / "out",
        "EMPTY": tmp_path / "empty.txt",
        "LATIN": tmp_path / "latin.txt",
        "MODEL": tmp_path / "model",
    }
    if "MODEL" in arguments:
        Word2Vec(**TINY).fit(text, output=tmp_path / "model")
    code, out, err = run(capsys, "vectors", *(str(places.get(argument, argument)) for argument in arguments))
    assert code != 0
    assert out == ""
    assert err.startswith("throughtime: ")
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_commands(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    flags = ["--size", "12", "--epochs", "20", "--deterministic", "--quiet"]
    assert json.loads(run(capsys, "vectors", "train", text, "-o", model, *flags, "--json")[1])["size"] == 12
    assert "queen" in run(capsys, "vectors", "nearest", model, "king")[1]
    assert [
        len(found)
        for found in json.loads(
            run(capsys, "vectors", "nearest", model, "king", "dog", "--count", "3", "--json")[1]
        ).values()
    ] == [3, 3]
    assert len(json.loads(run(capsys, "vectors", "analogy", model, "man", "king", "woman", "--json")[1])) == 5
    assert run(capsys, "vectors", "odd-one-out", model, "king", "queen", "dog")[1].strip() in {"king", "queen", "dog"}
    (tmp_path / "analogies.txt").write_text(": royalty\nman king woman queen\n")
    (tmp_path / "similarities.txt").write_text("king\tqueen\t9\nking\tdog\t1\nman\twoman\t8\n")
    judged = ["--analogies", tmp_path / "analogies.txt", "--similarities", tmp_path / "similarities.txt"]
    result = json.loads(run(capsys, "vectors", "evaluate", model, *judged, "--json")[1])
    assert result["analogies"]["royalty"]["asked"] == 1
    assert result["similarities"]["asked"] == 3
    assert "royalty" in run(capsys, "vectors", "evaluate", model, *judged)[1]
    for name in ("v.txt", "v.bin", "v.vec.gz", "v.glove", "v.safetensors"):
        assert run(capsys, "vectors", "convert", model, tmp_path / name)[0] == 0
        assert WordVectors.load(tmp_path / name).words == WordVectors.load(model).words
    assert run(capsys, "vectors", "plot", model, "man:woman", "king:queen", "-o", tmp_path / "pairs.png")[0] == 0
    assert run(capsys, "vectors", "plot", model, "man", "woman", "king", "-o", tmp_path / "words.png")[0] == 0
    assert (tmp_path / "pairs.png").stat().st_size > 5000


def test_an_interrupt_saves_and_resume_goes_on(tmp_path: Path) -> None:
    text, folder = tmp_path / "text.txt", tmp_path / "model"
    text.write_text(text_of(SENTENCES * 20))
    command = [sys.executable, "-m", "throughtime", "vectors", "train", str(text), "-o", str(folder), "--size", "12"]
    process = subprocess.Popen(
        [*command, "--epochs", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "interrupted and saved" in err
    done = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["epoch"]
    resumed = subprocess.run(
        [*command, "--resume", "--epochs", str(done + 2), "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(resumed.stdout)["words"] == 13


def train_in_two_processes(text: Path, output: Path, *flags: str) -> None:
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "throughtime"]
    subprocess.run(
        [sys.executable, *together, "vectors", "train", str(text), "-o", str(output), *flags, "--threads", "1"],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_two_processes_learn_as_well_as_one(tmp_path: Path) -> None:
    days, trees = ["monday", "friday", "sunday"], ["oak", "elm", "ash"]
    sentences = [["on", day, "we", "work", "late"] for day in days] + [
        ["an", tree, "has", "green", "leaves"] for tree in trees
    ]
    text = tmp_path / "text.txt"
    text.write_text(text_of(sentences * 600))
    flags = ["--size", "16", "--epochs", "8", "--subsample", "0", "--learning-rate", "0.1", "--quiet"]
    train_in_two_processes(text, tmp_path / "two", *flags)
    vectors = WordVectors.load(tmp_path / "two")
    assert {word for word, _ in vectors.most_similar("monday", 2, exclude=["on", "we", "work", "late"])} == {*days[1:]}
    assert vectors.doesnt_match(["oak", "elm", "friday", "ash"]) == "friday"


def test_a_mean_of_models_has_moved_as_far_as_one_model(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(little_world(600).text)
    one, two = tmp_path / "one", tmp_path / "two"
    Word2Vec(size=16, epochs=5, threads=1).fit(text, output=one)
    train_in_two_processes(text, two, "--size", "16", "--epochs", "5")
    expected, found = (read_metrics(folder / "metrics.jsonl")[-1]["loss"] for folder in (one, two))
    assert found == pytest.approx(expected, rel=0.05)


def test_text_that_vanishes_is_told(text: Path) -> None:
    with pytest.raises(DataError, match="must be a sequence of words"):
        Word2Vec(**TINY).fit(iter(["a text", "another"]))
    with pytest.raises(ArgumentError, match="there is no setting `vector_size`; did you mean `vocabulary_size`"):
        Word2Vec(vector_size=3)
