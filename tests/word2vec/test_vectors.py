from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from throughtime.errors import ArgumentError
from throughtime.word2vec import nearest
from throughtime.word2vec.vectors import WordVectors

WORDS = [f"word{number}" for number in range(700)]


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(WORDS, np.random.default_rng(3).standard_normal((700, 13), dtype=np.float32))


def cosines(vectors: WordVectors, query: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = vectors.vectors.astype(np.float64)
    return rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query.astype(np.float64))


def test_words_are_looked_up(vectors: WordVectors) -> None:
    assert len(vectors) == 700
    assert "word3" in vectors
    assert "word700" not in vectors
    assert vectors.index("word3") == 3
    assert list(vectors) == WORDS
    np.testing.assert_array_equal(vectors["word3"], vectors.vectors[3])
    assert not vectors.vectors.flags.writeable


def test_vectors_are_not_copied() -> None:
    matrix = np.ones((2, 3), dtype=np.float32)
    assert np.shares_memory(WordVectors(["a", "b"], matrix).vectors, matrix)


@pytest.mark.parametrize(
    ("words", "matrix", "counts", "message"),
    [
        (["a", "b", "a"], np.ones((3, 2)), None, "`words` must be unique, got 'a' twice"),
        (["a"], np.ones((2, 2)), None, r"`vectors` must have shape \(1, feature\), got \(2, 2\)"),
        (["a"], np.ones(1), None, r"`vectors` must have shape \(1, feature\), got \(1,\)"),
        (["a"], np.ones((1, 0)), None, "must have at least one word and one feature"),
        ([], np.ones((0, 3)), None, "must have at least one word and one feature"),
        (["a"], np.array([["x"]]), None, "`vectors` must be an array of float32, got <U1"),
        (["a"], np.ones((1, 2)), [1, 2], r"`counts` must have shape \(1,\), got \(2,\)"),
        (["a"], np.ones((1, 2)), [-1], "`counts` must not be negative, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], matrix: Any, counts: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        WordVectors(words, matrix, counts)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("kingg", "; did you mean 'king'\\?"),
        ("KING", "; did you mean 'king'\\?"),
        ("paris", "; did you mean 'Paris'\\?"),
        ("quean", "; did you mean 'queen'\\?"),
        ("zebra", "$"),
        ("", "$"),
    ],
)
def test_an_unknown_word_is_answered_by_what_is_written_alike(word: str, hint: str) -> None:
    vectors = WordVectors(["king", "queen", "Paris"], np.eye(3))
    with pytest.raises(ArgumentError, match=f"^`word` {word!r} is not among the 3 words{hint}"):
        vectors.index(word)


def test_neighbours_by_cosine_are_those_of_the_definition(vectors: WordVectors) -> None:
    expected = cosines(vectors, vectors["word5"])
    order = [row for row in np.argsort(-expected) if row != 5][:20]
    found = vectors.most_similar("word5", 20)
    assert [word for word, _ in found] == [WORDS[row] for row in order]
    np.testing.assert_allclose([similarity for _, similarity in found], expected[order], atol=1e-6)


def test_neighbours_by_distance_are_those_of_the_definition(vectors: WordVectors) -> None:
    query = np.linspace(-1, 1, 13)
    expected = np.linalg.norm(vectors.vectors - query, axis=1)
    order = np.argsort(expected)[:20]
    found = vectors.most_similar(query, 20, metric="euclidean")
    assert [word for word, _ in found] == [WORDS[row] for row in order]
    np.testing.assert_allclose([distance for _, distance in found], expected[order], rtol=1e-5)


def test_small_distances_between_long_vectors_are_told_apart() -> None:
    matrix = np.full((9, 4), 1000, dtype=np.float32)
    matrix[:, 0] += np.arange(9) / 100
    words = list("abcdefghi")
    found = WordVectors(words, matrix).most_similar("a", 8, metric="euclidean")
    assert [word for word, _ in found] == words[1:]
    np.testing.assert_allclose([distance for _, distance in found], matrix[1:, 0] - matrix[0, 0])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_many_queries_in_many_blocks_get_the_answers_of_each(
    vectors: WordVectors, metric: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [vectors.most_similar(word, 7, metric, 650, ["word1"]) for word in WORDS[:40]]
    monkeypatch.setattr(nearest, "QUERIES_AT_ONCE", 16)
    monkeypatch.setattr(nearest, "ROWS_AT_LEAST", 64)
    monkeypatch.setattr(nearest, "SCORES_AT_ONCE", 1)
    together = vectors.most_similar(WORDS[:40], 7, metric, 650, ["word1"])
    assert [[word for word, _ in found] for found in together] == [[word for word, _ in found] for found in alone]
    assert vectors.most_similar([vectors["word9"]], 1, metric)[0][0][0] == "word9"
    assert vectors.most_similar([]) == []


def test_only_the_first_words_are_searched_and_some_are_left_out(vectors: WordVectors) -> None:
    found = vectors.most_similar("word600", 10, restrict=4, exclude=["word2", "not a word"])
    assert {word for word, _ in found} == {"word0", "word1", "word3"}
    assert {word for word, _ in vectors.most_similar("word1", 10, restrict=3)} == {"word0", "word2"}
    assert len(vectors.most_similar("word1", 10**6, restrict=10**6)) == 699


def test_an_analogy_is_answered_by_the_mean_of_unit_vectors(vectors: WordVectors) -> None:
    units = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    expected = cosines(vectors, units[1] + units[2] - units[3])
    expected[[1, 2, 3]] = -np.inf
    order = np.argsort(-expected)[:5]
    found = vectors.analogy(["word1", "word2"], "word3", 5)
    assert [word for word, _ in found] == [WORDS[row] for row in order]
    np.testing.assert_allclose([score for _, score in found], expected[order], atol=1e-6)


@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
def test_many_analogies_get_the_answers_of_each(vectors: WordVectors, method: Any) -> None:
    questions = [(WORDS[3 * row], WORDS[3 * row + 1], WORDS[3 * row + 2]) for row in range(50)]
    together = vectors.analogies(questions, 3, method=method, restrict=600)
    alone = [vectors.analogy([b, c], [a], 3, method=method, restrict=600) for a, b, c in questions]
    assert [[word for word, _ in found] for found in together] == [[word for word, _ in found] for found in alone]
    assert vectors.analogies([]) == []


def test_zero_vectors_are_like_nothing() -> None:
    vectors = WordVectors(["zero", "one", "two"], np.array([[0, 0], [1, 0], [1, 1]]))
    assert vectors.similarity("zero", "one") == 0
    assert vectors.most_similar("one", 2) == [("two", pytest.approx(0.5**0.5)), ("zero", 0)]
    assert [score for _, score in vectors.most_similar("zero", 2)] == [0, 0]
    assert [score for _, score in vectors.analogy("one", "one", 2)] == [0, 0]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_very_long_and_short_vectors_have_the_same_cosines(vectors: WordVectors, scale: float) -> None:
    scaled = WordVectors(WORDS, vectors.vectors * np.float32(scale))
    for (word, expected), (found, similarity) in zip(
        vectors.most_similar("word1", 5), scaled.most_similar("word1", 5), strict=True
    ):
        assert word == found
        assert similarity == pytest.approx(expected, abs=1e-6)


def test_similarity_and_distance(vectors: WordVectors) -> None:
    a, b = vectors["word1"], vectors["word2"]
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert vectors.similarity("word1", "word2") == pytest.approx(cosine, abs=1e-6)
    assert vectors.distance("word1", b) == pytest.approx(1 - cosine, abs=1e-6)
    assert vectors.distance(a, "word2", "euclidean") == pytest.approx(float(np.linalg.norm(a - b)), abs=1e-5)


def test_the_word_that_stands_apart_does_not_match() -> None:
    vectors = WordVectors(["a", "b", "c", "d"], np.array([[1, 0.1], [1, 0], [-1, 1], [3, 0.5]]))
    assert vectors.doesnt_match(["a", "b", "c", "d"]) == "c"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_named_when_it_is_met(value: float) -> None:
    vectors = WordVectors(["good", "bad"], np.array([[1, 2], [3, value]]))
    with pytest.raises(ArgumentError, match="the vector of 'bad' holds NaN"):
        vectors.most_similar("good")
    with pytest.raises(ArgumentError, match="`query` must be a vector of finite numbers"):
        vectors.most_similar(np.array([1, value]))


def arguments(*values: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return values, named


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("most_similar", arguments("word1", 0), "`count` must be a positive integer, got 0"),
        ("most_similar", arguments("word1", metric="cosin"), "`metric` must be one of .*; did you mean 'cosine'"),
        ("most_similar", arguments("word1", restrict=-3), "`restrict` must be a positive integer, got -3"),
        ("most_similar", arguments(np.ones(3)), r"`query` must have shape \(13,\), got \(3,\)"),
        ("analogy", arguments([], ["word1"]), "`positive` must have at least one word"),
        ("analogy", arguments("word1", method="x"), "`method` must be one of '3cosadd', '3cosmul', got 'x'"),
        (
            "analogies",
            arguments([("word1", "word2")]),
            r"each of `questions` must be three words, got \('word1', 'word",
        ),
        ("analogies", arguments(["abc"]), "each of `questions` must be three words, got 'abc'"),
        ("distance", arguments("word1", "word2", "x"), "`metric` must be one of"),
        ("doesnt_match", arguments(["word1"]), "`words` must be at least two words"),
        ("for_vocabulary", arguments(["a"], unknown="ones"), "`unknown` must be one of 'zeros', 'normal', got 'ones'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    vectors: WordVectors, method: str, given: tuple[tuple[Any, ...], dict[str, Any]], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(vectors, method)(*given[0], **given[1])


def test_a_matrix_for_another_vocabulary() -> None:
    vectors = WordVectors(["the", "King", "king"], np.array([[1, 2], [3, 4], [5, 6]]))
    matrix, coverage = vectors.for_vocabulary(["King", "THE", "queen", "KING"])
    np.testing.assert_array_equal(matrix, np.array([[3, 4], [1, 2], [0, 0], [5, 6]], dtype=np.float32))
    assert matrix.dtype == np.float32
    assert (coverage.found, coverage.total, coverage.fraction) == (3, 4, 0.75)


def test_unknown_words_spread_like_the_known_and_as_the_seed_says(vectors: WordVectors) -> None:
    words = [f"new{number}" for number in range(5000)]
    matrix, _ = vectors.for_vocabulary(["word1", *words], unknown="normal", seed=1)
    again, _ = vectors.for_vocabulary(["word1", *words], unknown="normal", seed=1)
    other, _ = vectors.for_vocabulary(["word1", *words], unknown="normal", seed=2)
    np.testing.assert_array_equal(matrix[0], vectors["word1"])
    np.testing.assert_array_equal(matrix, again)
    assert not (matrix[1:] == other[1:]).any()
    assert matrix[1:].std() == pytest.approx(vectors.vectors.std(), rel=0.02)
