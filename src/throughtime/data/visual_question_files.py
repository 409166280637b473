"""Questions about pictures as people keep them: VQA's JSON, easy-VQA's folders, tables of picture, question, answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from throughtime.data.images import SUFFIXES
from throughtime.data.picture_tables import PICTURE_NAMES, TABLES, picture_path, read_picture_table
from throughtime.data.splits import Splits, joined_parts, splits_of
from throughtime.data.table_rows import first_named
from throughtime.data.text import part_of
from throughtime.data.text_encodings import read_text_file
from throughtime.data.visual_questions import VisualQuestion, VisualQuestions, kind_of, split_off_questions
from throughtime.errors import DataError, counted, data_error

QUESTION_NAMES = ("question", "query", "text")
ANSWER_NAMES = ("answer", "answers", "label")
KIND_NAMES = ("question_type", "type", "kind")
_USUAL_FOLDERS = ("images", "Images", "train2014", "val2014", "test2015", "train2017", "val2017")


@dataclass(frozen=True)
class QuestionColumns:
    """Where a row of a table has what.

    Attributes:
        image: the name of the column that names the picture's file, or its number from 1; recognised if None.
        question: the same of the question's.
        answer: the same of the answer's; several answers are a list, or stand with | between them.
        images: the folder that the names of files start from; the table's own if None.
    """

    image: str | None = None
    question: str | None = None
    answer: str | None = None
    images: Path | None = None


RECOGNISED_QUESTIONS = QuestionColumns()


def find_questions(
    sources: Sequence[VisualQuestions | Path | str], columns: QuestionColumns = RECOGNISED_QUESTIONS
) -> dict[str, VisualQuestions]:
    """Find the parts of a set of questions about pictures in what the user gave.

    Args:
        sources: ``VisualQuestions``; tables (CSV, TSV, JSONL); VQA's questions, a JSON file whose annotations are
            found beside it; or folders with these, or as easy-VQA has them, train/questions.json and train/images/.
        columns: where the rows of a table have what, and the folder of the pictures.

    Returns:
        The questions of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming it.
    """
    found: dict[str, list[VisualQuestions]] = {}
    for source in sources:
        parts = [("train", source)] if isinstance(source, VisualQuestions) else _found(Path(source), columns)
        for part, questions in parts:
            found.setdefault(part, []).append(questions)
    if not found:
        raise DataError("there are no questions; give files or folders")
    return joined_parts(found)


def split_questions(
    parts: dict[str, VisualQuestions], validation_fraction: float, *, seed: int
) -> Splits[VisualQuestions]:
    """Take the questions about some pictures out of the training part where there is no validation part.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_off_questions(train, validation_fraction, seed=seed))


def _found(path: Path, columns: QuestionColumns) -> Iterator[tuple[str, VisualQuestions]]:
    if not path.exists():
        raise data_error(path, "there is no such file or folder")
    if not path.is_dir():
        part = _part_in_name(path)
        yield part, _file(path, columns)
        return
    folders = {part: entry for entry in sorted(path.iterdir()) if entry.is_dir() and (part := part_of(entry.name))}
    layout = {part: folder / "questions.json" for part, folder in folders.items()}
    if any(file.exists() for file in layout.values()):
        for part, file in layout.items():
            if file.exists():
                yield part, _file(file, columns)
        return
    tables = [entry for entry in sorted(path.iterdir()) if entry.name.lower().removesuffix(".gz").endswith(TABLES)]
    files = tables or [entry for entry in sorted(path.glob("*.json*")) if "question" in entry.name.lower()]
    if not files:
        raise data_error(path, "has no questions in it; there should be a table, or a JSON file with questions")
    for file in files:
        yield _part_in_name(file), _file(file, columns)


def _part_in_name(path: Path) -> str:
    words = path.name.lower().replace("2014", "").replace("2015", "").replace(".", "_").replace("-", "_").split("_")
    return part_of(path.name) or next((part for word in words if (part := part_of(word))), None) or "train"


def _file(path: Path, columns: QuestionColumns) -> VisualQuestions:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(TABLES):
        return _table(path, columns)
    if not name.endswith(".json"):
        raise data_error(path, "is no file of questions; give CSV, TSV, JSONL, or VQA's or easy-VQA's JSON")
    content = _json(path)
    if isinstance(content, list):
        return _easy_vqa(path, cast("list[object]", content), columns)
    if isinstance(content, dict) and "questions" in content:
        return _vqa(path, cast("Mapping[str, Any]", content), columns)
    raise data_error(path, "has neither VQA's list of questions nor easy-VQA's")


def _json(path: Path) -> object:
    text = read_text_file(path, "utf-8").text
    try:
        return json.loads(text)
    except ValueError as error:
        raise data_error(path, f"is not JSON ({error})") from error


