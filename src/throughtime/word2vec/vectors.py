"""Trained word vectors: look-up, neighbours, analogies, and matrices for other models to start from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_shape
from throughtime.word2vec import formats
from throughtime.word2vec.nearest import (
    ROWS_AT_ONCE,
    Matrix,
    Rows,
    analogy_rows,
    best_rows,
    closest_rows,
    cosine,
    row_norms,
    unit_rows,
)

Neighbour: TypeAlias = tuple[str, float]
Metric: TypeAlias = Literal["cosine", "euclidean"]
AnalogyMethod: TypeAlias = Literal["3cosadd", "3cosmul"]
Queries: TypeAlias = (
    list[str] | list[Matrix] | list[str | Matrix] | tuple[str, ...] | tuple[Matrix, ...] | tuple[str | Matrix, ...]
)

SUGGESTIONS_FROM = 2000


@dataclass(frozen=True)
class Coverage:
    """How many words of a vocabulary have a vector."""

    found: int
    total: int

    @property
    def fraction(self) -> float:
        """Between 0 and 1."""
        return self.found / self.total if self.total else 0.0


class WordVectors:
    """Words and their vectors.

    >>> v = WordVectors(["king", "queen", "car"], np.array([[1, 2], [1, 3], [-2, 1]], dtype=np.float32))
    >>> [(word, round(similarity, 4)) for word, similarity in v.most_similar("king", 1)]
    [('queen', 0.9899)]

    Args:
        words: unique; by falling frequency where that is known, which is what ``restrict`` goes by.
        vectors: float32, shape (words, feature), not copied, so that a file mapped into memory stays on the disk.
        counts: how often each word occurs, shape (words,), where known.

    Attributes:
        words, vectors, counts: as given; ``vectors`` is read-only, ``counts`` is int64 or None.

    Raises:
        ArgumentError: where a word comes twice, or shapes don't fit.
    """

    def __init__(
        self, words: Sequence[str], vectors: npt.NDArray[Any], counts: npt.NDArray[Any] | Sequence[int] | None = None
    ) -> None:
        self.words = tuple(words)
        matrix = np.asarray(vectors)
        check_shape("vectors", matrix.shape, (len(self.words), "feature"))
        if matrix.dtype.kind not in "fiu":
            raise ArgumentError(f"`vectors` must be an array of float32, got {matrix.dtype}")
        if not matrix.size:
            raise ArgumentError(f"`vectors` must have at least one word and one feature, got shape {matrix.shape}")
        self.vectors: Matrix = np.ascontiguousarray(matrix, dtype=np.float32).view()
        self.vectors.flags.writeable = False
        self.counts: npt.NDArray[np.int64] | None = None
        if counts is not None:
            self.counts = np.asarray(counts, dtype=np.int64)
            check_shape("counts", self.counts.shape, (len(self.words),))
            if self.counts.min() < 0:
                raise ArgumentError(f"`counts` must not be negative, got {self.counts.min()}")
        self._index = dict(zip(self.words, range(len(self.words)), strict=True))
        if len(self._index) < len(self.words):
            double = next(word for row, word in enumerate(self.words) if self._index[word] != row)
            raise ArgumentError(f"`words` must be unique, got {double!r} twice")

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def __getitem__(self, word: str) -> Matrix:
        return self.vectors[self.index(word)]

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words, {self.vectors.shape[1]} features)"

    @cached_property
    def norms(self) -> Matrix:
        """The Euclidean length of each vector, shape (words,); computed once, when first needed.

        Raises:
            ArgumentError: naming the word whose vector holds NaN or infinity.
        """
        norms = row_norms(self.vectors)
        wrong = np.flatnonzero(~np.isfinite(norms))
        if len(wrong):
            word = self.words[wrong[0]]
            raise ArgumentError(f"the vector of {word!r} holds NaN or numbers that are too large; mend or remove it")
        norms.flags.writeable = False
        return norms

    def index(self, word: str) -> int:
        """The row of a word.

        Raises:
            ArgumentError: where there is no such word; the message names words that are written nearly the same.
        """
        row = self._index.get(word)
        if row is not None:
            return row
        near = _written_alike(word, self)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(f"`word` {word!r} is not among the {len(self):,} words{hint}")

    @overload
    def most_similar(
        self,
        query: str | npt.NDArray[Any],
        count: int = 10,
        metric: Metric = "cosine",
        restrict: int | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Neighbour]: ...
    @overload
    def most_similar(
        self,
        query: Queries,
        count: int = 10,
        metric: Metric = "cosine",
        restrict: int | None = None,
        exclude: Sequence[str] = (),
    ) -> list[list[Neighbour]]: ...
    def most_similar(
        self,
        query: str | Queries | npt.NDArray[Any],
        count: int = 10,
        metric: Metric = "cosine",
        restrict: int | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Neighbour] | list[list[Neighbour]]:
        """The words nearest to a word or a vector, nearest first; a word is not its own neighbour.

        Args:
            query: a word, or a vector of shape (feature,); a list of those gets a list of answers, computed together.
            count: how many words; fewer come where there aren't so many.
            metric: "cosine" or "euclidean".
            restrict: search only so many words, from the first, which are the most frequent.
            exclude: words to leave out; those that have no vector don't matter.

        Returns:
            Pairs of a word and its cosine, falling, or its distance, rising.

        Raises:
            ArgumentError: where a word has no vector, or an argument can't be used.
        """
        check_choice("metric", metric, ("cosine", "euclidean"))
        check_positive_integer("count", count)
        if isinstance(query, str | np.ndarray):
            return self._nearest([query], count, metric, restrict, exclude)[0]
        return self._nearest(query, count, metric, restrict, exclude)

    def _nearest(
        self, queries: Queries, count: int, metric: Metric, restrict: int | None, exclude: Sequence[str]
    ) -> list[list[Neighbour]]:
        if not queries:
            return []
        searched = self._searched(restrict)
        matrix = np.stack([self._vector(query) for query in queries])
        always = [self._index[word] for word in exclude if word in self._index]
        excluded = [[*always, self._index[query]] if isinstance(query, str) else always for query in queries]
        vectors, norms = self.vectors[:searched], self.norms[:searched]
        if metric == "euclidean":
            rows, scores = closest_rows(vectors, norms, matrix, count=count, excluded=excluded)
            return [[(word, -score) for word, score in found] for found in self._neighbours(rows, scores)]
        # In float64, where squares of what float32 holds neither overflow nor vanish.
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
        units = (matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        rows, scores = best_rows(vectors, norms, units[:, None], score=cosine, count=count, excluded=excluded)
        return self._neighbours(rows, scores)

    def analogy(
        self,
        positive: str | Sequence[str],
        negative: str | Sequence[str] = (),
        count: int = 10,
        *,
        restrict: int | None = None,
        method: AnalogyMethod = "3cosadd",
    ) -> list[Neighbour]:
        """What is like the positive words and unlike the negative: king + woman - man is queen.

        Args:
            positive: a word or words.
            negative: a word or words, or none.
            count: how many answers; the question's own words are not among them.
            restrict: search only so many words, from the first, which are the most frequent.
            method: "3cosadd" compares with the mean of the vectors of length 1, negative ones turned round (Mikolov,
                Yih and Zweig 2013); "3cosmul" multiplies and divides cosines (Levy and Goldberg 2014).

        Returns:
            Pairs of a word and its score, falling.

        Raises:
            ArgumentError: where a word has no vector, or there is no positive word.
        """
        plus = [positive] if isinstance(positive, str) else list(positive)
        minus = [negative] if isinstance(negative, str) else list(negative)
        if not plus:
            raise ArgumentError("`positive` must have at least one word, got none")
        return self._analogies([[*plus, *minus]], [1] * len(plus) + [-1] * len(minus), count, restrict, method)[0]

    def analogies(
        self,
        questions: Sequence[Sequence[str]],
        count: int = 1,
        *,
        restrict: int | None = None,
        method: AnalogyMethod = "3cosadd",
    ) -> list[list[Neighbour]]:
        """Answers to many analogies, computed together: to (man, king, woman) it is queen.

        Args:
            questions: triples (a, b, c): a is to b as c is to the answer.
            count: as of ``analogy``.
            restrict: as of ``analogy``.
            method: as of ``analogy``.

        Returns:
            For each question, pairs of a word and its score, falling.

        Raises:
            ArgumentError: where a question has not three words, or a word has no vector.
        """
        for question in questions:
            if isinstance(question, str) or len(question) != 3:
                raise ArgumentError(f"each of `questions` must be three words, got {question!r}")
        return self._analogies(questions, [-1, 1, 1], count, restrict, method) if questions else []

    def _analogies(
        self,
        questions: Sequence[Sequence[str]],
        signs: list[int],
        count: int,
        restrict: int | None,
        method: AnalogyMethod,
    ) -> list[list[Neighbour]]:
        check_choice("method", method, ("3cosadd", "3cosmul"))
        check_positive_integer("count", count)
        terms = np.array([[self.index(word) for word in question] for question in questions], dtype=np.int64)
        rows, scores = analogy_rows(
            self.vectors, self.norms, terms, signs, searched=self._searched(restrict), count=count, method=method
        )
        return self._neighbours(rows, scores)

    def similarity(self, a: str | npt.NDArray[Any], b: str | npt.NDArray[Any]) -> float:
        """The cosine between two words or vectors; 0 where one is a zero vector.

        Raises:
            ArgumentError: where a word has no vector.
        """
        first, second = (self._vector(word).astype(np.float64) for word in (a, b))
        lengths = np.linalg.norm(first) * np.linalg.norm(second)
        return float(first @ second / lengths) if lengths else 0.0

    def distance(self, a: str | npt.NDArray[Any], b: str | npt.NDArray[Any], metric: Metric = "cosine") -> float:
        """One minus the cosine between two words or vectors, or their Euclidean distance.

        Raises:
            ArgumentError: where a word has no vector, or there is no such metric.
        """
        check_choice("metric", metric, ("cosine", "euclidean"))
        if metric == "cosine":
            return 1 - self.similarity(a, b)
        return float(np.linalg.norm(self._vector(a).astype(np.float64) - self._vector(b)))

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that goes least with the others: whose cosine with the mean of all, at length 1, is lowest.

        Raises:
            ArgumentError: where there are fewer than two words, or a word has no vector.
        """
        if isinstance(words, str) or len(words) < 2:
            raise ArgumentError(f"`words` must be at least two words, got {words!r}")
        rows = np.array([self.index(word) for word in words])
        units = unit_rows(self.vectors, self.norms, rows)
        cosines = units @ units.mean(axis=0)
        return min(zip(cosines.tolist(), words, strict=True))[1]

    def for_vocabulary(
        self, words: Sequence[str], *, seed: int = 0, unknown: Literal["zeros", "normal"] = "zeros"
    ) -> tuple[Matrix, Coverage]:
        """A matrix for another model's embedding: the vectors of its words, in its order.

        A word that has no vector as it is written gets that of its lower case.

        Args:
            words: the other model's vocabulary.
            seed: of the random vectors.
            unknown: what a word without a vector gets: "zeros", or "normal" for random numbers of mean 0 that spread
                as widely as the vectors that are there (Kim 2014).

        Returns:
            float32, shape (len(words), feature), and how many of the words were found.

        Raises:
            ArgumentError: where ``unknown`` is something else.
        """
        check_choice("unknown", unknown, ("zeros", "normal"))
        rows = np.array([self._index.get(word, self._index.get(word.lower(), -1)) for word in words], dtype=np.int64)
        found = np.flatnonzero(rows >= 0)
        matrix = np.zeros((len(words), self.vectors.shape[1]), dtype=np.float32)
        if unknown == "normal":
            spread = self.vectors[:ROWS_AT_ONCE].std(dtype=np.float64)
            matrix[:] = np.random.default_rng(seed).normal(0, spread, matrix.shape)
        matrix[found] = self.vectors[rows[found]]
        return matrix, Coverage(len(found), len(words))

    @classmethod
    def load(cls, path: Path | str, format: str | None = None) -> WordVectors:  # noqa: A002 - the field's own word
        """Read vectors from a file in any of the formats of ``throughtime.word2vec.formats``, or from a model folder.

        Args:
            path: the file, or a folder that holds vectors.safetensors.
            format: its format, where it can't be told from the content.

        Raises:
            DataError: where the file can't be read as vectors, naming the line or byte.
            ArgumentError: where there is no such format.
        """
        return cls(*formats.read(Path(path), format))

    def save(self, path: Path | str, format: str | None = None) -> None:  # noqa: A002 - the field's own word
        """Write a file in one of the formats of ``throughtime.word2vec.formats``, whole or not at all.

        Args:
            path: the file; text is gzipped where it ends in .gz.
            format: what to write, where the file's name doesn't say.

        Raises:
            ArgumentError: where there is no such format, or it can't store one of the words.
            DiskFullError: where the disk is full.
        """
        formats.write(Path(path), formats.Table(self.words, self.vectors, self.counts), format)

    def _searched(self, restrict: int | None) -> int:
        if restrict is None:
            return len(self)
        check_positive_integer("restrict", restrict)
        return min(restrict, len(self))

    def _vector(self, query: str | npt.NDArray[Any]) -> Matrix:
        if isinstance(query, str):
            return self[query]
        vector = np.asarray(query, dtype=np.float32)
        check_shape("query", vector.shape, (self.vectors.shape[1],))
        if not np.isfinite(vector).all():
            raise ArgumentError("`query` must be a vector of finite numbers, got NaN or infinity")
        return vector

    def _neighbours(self, rows: Rows, scores: Matrix) -> list[list[Neighbour]]:
        return [
            [(self.words[row], score) for row, score in zip(*pair, strict=True) if score > -np.inf]
            for pair in zip(rows.tolist(), cast("list[list[float]]", scores.tolist()), strict=True)
        ]


def _written_alike(word: str, vectors: WordVectors) -> list[str]:
    cases = [case for case in (word.lower(), word.capitalize(), word.upper()) if case in vectors]
    if cases:
        return cases[:1]
    # Comparing with a million words would take half a minute; the frequent ones that begin alike are enough.
    alike: list[str] = []
    for other in vectors:
        if other.startswith(word[:2]) and abs(len(other) - len(word)) <= 2:
            alike.append(other)
            if len(alike) == SUGGESTIONS_FROM:
                break
    return difflib.get_close_matches(word, alike, n=2, cutoff=0.75)
