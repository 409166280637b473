"""How well questions about pictures are answered, always beside what needs no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from throughtime.data import LabelledText, VisualQuestions, best_answer
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import tfidf_predictions


@dataclass(frozen=True)
class AnswerRow:
    """How well one model answers.

    Attributes:
        model: which.
        accuracy: VQA's accuracy; where each question has one answer, the share that is right.
        by_kind: the same for each kind of question.
    """

    model: str
    accuracy: float
    by_kind: dict[str, float]


@dataclass(frozen=True)
class AnswerEvaluation:
    """The evaluation of a network on questions about pictures.

    Attributes:
        questions: how many there are.
        pictures: that they are about.
        kinds: how many questions there are of each kind, the most frequent first.
        rows: the network's, then those of models that see no picture, which were learned from the same questions.
        several_answers: whether several people answered, so that an answer can be right in part.
    """

    questions: int
    pictures: int
    kinds: dict[str, int]
    rows: tuple[AnswerRow, ...]
    several_answers: bool


def evaluate_answers(
    answers: Sequence[str], questions: VisualQuestions, *, name: str, train: VisualQuestions | None
) -> AnswerEvaluation:
    """Judge answers, beside those that the question alone suggests.

    Args:
        answers: one for each question.
        questions: with their answers.
        name: of the model, for its row.
        train: what it learned from; without it there are no rows beside the model's.
    """
    rows = [_row(name, answers, questions)]
    if train is not None:
        rows += [
            _row("question only (TF-IDF + logistic regression)", from_questions_alone(train, questions), questions),
            _row("most common answer of the kind", most_common(train, questions, by_kind=True), questions),
            _row("most common answer", most_common(train, questions, by_kind=False), questions),
        ]
    kinds = Counter(example.kind for example in questions.examples)
    return AnswerEvaluation(
        len(questions),
        len({example.picture for example in questions.examples}),
        dict(kinds.most_common()),
        tuple(rows),
        any(len(example.answers) > 1 for example in questions.examples),
    )


def accuracy_of(answers: Sequence[str], questions: VisualQuestions) -> float:
    """VQA's accuracy: the mean, over the questions, of how right the answers are."""
    right = questions.answer_scores()
    return sum(scores.get(answer, 0.0) for answer, scores in zip(answers, right, strict=True)) / len(right)


def from_questions_alone(train: VisualQuestions, questions: VisualQuestions) -> list[str]:
    """What a classifier answers that reads the questions and sees no picture."""
    right = [best_answer(example.answers) for example in train.examples]
    examples = LabelledText.of(train.questions, right)
    if len(set(right)) < 2:
        return right[:1] * len(questions)
    targets = ClassTargets.of(examples, (), multi_label=False)
    predicted = tfidf_predictions(examples, questions.questions, targets)
    return [targets.classes[number] for number in predicted.tolist()]


def most_common(train: VisualQuestions, questions: VisualQuestions, *, by_kind: bool) -> list[str]:
    """The most common answer of the training questions, to all questions or to each kind of them."""
    overall = Counter[str]()
    of_kind: dict[str, Counter[str]] = {}
    for example in train.examples:
        answer = best_answer(example.answers)
        overall[answer] += 1
        of_kind.setdefault(example.kind, Counter[str]())[answer] += 1
    common = overall.most_common(1)[0][0]
    if not by_kind:
        return [common] * len(questions)
    found = {kind: counts.most_common(1)[0][0] for kind, counts in of_kind.items()}
    return [found.get(example.kind, common) for example in questions.examples]


def _row(name: str, answers: Sequence[str], questions: VisualQuestions) -> AnswerRow:
    rows_of: dict[str, list[int]] = {}
    for row, example in enumerate(questions.examples):
        rows_of.setdefault(example.kind, []).append(row)
    right = [scores.get(answer, 0.0) for answer, scores in zip(answers, questions.answer_scores(), strict=True)]
    by_kind = {kind: sum(right[row] for row in rows) / len(rows) for kind, rows in rows_of.items()}
    return AnswerRow(name, accuracy_of(answers, questions), by_kind)


def answer_summary(evaluation: AnswerEvaluation) -> dict[str, object]:
    """An evaluation as plain values, for JSON."""
    return asdict(evaluation)
