from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import run
from throughtime.cli import main
from throughtime.errors import ArgumentError
from throughtime.tasks.reproduction import Recipe, read_recipe, reproduce

TINY = ["--hidden-size", "16", "--embedding-size", "16", "--steps", "4", "--precision", "32", "--quiet"]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows = [f'"number {number} is {"fine" if number % 2 else "poor"}",{number % 2}' for number in range(60)]
    path.write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    with pytest.raises(SystemExit) as stopped:
        main(["classify", "train", str(reviews), "-o", str(folder), *TINY])
    assert stopped.value.code == 0
    return folder


def test_evaluate_prints_the_model_beside_the_others(
    model: Path, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "classify", "evaluate", model, reviews, "--figure", tmp_path / "confusion.png")
    assert code == 0
    for shown in ("most frequent class", "TF-IDF", "macro F1", "calibration", "confusion", "recall"):
        assert shown in out
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    other = tmp_path / "other.csv"
    other.write_text(reviews.read_text(encoding="utf-8").replace("text,label", "says,what"), encoding="utf-8")
    columns = ("--text-column", "says", "--label-column", "what")
    code, out, _ = run(capsys, "classify", "evaluate", model, other, *columns, "--no-baselines", "--json")
    result = json.loads(out)
    assert result["examples"] == 60
    assert [row["model"] for row in result["rows"]] == ["bidirectional LSTM 1 x 16, max pooling"]
    assert sum(map(sum, result["confusion"])) == 60


def test_predict_takes_arguments_a_file_or_standard_input(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["this is fine", "this is poor"]
    answers = [json.loads(line) for line in run(capsys, "classify", "predict", model, *texts, "--json")[1].splitlines()]
    assert [answer["text"] for answer in answers] == texts
    assert set(answers[0]["probabilities"]) == {"0", "1"}
    (tmp_path / "texts.txt").write_text("this is fine\n\nthis is poor\n", encoding="utf-8")
    from_file = run(capsys, "classify", "predict", model, "--file", tmp_path / "texts.txt", "--json")[1]
    for answer, same in zip(answers, map(json.loads, from_file.splitlines()), strict=True):
        assert same["text"] == answer["text"]
        assert same["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)
    command = [sys.executable, "-m", "throughtime", "classify", "predict", str(model), "--explain"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    process.stdin.write("this is fine\n")
    process.stdin.flush()
    # The answer comes before the input has ended.
    assert "%" in process.stdout.readline()
    process.stdin.close()
    assert "log-odds of" in process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0


def test_the_sample_needs_no_file_and_folds_print_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "classify", "train", "--sample", "-o", tmp_path / "model", *TINY, "--json")
    assert code == 0
    assert err == ""
    assert json.loads(out)["steps"] == 4
    code, out, _ = run(capsys, "classify", "train", "--sample", "--folds", "2", *TINY)
    assert code == 0
    assert "2-fold cross-validation" in out
    assert "TF-IDF" in out
    assert "standard deviation" in out


@pytest.mark.parametrize("name", ["junk.csv", "junk.txt"])
def test_a_file_that_is_no_text_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    # Carriage returns within a line once ended in an error of the CSV reader.
    (tmp_path / name).write_bytes(b"\xf8\r\x01,\r\x02\n\x00\xff\r,\x03\n" * 9)
    code, out, err = run(capsys, "classify", "train", tmp_path / name, "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "not utf-8 text" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "-o", "OUT"],
            "there is nothing to learn from; give a file or folder of labelled texts, or --sample",
        ),
        (["train", "DATA"], "give --output, the model folder to write, or --folds to cross-validate"),
        (["train", "DATA", "-o", "OUT", "--folds", "3"], "--folds trains models that are not kept"),
        (["train", "DATA", "--sample", "-o", "OUT"], "give data or --sample, not both"),
        (["train", "none.csv", "-o", "OUT"], "none.csv: there is no such file"),
        (
            ["train", "DATA", "-o", "OUT", "--text-column", "words"],
            "reviews.csv:1: has no column 'words'; there is 'text'",
        ),
        (["train", "DATA", "-o", "OUT", "--pooling", "sum"], "sum"),
        (["train", "DATA", "-o", "OUT", "--encoding", "utf8x"], "`encoding` 'utf8x' is not known"),
        (["train", "ONE", "-o", "OUT", "--quiet"], "there must be two classes at least"),
        (["evaluate", "MODEL", "--label-column", "x"], "`label_column` says where other data has what it needs"),
        (["evaluate", "MODEL", "--figure", "look.doc"], "`figure` must be a file that ends in .png or .svg or .pdf"),
        (["predict", "MODEL", "a text", "--file", "DATA"], "give texts or --file, not both"),
        (["predict", "nowhere", "a text"], "nowhere: there is no such folder"),
        (["evaluate", "MODEL", "OTHER"], "other.csv:2: the label 'x' is not among the training data's: 0, 1"),
    ],
)
def test_bad_input_is_one_sentence(
    model: Path,
    reviews: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    places = {"DATA": reviews, "MODEL": model, "OUT": tmp_path / "out"}
    for name, label in (("ONE", "1"), ("OTHER", "x")):
        places[name] = tmp_path / f"{name.lower()}.csv"
        places[name].write_text("text,label\n" + f"some words,{label}\n" * 20, encoding="utf-8")
    code, out, err = run(capsys, "classify", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert err.startswith("throughtime: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_folds_or_of_a_test_part(reviews: Path, tmp_path: Path) -> None:
    assert read_recipe("mr").folds == 10
    small = {"hidden_size": 8, "embedding_size": 8, "steps": 2, "precision": "32"}
    recipe = Recipe("name", "classify", "command", "title", "data", small, "folds", "accuracy", 0.1, "source", folds=2)
    found = reproduce(recipe, reviews)
    assert found.reached
    assert found.rows[0].accuracy == found.result >= 0.1
    with pytest.raises(ArgumentError, match="trains 2 models and keeps none; leave out --output"):
        reproduce(recipe, reviews, output=tmp_path / "model")
    single = Recipe("name", "classify", "command", "title", "data", small, "valid", "accuracy", 1.1, "source")
    assert not reproduce(single, reviews).reached
