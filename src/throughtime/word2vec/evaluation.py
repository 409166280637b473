"""How good word vectors are: analogies that they answer, and similarities that people agree with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from throughtime.errors import check_positive_integer, data_error
from throughtime.word2vec.nearest import Rows, analogy_rows
from throughtime.word2vec.vectors import AnalogyMethod, WordVectors

Question: TypeAlias = tuple[str, str, str, str]

# As many answers as gensim looks at to find one that is not a word of the question in another case.
ANSWERS = 5


class AnalogySection(NamedTuple):
    """Questions of one kind: four words (a, b, c, d) each, where a is to b as c is to d."""

    name: str
    questions: Sequence[Question]


class RatedPair(NamedTuple):
    """Two words, and how similar people find them."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class AnalogyScore:
    """How many questions of a kind were answered.

    Attributes:
        name: the section's.
        correct: questions answered right.
        asked: questions all of whose words have vectors.
        total: questions in the file.
    """

    name: str
    correct: int
    asked: int
    total: int

    @property
    def accuracy(self) -> float:
        """The correct among the asked; NaN where none was asked."""
        return self.correct / self.asked if self.asked else math.nan

    @property
    def coverage(self) -> float:
        """The asked among all."""
        return self.asked / self.total if self.total else 0.0


@dataclass(frozen=True)
class AnalogyEvaluation:
    """Scores by section, and summed up as in Mikolov et al. (2013): sections named "gram..." are syntactic."""

    sections: tuple[AnalogyScore, ...]
    semantic: AnalogyScore
    syntactic: AnalogyScore
    total: AnalogyScore


@dataclass(frozen=True)
class SimilarityEvaluation:
    """How cosines agree with people.

    Attributes:
        spearman: the correlation of the ranks, those of equals averaged; NaN where it is not defined.
        pearson: the correlation of the values; NaN where it is not defined.
        asked: pairs both of whose words have vectors.
        total: pairs in the file.
    """

    spearman: float
    pearson: float
    asked: int
    total: int

    @property
    def coverage(self) -> float:
        """The asked among all."""
        return self.asked / self.total if self.total else 0.0


def read_analogies(path: Path | str) -> list[AnalogySection]:
    """Read questions in the form of Google's questions-words.txt: four words a line, under lines ": section".

    Raises:
        DataError: naming the line that is something else.
    """
    sections: list[AnalogySection] = []
    questions: list[Question] = []
    for number, line in _lines(Path(path)):
        words = line.split()
        if line.startswith(":"):
            questions = []
            sections.append(AnalogySection(line.removeprefix(":").strip(), questions))
        elif not sections:
            raise data_error(path, 'must begin with the name of a section, as in ": family"', line=number)
        elif len(words) != 4:
            raise data_error(path, f"must be four words or a section's name after a colon, got {line!r}", line=number)
        else:
            questions.append((words[0], words[1], words[2], words[3]))
    if not any(section.questions for section in sections):
        raise data_error(path, "holds no questions")
    return sections


def read_similarities(path: Path | str) -> list[RatedPair]:
    """Read pairs in the form of WordSim-353: word, word, score a line, with tabs, commas or spaces between.

    Lines that begin with # are comments, and the first line may name the columns.

    Raises:
        DataError: naming the line that is something else.
    """
    pairs: list[RatedPair] = []
    is_first = True
    for number, line in _lines(Path(path)):
        if line.startswith("#"):
            continue
        separator = next((mark for mark in "\t," if mark in line), None)
        parts = [part.strip() for part in line.split(separator)]
        try:
            if len(parts) != 3 or not all(parts):
                raise ValueError
            score = float(parts[2])
            if not math.isfinite(score):
                raise ValueError
            pairs.append(RatedPair(parts[0], parts[1], score))
        except ValueError:
            is_header = is_first and len(parts) >= 3
            if not is_header:
                message = f"must be two words and a score, with tabs, commas or spaces between, got {line!r}"
                raise data_error(path, message, line=number) from None
        is_first = False
    if not pairs:
        raise data_error(path, "holds no pairs")
    return pairs