class _Collected:
    """Questions as they are read, each picture once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pictures: dict[Path, int] = {}
        self.examples: list[VisualQuestion] = []

    def add(self, picture: Path, question: object, answers: Sequence[object], kind: str | None, place: str) -> None:
        said = tuple(str(answer).strip() for answer in answers if str(answer).strip())
        if not isinstance(question, str) or not question.strip() or not said:
            raise DataError(f"{place}: must have a question and an answer")
        number = self.pictures.setdefault(picture, len(self.pictures))
        self.examples.append(VisualQuestion(number, question.strip(), said, kind or kind_of(question), place))

    def finished(self, how: str) -> VisualQuestions:
        if not self.examples:
            raise data_error(self.path, "has no question in it")
        pictures = tuple(self.pictures)
        remark = (
            f"{self.path}: {counted(len(self.examples), 'question')} about {counted(len(pictures), 'picture')}, {how}"
        )
        places = tuple(map(str, pictures))
        return VisualQuestions(tuple(self.examples), str(self.path), (remark,), pictures, places)


def _table(path: Path, columns: QuestionColumns) -> VisualQuestions:
    table = read_picture_table(path, (*PICTURE_NAMES, *QUESTION_NAMES, *ANSWER_NAMES))
    image = table.column(columns.image, PICTURE_NAMES, "image")
    question = table.column(columns.question, QUESTION_NAMES, "question")
    answer = table.column(columns.answer, ANSWER_NAMES, "answer")
    kind = first_named(table.columns, KIND_NAMES)
    found = _Collected(path)
    for row, place in enumerate(table.places):
        cells = table.rows[row]
        said = cells.get(answer)
        answers: Sequence[object] = said if isinstance(said, list) else str("" if said is None else said).split("|")
        own = str(cells.get(kind) or "").strip() if kind else ""
        found.add(table.picture(row, image, columns.images), cells.get(question), answers, own, place)
    return found.finished(f"picture in {image!r}, question in {question!r}, answer in {answer!r}")


def _easy_vqa(path: Path, rows: Sequence[object], columns: QuestionColumns) -> VisualQuestions:
    """Each row is [question, answer, number of the picture]; the pictures are images/NUMBER.png."""
    found = _Collected(path)
    folder = columns.images or path.parent / "images"
    for number, row in enumerate(rows):
        place = f"{path}[{number}]"
        if not isinstance(row, list) or len(cast("list[object]", row)) != 3:
            raise DataError(f"{place}: must be [question, answer, number of the picture]")
        question, answer, picture = cast("list[object]", row)
        found.add(folder / f"{picture}.png", question, (answer,), None, place)
    return found.finished("easy-VQA's layout")


def _vqa(path: Path, content: Mapping[str, Any], columns: QuestionColumns) -> VisualQuestions:
    """VQA v2: the questions here, the answers of ten people in the file of annotations."""
    annotations = _annotations(path)
    folders = [columns.images] if columns.images else [path.parent / one for one in ("", *_USUAL_FOLDERS)]
    by_number = _numbered_pictures(folders)
    found = _Collected(path)
    for number, one in enumerate(content["questions"]):
        place = f"{path}[{number}]"
        try:
            given = annotations[one["question_id"]]
            answers = [answer["answer"] for answer in given["answers"]]
            picture = by_number.get(int(one["image_id"])) or picture_path(f"{one['image_id']}.jpg", path.parent)
            found.add(picture, one["question"], answers, given.get("question_type"), place)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{place}: has no answer in the annotations, or lacks {error}") from error
    return found.finished("VQA's JSON")


def _annotations(path: Path) -> Mapping[Any, Any]:
    """What people answered, by the number of the question, from the file beside that of the questions."""
    tried = [
        path.with_name(path.name.replace("OpenEnded_mscoco", "mscoco").replace("questions", "annotations")),
        path.with_name(path.name.replace("questions", "annotations")),
    ]
    beside = next((file for file in tried if file.exists() and file != path), None)
    if beside is None:
        raise data_error(path, f"has no answers beside it; there should be {tried[0].name}")
    content = _json(beside)
    try:
        return {one["question_id"]: one for one in cast("Any", content)["annotations"]}
    except (KeyError, TypeError) as error:
        raise data_error(beside, f"has not VQA's annotations in it (it lacks {error})") from error


def _numbered_pictures(folders: Sequence[Path]) -> dict[int, Path]:
    """Pictures whose names end in a number, as COCO's do: COCO_train2014_000000000009.jpg."""
    found: dict[int, Path] = {}
    for folder in folders:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            digits = file.stem.rpartition("_")[2]
            if file.suffix.lower() in SUFFIXES and digits.isdecimal():
                found.setdefault(int(digits), file)
    return found
