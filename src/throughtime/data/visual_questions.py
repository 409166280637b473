"""Questions about pictures with their answers, as rows that know where they stood."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from throughtime.data.examples import Examples, load_examples, save_examples
from throughtime.data.images import Picture
from throughtime.errors import ArgumentError, DataError, check_range, counted

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_ARTICLES = frozenset({"a", "an", "the"})
AGREEING = 3
"""How many people must have given an answer for it to be wholly right, where several were asked."""


class VisualQuestion(NamedTuple):
    """A question about a picture.

    Attributes:
        picture: which of the pictures.
        question: as it was read.
        answers: of one or of several people; none where it is to be answered.
        kind: of the question, such as "relational"; its first two words where nobody says.
        place: where it stood, such as "questions.csv:17".
    """

    picture: int
    question: str
    answers: tuple[str, ...]
    kind: str
    place: str


@dataclass(frozen=True)
class VisualQuestions(Examples[VisualQuestion]):
    """Questions about pictures, several of which may be about one.

    Attributes:
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
        pictures: files or pixels; none in prepared data, where the pictures stand in a file of their own.
        picture_places: what each picture is called in messages.
    """

    UNIT: ClassVar[str] = "question"

    pictures: tuple[Picture, ...] = ()
    picture_places: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        pictures: Sequence[Picture | str],
        questions: Sequence[tuple[int, str, str | Sequence[str]]],
        *,
        kinds: Sequence[str] | None = None,
        name: str = "questions",
    ) -> VisualQuestions:
        """Make it from pictures, and questions that name one of them by its number.

        Args:
            pictures: files or pixels.
            questions: the picture's number from 0, the question, and its answer or several people's answers.
            kinds: of each question; recognised from its first words if None.
            name: of it all, for messages.

        Raises:
            ArgumentError: where a number names no picture, or the kinds are not as many.
        """
        own = tuple(Path(picture) if isinstance(picture, str) else picture for picture in pictures)
        places = tuple(str(one) if isinstance(one, Path) else f"{name}[{place}]" for place, one in enumerate(own))
        if kinds is not None and len(kinds) != len(questions):
            raise ArgumentError(f"`kinds` must be as many as the questions, {len(questions)}, got {len(kinds)}")
        examples: list[VisualQuestion] = []
        for number, (picture, question, answer) in enumerate(questions):
            if not 0 <= picture < len(own):
                raise ArgumentError(f"question number {number} is about picture {picture}, and there are {len(own)}")
            answers = (answer,) if isinstance(answer, str) else tuple(answer)
            kind = kind_of(question) if kinds is None else kinds[number]
            examples.append(VisualQuestion(picture, question, answers, kind, f"{name}[{number}]"))
        return cls(tuple(examples), name, pictures=own, picture_places=places)

    @property
    def questions(self) -> list[str]:
        """The questions alone."""
        return [example.question for example in self.examples]

    @property
    def rows(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Which picture each question is about, shape (questions,)."""
        return np.array([example.picture for example in self.examples], dtype=np.int64)

    def answer_scores(self) -> list[dict[str, float]]:
        """For each question, how right each of its answers is, from 0 to 1; see ``soft_scores``."""
        return [soft_scores(example.answers) for example in self.examples]

    def summary(self) -> str:
        """How many questions about how many pictures there are, and the most frequent answers."""
        counts = Counter(best_answer(example.answers) for example in self.examples if example.answers)
        shares = ", ".join(f"{answer} {count:,}" for answer, count in counts.most_common(8))
        pictures = len({example.picture for example in self.examples})
        more = f", and {len(counts) - 8:,} more" if len(counts) > 8 else ""
        return f"{counted(len(self), 'question')} about {counted(pictures, 'picture')}; {shares}{more}"

    def chosen(self, rows: Iterable[int]) -> Self:
        """These questions alone, with the pictures that they are about."""
        found = super().chosen(rows)
        kept = sorted({example.picture for example in found.examples})
        number = {picture: place for place, picture in enumerate(kept)}
        return replace(
            found,
            examples=tuple(example._replace(picture=number[example.picture]) for example in found.examples),
            pictures=tuple(self.pictures[picture] for picture in kept),
            picture_places=tuple(self.picture_places[picture] for picture in kept),
        )

    def joined(self, *others: Any) -> Self:
        """These questions and then the others', with their pictures."""
        examples, pictures, places = list(self.examples), list(self.pictures), list(self.picture_places)
        for other in others:
            examples += [example._replace(picture=example.picture + len(pictures)) for example in other.examples]
            pictures += other.pictures
            places += other.picture_places
        return replace(
            super().joined(*others), examples=tuple(examples), pictures=tuple(pictures), picture_places=tuple(places)
        )

    def save(self, path: Path) -> None:
        """Write the questions, one JSON object a line."""
        save_examples(path, self.examples)

    @classmethod
    def load(cls, path: Path, name: str) -> VisualQuestions:
        """Read what ``save`` wrote; it is without its pictures.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, VisualQuestion), name)


def split_off_questions(
    questions: VisualQuestions, fraction: float, *, seed: int
) -> tuple[VisualQuestions, VisualQuestions]:
    """Take the questions about a random part of the pictures out; no picture is in both parts.

    Raises:
        ArgumentError: where the fraction is not between 0 and 1.
        DataError: where there are too few pictures.
    """
    check_range("fraction", fraction, low=0, high=1, low_open=True, high_open=True)
    pictures = sorted({example.picture for example in questions.examples})
    count = max(1, round(fraction * len(pictures)))
    if count >= len(pictures):
        raise DataError(
            f"{questions.name}: is about {counted(len(pictures), 'picture')}, too few to keep some for validation; "
            "give more, or a validation file"
        )
    taken = set(np.random.default_rng(seed).permutation(pictures)[:count].tolist())
    rows = range(len(questions))
    return tuple(  # pyright: ignore[reportReturnType] - of two
        questions.chosen(row for row in rows if (questions.examples[row].picture in taken) == kept)
        for kept in (False, True)
    )


def kind_of(question: str) -> str:
    """The kind of a question about which nobody says: its first two words.

    >>> kind_of("What colour is the shape?")
    'what colour'
    """
    return " ".join(question.lower().split()[:2])


def normalised_answer(answer: str) -> str:
    """An answer as it is compared: in lower case, without articles and punctuation, numbers in figures.

    After the evaluation of Antol et al. (2015), https://arxiv.org/abs/1505.00468.

    >>> normalised_answer("The  two Dogs."), normalised_answer("1,000"), normalised_answer("3.5")
    ('2 dogs', '1000', '3.5')
    """
    plain = re.sub(r"(?<=\d),(?=\d)|(?<!\d)\.|\.(?!\d)|[!?;:\"“”()\[\]{}]", "", answer.lower()).replace(",", " ")
    words = [_DIGITS.get(word, word) for word in plain.split() if word not in _ARTICLES]
    return " ".join(words) or answer.strip().lower()


def soft_scores(answers: Sequence[str]) -> dict[str, float]:
    """How right each answer is: VQA's accuracy, by how many of the people who were asked gave it.

    The mean, over the people of whom one after the other is left out, of min(1, how many of the others said it / 3).
    Of one person alone, what was said is right.

    >>> soft_scores(["red"] * 9 + ["pink"]), soft_scores(["yes"])
    ({'red': 1.0, 'pink': 0.3}, {'yes': 1.0})
    """
    counts = Counter(map(normalised_answer, answers))
    asked = len(answers)
    if asked <= 1:
        return dict.fromkeys(counts, 1.0)
    return {
        answer: round(
            (count * min(1.0, (count - 1) / AGREEING) + (asked - count) * min(1.0, count / AGREEING)) / asked, 10
        )
        for answer, count in counts.items()
    }


def best_answer(answers: Sequence[str]) -> str:
    """The answer that most people gave; of equally frequent ones the first."""
    return Counter(map(normalised_answer, answers)).most_common(1)[0][0]
