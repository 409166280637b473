from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from throughtime.data import (
    ExampleBatch,
    Frames,
    PairBatch,
    QuestionBatches,
    QuestionColumns,
    QuestionSequences,
    ScoredAnswers,
    SpelledAnswers,
    VisualQuestions,
    find_questions,
    normalised_answer,
    sample_questions,
    sort_of_clevr,
    split_questions,
)
from throughtime.data.sample_questions import CLEVR_COLOURS, CLEVR_SIDE
from throughtime.data.visual_questions import soft_scores
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.sequence import QuestionBatch


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (shade, shade, shade)).save(path)
    return path


@given(st.lists(st.sampled_from(["red", "blue", "two", "2"]), min_size=2, max_size=10))
def test_soft_accuracy_is_the_mean_over_all_who_are_left_out(answers: list[str]) -> None:
    given_answers = [normalised_answer(answer) for answer in answers]
    for answer, score in soft_scores(answers).items():
        others = list(combinations(given_answers, len(answers) - 1))
        expected = sum(min(1.0, some.count(answer) / 3) for some in others) / len(others)
        assert score == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "compared"),
    [("A Dog.", "dog"), ("yes!", "yes"), ("Two", "2"), ("1,000", "1000"), ("red, blue", "red blue"), ("the", "the")],
)
def test_answers_are_compared_without_what_does_not_matter(said: str, compared: str) -> None:
    assert normalised_answer(said) == compared


def test_vqa_json_has_the_answers_of_ten_people_beside_it(tmp_path: Path) -> None:
    picture(tmp_path / "val2014" / "COCO_val2014_000000000042.jpg")
    asked = {"questions": [{"image_id": 42, "question": "What is it?", "question_id": 42000}]}
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps(asked), encoding="utf-8")
    people = [{"answer": "a cat"}] * 7 + [{"answer": "dog"}] * 3
    said = {"annotations": [{"question_id": 42000, "question_type": "what is", "answers": people}]}
    (tmp_path / "v2_mscoco_val2014_annotations.json").write_text(json.dumps(said), encoding="utf-8")
    (found,) = find_questions([tmp_path]).values()
    assert found.examples[0].question == "What is it?"
    assert found.examples[0].kind == "what is"
    assert found.pictures == (tmp_path / "val2014" / "COCO_val2014_000000000042.jpg",)
    assert found.answer_scores() == [{"cat": 1.0, "dog": pytest.approx(0.9)}]


