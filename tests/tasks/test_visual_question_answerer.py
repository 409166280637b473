from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from command_line import run
from throughtime import VisualQuestionAnswerer, VisualQuestions, load
from throughtime.cli import main
from throughtime.data import normalised_answer, sample_questions
from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.models.visual_question_answering import COMBINATIONS
from throughtime.tasks.answer_evaluation import evaluate_answers
from throughtime.tasks.reproduction import read_recipe

TINY = ["--hidden-size", "8", "--joint-size", "8", "--channels", "4", "--channels", "4", "--precision", "32", "--quiet"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of questions about twelve pictures, and the pictures."""
    folder = tmp_path_factory.mktemp("questions")
    questions = sample_questions(12, side=16)
    (folder / "images").mkdir()
    for number, pixels in enumerate(questions.pictures):
        assert isinstance(pixels, np.ndarray)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "question", "answer"])
        for one in questions.examples:
            writer.writerow([f"{one.picture}.png", one.question, one.answers[0]])
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    with pytest.raises(SystemExit) as stopped:
        main(["vqa", "train", str(data), "-o", str(folder), "--steps", "4", *TINY])
    assert stopped.value.code == 0
    return folder


def black_or_white(count: int) -> VisualQuestions:
    """Black and white pictures: the question alone says nothing."""
    pictures = [np.full((8, 8), 255 * (number % 2), np.uint8) for number in range(count)]
    asked = [(number, "is it white?", "yes" if number % 2 else "no") for number in range(count)]
    asked += [(number, "is it black?", "no" if number % 2 else "yes") for number in range(count)]
    return VisualQuestions.of(pictures, asked)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_network_learns_to_look(combination: str) -> None:
    answerer = VisualQuestionAnswerer.fit(
        black_or_white(40), combination=combination, epochs=25, hidden_size=8, joint_size=16, channels=[4],
        batch_size=16, embedding_size=8, dropout=0.0, learning_rate=0.01, precision="32",
    )  # fmt: skip
    found = answerer.evaluate(black_or_white(20))
    network, question_only = found.rows[:2]
    assert network.accuracy == 1
    assert network.by_kind == {"is it": 1.0}
    assert question_only.accuracy == 0.5
    answer, *_ = answerer.answer(np.full((8, 8), 255, np.uint8), ["is it white?", "is it green?"])
    assert answer.answer == "yes"
    assert answer.probabilities["yes"] == max(answer.probabilities.values()) > 0.5
    assert answerer.answer(np.zeros((8, 8), np.uint8), ["is it green?"])[0].unknown == ("green",)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> VisualQuestionAnswerer:
    """A model that writes its answers, of two words or of one."""
    questions = black_or_white(40)
    written = [
        (one.picture, one.question, "it is so" if one.answers == ("yes",) else "no") for one in questions.examples
    ]
    folder = tmp_path_factory.mktemp("writer") / "model"
    return VisualQuestionAnswerer.fit(
        VisualQuestions.of(questions.pictures, written), answers="sequence", epochs=60, hidden_size=16, joint_size=16,
        channels=[4], batch_size=16, embedding_size=8, dropout=0.0, learning_rate=0.02, precision="32", patience=None,
        combination="joined", output=folder, validations=3,
    )  # fmt: skip


def test_answers_are_written_word_by_word(writer: VisualQuestionAnswerer, tmp_path: Path) -> None:
    white = np.full((8, 8), 255, np.uint8)
    found = writer.answer(white, ["is it white?", "is it black?"], attention=True)
    assert [one.answer for one in found] == ["it is so", "no"]
    assert found[0].pieces == ("it", "is", "so")
    assert found[0].attention is not None
    assert found[0].attention.shape == (4, 4, 4)  # a grid for each word and for the end
    np.testing.assert_allclose(found[0].attention.sum((1, 2)), 1, rtol=1e-5)
    assert found[0].probabilities["it is so"] == max(found[0].probabilities.values()) > 0.5
    assert [row.accuracy for row in writer.evaluate().rows[:2]] == [1.0, 0.5]
    writer.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert isinstance(loaded, VisualQuestionAnswerer)
    assert loaded.answer(white, ["is it white?"])[0].answer == "it is so"
    (tmp_path / "saved" / "answers.json").unlink()
    with pytest.raises(ModelFolderError, match=r"answers.json"):
        load(tmp_path / "saved")


def test_where_it_looked_is_drawn(
    writer: VisualQuestionAnswerer, model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = data / "images" / "0.png"
    for number, folder in enumerate((model, writer.folder.path)):
        drawn = tmp_path / f"{number}.png"
        code, _, err = run(capsys, "vqa", "predict", folder, picture, "is it white?", "what?", "--attention", drawn)
        assert code == 0, err
        with Image.open(drawn) as overlay:
            assert overlay.size[0] > 400
    joined = VisualQuestionAnswerer.fit(
        black_or_white(20), combination="joined", steps=1, hidden_size=8, joint_size=8, channels=[4],
        output=tmp_path / "joined",
    )  # fmt: skip
    assert not joined.has_attention
    code, _, err = run(
        capsys, "vqa", "predict", tmp_path / "joined", picture, "is it?", "--attention", tmp_path / "n.png"
    )
    assert (code, "--attention needs a model that has attention" in err) == (1, True)


def losses(folder: Path) -> list[tuple[int, float]]:
    """What the log of a run says of its steps and validations."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(record["step"], record["validation_loss"]) for record in records if "validation_loss" in record]


def test_a_run_that_goes_on_makes_the_same_losses_and_what_is_saved_answers_alike(tmp_path: Path) -> None:
    options: dict[str, Any] = {"hidden_size": 8, "joint_size": 8, "channels": [4], "batch_size": 16, "precision": "32"}
    options |= {"schedule": "constant", "validations": 2}
    whole = VisualQuestionAnswerer.fit(black_or_white(20), steps=4, output=tmp_path / "whole", **options)
    VisualQuestionAnswerer.fit(black_or_white(20), steps=2, output=tmp_path / "begun", **options)
    VisualQuestionAnswerer.fit(output=tmp_path / "begun", resume=True, steps=4)
    assert losses(tmp_path / "begun")[-1] == losses(tmp_path / "whole")[-1]
    assert losses(tmp_path / "whole")[-1][0] == 4
    whole.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert isinstance(loaded, VisualQuestionAnswerer)
    picture = np.full((8, 8), 200, np.uint8)
    first, second = (one.answer(picture, ["is it white?"])[0].probabilities for one in (whole, loaded))
    assert first == pytest.approx(second, abs=1e-6)
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        loaded.evaluate()


def test_soft_accuracy_and_the_rows_beside() -> None:
    pictures = [np.zeros((4, 4), np.uint8)]
    people = [(0, "what colour?", ["red"] * 8 + ["pink"] * 2), (0, "how many?", ["two"] * 10)]
    questions = VisualQuestions.of(pictures, people, kinds=["colour", "count"])
    found = evaluate_answers(["pink", normalised_answer("two")], questions, name="model", train=questions)
    assert found.several_answers
    assert found.rows[0].by_kind == {"colour": pytest.approx(0.6), "count": 1.0}
    assert found.rows[0].accuracy == pytest.approx(0.8)
    names = [row.model for row in found.rows[1:]]
    assert names == [
        "question only (TF-IDF + logistic regression)",
        "most common answer of the kind",
        "most common answer",
    ]
    assert [row.accuracy for row in found.rows[1:]] == [1.0, 1.0, 0.5]


def test_the_commands_evaluate_and_predict(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "vqa", "evaluate", model, data, "--images", data / "images")
    assert code == 0
    for shown in ("question only", "most common answer", "by kind of question", "what shape"):
        assert shown in out
    code, out, err = run(capsys, "vqa", "predict", model, data / "images" / "0.png", "what shape is it?", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["question"] == "what shape is it?"
    assert sum(answer["probabilities"].values()) <= 1 + 1e-6
    code, out, err = run(capsys, "vqa", "predict", model, data / "images" / "0.png", "what zebra is it?")
    assert "%" in out
    assert "zebra" in err
    assert (model / "README.md").read_text(encoding="utf-8").startswith("# Answers to questions about pictures")


def test_the_sample_needs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys,
        "vqa",
        "train",
        "--sample",
        "-o",
        tmp_path / "model",
        "--steps",
        "1",
        "--image-size",
        "16",
        "--json",
        *TINY,
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["steps"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "-o", "OUT"], "there is nothing to learn from; give a file or folder"),
        (["train", "DATA"], "give --output, the model folder to write"),
        (["train", "DATA", "--sample", "-o", "OUT"], "give data or --sample, not both"),
        (["train", "none.csv", "-o", "OUT"], "none.csv: there is no such file or folder"),
        (["train", "DATA", "-o", "OUT", "--answer-column", "says"], "questions.csv:1: has no column 'says'"),
        (["train", "BROKEN", "-o", "OUT", "--quiet"], "missing.png: there is no such file"),
        (["train", "DATA", "-o", "OUT", "--fine-tune"], "`fine_tune` is for image classifiers"),
        (["predict", "MODEL", "nothing.png", "what?"], "nothing.png: there is no such file"),
        (["predict", "MODEL", "nothing.png"], "nothing.png: there is no such file"),
        (["predict", "nowhere", "nothing.png", "what?"], "nowhere: there is no such folder"),
    ],
)
def test_bad_input_is_one_sentence(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    places = {"DATA": data, "MODEL": model, "OUT": tmp_path / "out", "BROKEN": tmp_path / "broken.csv"}
    rows = [f"{data / 'images' / f'{number}.png'},what?,this" for number in range(8)] + ["missing.png,what?,that"]
    places["BROKEN"].write_text("image,question,answer\n" + "\n".join(rows), encoding="utf-8")
    code, out, err = run(capsys, "vqa", *(places.get(argument, argument) for argument in arguments))
    assert code != 0
    assert out == ""
    assert err.startswith("throughtime: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_arguments_are_checked(model: Path) -> None:
    answerer = VisualQuestionAnswerer.load(model)
    picture = np.zeros((16, 16), np.uint8)
    assert answerer.answer(picture, []) == []
    with pytest.raises(ArgumentError, match="must be a list of strings, got a string"):
        answerer.answer(picture, "what?")
    with pytest.raises(ArgumentError, match="got an empty one"):
        answerer.answer(picture, [" "])
    assert read_recipe("sort-of-clevr").higher_is_better