def evaluate_analogies(
    vectors: WordVectors,
    sections: Sequence[AnalogySection],
    restrict: int | None = 30000,
    *,
    lowercase: bool = True,
    method: AnalogyMethod = "3cosadd",
) -> AnalogyEvaluation:
    """Ask analogies (Mikolov et al. 2013): an answer is right if it is the one word nearest to b - a + c.

    A question counts if its four words are among those searched. The figures are those of gensim's
    ``evaluate_word_analogies``, and of the original compute-accuracy where no two words differ in case alone.

    Args:
        vectors: to ask.
        sections: as ``read_analogies`` gives them.
        restrict: search only so many words, from the first, which are the most frequent; None for all.
        lowercase: whether words that differ in case alone are the same; the first of them stands for all.
        method: as of ``WordVectors.analogy``.

    Raises:
        ArgumentError: where an argument can't be used.
    """
    if restrict is not None:
        check_positive_integer("restrict", restrict)
    searched = min(restrict or len(vectors), len(vectors))
    names = _Names(vectors, searched, lowercase=lowercase)
    asked = [[rows for rows in map(names.rows, section.questions) if rows] for section in sections]
    everything = np.array([question for part in asked for question in part], dtype=np.int64).reshape(-1, 4)
    right = _are_answered(vectors, everything, names, method)
    scores: list[AnalogyScore] = []
    start = 0
    for section, questions in zip(sections, asked, strict=True):
        correct = int(np.count_nonzero(right[start : start + len(questions)]))
        scores.append(AnalogyScore(section.name, correct, len(questions), len(section.questions)))
        start += len(questions)
    return AnalogyEvaluation(
        tuple(scores),
        _sum("semantic", [score for score in scores if not score.name.startswith("gram")]),
        _sum("syntactic", [score for score in scores if score.name.startswith("gram")]),
        _sum("total", scores),
    )


def evaluate_similarities(
    vectors: WordVectors, pairs: Sequence[RatedPair], restrict: int | None = None, *, lowercase: bool = True
) -> SimilarityEvaluation:
    """Compare cosines with people's judgement; pairs with a word that has no vector are left out, as gensim does.

    Args:
        vectors: to ask.
        pairs: as ``read_similarities`` gives them.
        restrict: know only so many words, from the first, which are the most frequent; None for all.
        lowercase: whether words that differ in case alone are the same; the first of them stands for all.

    Raises:
        ArgumentError: where ``restrict`` is no positive integer.
    """
    if restrict is not None:
        check_positive_integer("restrict", restrict)
    names = _Names(vectors, min(restrict or len(vectors), len(vectors)), lowercase=lowercase)
    known = [(rows, pair.score) for pair in pairs if (rows := names.rows((pair.first, pair.second)))]
    scores = np.array([score for _, score in known], dtype=np.float64)
    cosines = np.array([vectors.similarity(vectors.vectors[a], vectors.vectors[b]) for (a, b), _ in known])
    return SimilarityEvaluation(
        _correlation(_ranks(scores), _ranks(cosines)), _correlation(scores, cosines), len(known), len(pairs)
    )


class _Names:
    """The rows of words as an evaluation writes them, whose case may not matter."""

    def __init__(self, vectors: WordVectors, searched: int, *, lowercase: bool) -> None:
        self.searched = searched
        self._fold = str.upper if lowercase else str
        self._rows: dict[str, int] = {}
        # Of each word, the row of the first that is the same but for case.
        self.first = np.array(
            [self._rows.setdefault(self._fold(word), row) for row, word in enumerate(vectors.words[:searched])]
        )

    def rows(self, words: Sequence[str]) -> list[int]:
        """The rows of all the words, or none where one of them has no vector."""
        rows = [self._rows.get(self._fold(word), -1) for word in words]
        return [] if -1 in rows else rows


def _are_answered(vectors: WordVectors, questions: Rows, names: _Names, method: AnalogyMethod) -> npt.NDArray[np.bool_]:
    """Whether each question, four rows, is answered right."""
    if not len(questions):
        return np.zeros(0, dtype=np.bool_)

    def answers(part: Rows, count: int) -> Rows:
        return analogy_rows(
            vectors.vectors, vectors.norms, part[:, :3], (-1, 1, 1), searched=names.searched, count=count, method=method
        )[0]

    answer = names.first[answers(questions, 1)[:, 0]]
    # The nearest word may be one of the question's own in another case: then the next that is not answers.
    again = np.flatnonzero((answer[:, None] == questions[:, :3]).any(axis=1))
    if len(again):
        more = names.first[answers(questions[again], ANSWERS)]
        is_own = (more[:, :, None] == questions[again][:, None, :3]).any(axis=2)
        place = np.where(is_own.all(axis=1), -1, is_own.argmin(axis=1))
        answer[again] = more[np.arange(len(again)), place]
    return answer == questions[:, 3]


def _sum(name: str, scores: Sequence[AnalogyScore]) -> AnalogyScore:
    return AnalogyScore(
        name,
        sum(score.correct for score in scores),
        sum(score.asked for score in scores),
        sum(score.total for score in scores),
    )


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The places of values in order; those of equal values are averaged."""
    _, groups, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[groups]


def _correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if len(first) < 2:
        return math.nan
    x, y = first - first.mean(), second - second.mean()
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths else math.nan


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise data_error(path, "is not UTF-8 text", byte=error.start) from error
    except OSError as error:
        raise data_error(path, f"cannot be read ({error.strerror or error})") from error
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