def test_easy_vqa_has_a_folder_for_each_part(tmp_path: Path) -> None:
    for part, number in (("train", 3), ("test", 5)):
        picture(tmp_path / part / "images" / f"{number}.png")
        rows = [["what shape?", "circle", number], ["is it red?", "no", number]]
        (tmp_path / part / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
    found = find_questions([tmp_path])
    assert list(found) == ["test", "train"]
    assert found["test"].pictures == (tmp_path / "test" / "images" / "5.png",)
    assert [one.answers for one in found["train"].examples] == [("circle",), ("no",)]
    assert [one.picture for one in found["train"].examples] == [0, 0]


@pytest.mark.parametrize("name", ["questions.csv", "questions.tsv", "questions.jsonl"])
def test_tables_are_read_whatever_their_columns_are_called(tmp_path: Path, name: str) -> None:
    for number in (1, 2):
        picture(tmp_path / "images" / f"{number}.png")
    rows = [("1.png", "what?", "red|red|blue", "colour"), ("2.png", "how many?", "2", "count")]
    header = ("picture", "question", "answers", "type")
    if name.endswith("jsonl"):
        lines = [json.dumps({**dict(zip(header, row, strict=True)), "answers": row[2].split("|")}) for row in rows]
    else:
        lines = [("," if name.endswith("csv") else "\t").join(row) for row in (header, *rows)]
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (found,) = find_questions([tmp_path / name]).values()
    assert [one.answers for one in found.examples] == [("red", "red", "blue"), ("2",)]
    assert [one.kind for one in found.examples] == ["colour", "count"]
    assert [Path(str(path)).name for path in found.pictures] == ["1.png", "2.png"]
    other = QuestionColumns(images=tmp_path / "elsewhere")
    assert find_questions([tmp_path / name], other)["train"].pictures[0] == tmp_path / "elsewhere" / "1.png"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.csv", "image,question,answer\n1.png,,red\n", "q.csv:2: must have a question and an answer"),
        ("q.csv", "image,question\n1.png,what?\n", "no column with a known name for the answer"),
        ("questions.json", "[[1, 2]]", r"questions.json\[0\]: must be \[question, answer, number of the picture\]"),
        ("questions.json", "{", "is not JSON"),
        ("questions.json", '{"questions": []}', "has no answers beside it; there should be annotations.json"),
        ("questions.json", '{"other": []}', "has neither VQA's list of questions nor easy-VQA's"),
        ("q.txt", "what?", "is no file of questions"),
        ("q.csv", "", "is empty"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        find_questions([tmp_path / name])


def test_no_picture_is_in_two_parts_and_what_is_saved_is_loaded(tmp_path: Path) -> None:
    questions = sample_questions(40, side=8)
    splits = split_questions({"train": questions}, 0.25, seed=1)
    whole = {np.asarray(one).tobytes() for one in splits.train.pictures}
    assert len(splits.valid.pictures) == 10
    assert not whole & {np.asarray(one).tobytes() for one in splits.valid.pictures}
    assert len(splits.train) + len(splits.valid) == len(questions)
    splits.valid.save(tmp_path / "valid.jsonl")
    assert VisualQuestions.load(tmp_path / "valid.jsonl", "valid").examples == splits.valid.examples
    joined = splits.train.joined(splits.valid)
    assert joined.pictures[joined.examples[-1].picture] is splits.valid.pictures[splits.valid.examples[-1].picture]
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        VisualQuestions.load(tmp_path / "none.jsonl", "none")
    with pytest.raises(DataError, match="too few"):
        split_questions({"train": sample_questions(1)}, 0.1, seed=0)
    with pytest.raises(ArgumentError, match="about picture 3, and there are 1"):
        VisualQuestions.of([np.zeros((4, 4), np.uint8)], [(3, "what?", "this")])


def test_the_generated_questions_are_answered_by_their_pictures() -> None:
    questions = sort_of_clevr(12, seed=3)
    assert len(questions) == 12 * 20
    for one in questions.examples:
        pixels = questions.pictures[one.picture]
        assert isinstance(pixels, np.ndarray)
        assert pixels.shape == (CLEVR_SIDE, CLEVR_SIDE, 3)
        places = {colour: np.argwhere((pixels == np.array(rgb)).all(-1)) for colour, rgb in CLEVR_COLOURS.items()}
        centres = {colour: (where.min(0) + where.max(0)) / 2 for colour, where in places.items()}
        # A square of 11 x 11 pixels is full, a circle is not.
        shapes = {colour: "square" if len(where) == 121 else "circle" for colour, where in places.items()}
        colour = next(colour for colour in CLEVR_COLOURS if colour in one.question.split())
        row, column = centres[colour]
        distance = {
            other: np.hypot(*(centre - centres[colour])) for other, centre in centres.items() if other != colour
        }
        if "nearest" in one.question:
            expected = shapes[min(distance, key=lambda other: distance[other])]
        elif "farthest" in one.question:
            expected = shapes[max(distance, key=lambda other: distance[other])]
        elif "how many" in one.question:
            expected = str(sum(shape == shapes[colour] for shape in shapes.values()))
        elif "left" in one.question:
            expected = "yes" if column < CLEVR_SIDE / 2 else "no"
        elif "top" in one.question:
            expected = "yes" if row < CLEVR_SIDE / 2 else "no"
        else:
            expected = shapes[colour]
        assert one.answers == (expected,)
        assert one.kind == ("relational" if "nearest" in one.question or "far" in one.question or "many" in one.question
                            else "non-relational")  # fmt: skip


def test_batches_look_at_a_picture_once_and_ask_everything_once() -> None:
    rows = np.repeat(np.arange(7), 5)
    answers = [(np.array([row % 3]), np.array([1.0], np.float32)) for row in range(35)]
    tokens = [np.arange(1 + row % 4) for row in range(35)]
    pixels = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    sequences = QuestionSequences(Frames(pixels), rows, tokens)
    batches = QuestionBatches(sequences, ScoredAnswers(answers, 3), batch_size=10, together=5)
    assert len(batches) == 4
    asked: list[int] = []
    for index in range(len(batches)):
        chosen = batches.rows(1, index)
        batch = batches.batch(1, index)
        assert isinstance(batch, ExampleBatch)
        asked_of = batch.tokens
        assert isinstance(asked_of, QuestionBatch)
        assert len(asked_of.pictures) == len(set(rows[chosen].tolist()))
        assert asked_of.pictures.flatten()[asked_of.which].tolist() == rows[chosen].tolist()
        assert batch.targets.argmax(-1).tolist() == [row % 3 for row in chosen]
        asked += chosen
    assert sorted(asked) == list(range(35))
    assert batches.rows(0, 0) != batches.rows(1, 0)
    spelled = SpelledAnswers([np.full(1 + row % 2, row % 3) for row in range(35)], 9)
    written = QuestionBatches(sequences, spelled, batch_size=10, together=5)
    assert batches.rows(1, 0) == written.rows(1, 0)
    pair = written.batch(1, 0)
    assert isinstance(pair, PairBatch)
    for column, row in enumerate(written.rows(1, 0)):
        answer = [9, *[row % 3] * (1 + row % 2), 9]
        assert pair.target.values[: len(answer), column].tolist() == answer
