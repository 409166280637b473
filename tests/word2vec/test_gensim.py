"""The same numbers and files as gensim's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughtime.word2vec.evaluation import (
    evaluate_analogies,
    evaluate_similarities,
    read_analogies,
    read_similarities,
)
from throughtime.word2vec.vectors import WordVectors

keyedvectors: Any = pytest.importorskip("gensim.models.keyedvectors", exc_type=ImportError)

# Of gensim itself: it calls functions that it deprecates, and leaves files to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Call to deprecated:DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

WORDS = [f"{'Wé'[number % 2]}ord{number}" for number in range(900)]
MATRIX = np.random.default_rng(2).standard_normal((900, 17), dtype=np.float32) * np.linspace(1, 9, 900)[:, None]


@pytest.fixture(scope="module")
def ours() -> WordVectors:
    return WordVectors(WORDS, MATRIX)


@pytest.fixture(scope="module")
def theirs() -> Any:
    vectors = keyedvectors.KeyedVectors(17)
    vectors.add_vectors(WORDS, MATRIX.astype(np.float32))
    return vectors


def assert_same(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-5)


def test_neighbours(ours: WordVectors, theirs: Any) -> None:
    for word in WORDS[:30]:
        assert_same(ours.most_similar(word, 15), theirs.most_similar(word, topn=15))
        assert_same(ours.most_similar(word, 9, restrict=99), theirs.most_similar(word, topn=9, restrict_vocab=99))
    query = np.linspace(-1, 1, 17, dtype=np.float32)
    assert_same(ours.most_similar(query), theirs.similar_by_vector(query))


@pytest.mark.parametrize(("plus", "minus"), [(1, 0), (2, 1), (3, 2), (1, 2)])
def test_analogies(ours: WordVectors, theirs: Any, plus: int, minus: int) -> None:
    for start in range(0, 100, 10):
        positive, negative = WORDS[start : start + plus], WORDS[start + plus : start + plus + minus]
        assert_same(ours.analogy(positive, negative), theirs.most_similar(positive, negative))
        assert_same(
            ours.analogy(positive, negative, 5, restrict=200),
            theirs.most_similar(positive, negative, topn=5, restrict_vocab=200),
        )
        found = ours.analogy(positive, negative, method="3cosmul")
        expected = theirs.most_similar_cosmul(positive, negative)
        assert [word for word, _ in found] == [word for word, _ in expected]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=1e-5)


def test_similarity_distance_and_what_does_not_match(ours: WordVectors, theirs: Any) -> None:
    for start in range(0, 200, 10):
        words = WORDS[start : start + 7]
        assert ours.similarity(words[0], words[1]) == pytest.approx(theirs.similarity(*words[:2]), abs=1e-5)
        assert ours.distance(words[0], words[1]) == pytest.approx(theirs.distance(*words[:2]), abs=1e-5)
        assert ours.doesnt_match(words) == theirs.doesnt_match(words)


def related_words() -> tuple[list[str], np.ndarray[Any, Any]]:
    """Words in pairs with a common difference and some noise, and words that differ in case alone."""
    rng = np.random.default_rng(4)
    bases = rng.standard_normal((150, 12))
    rows = [bases, bases + rng.standard_normal(12) + 0.45 * rng.standard_normal((150, 12))]
    words = [f"{kind}{number}" for kind in ("base", "plural") for number in range(150)]
    for spelt in (str.upper, str.capitalize):
        words += [spelt(word) for word in words[100:200]]
        rows.append(np.concatenate(rows)[100:200] + 0.1 * rng.standard_normal((100, 12)))
    order = rng.permutation(len(words))
    return [words[row] for row in order], np.concatenate(rows)[order].astype(np.float32)


@pytest.mark.parametrize("restrict", [200, 320, 30000])
@pytest.mark.parametrize("lowercase", [False, True])
def test_evaluation_of_analogies(restrict: int, lowercase: bool, tmp_path: Path) -> None:
    words, matrix = related_words()
    rng = np.random.default_rng(6)
    lines: list[str] = []
    for section in ("family", "capital", "gram1-plural"):
        lines.append(f": {section}")
        pairs = rng.integers(0, 160, (150, 2))  # some have no vector
        lines += [
            f"base{a} plural{a} Base{b} plural{b}" if a % 7 else f"base{a} plural{a} base{b} plural{b}"
            for a, b in pairs
        ]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    theirs = keyedvectors.KeyedVectors(12)
    theirs.add_vectors(words, matrix)
    accuracy, sections = theirs.evaluate_word_analogies(str(path), restrict_vocab=restrict, case_insensitive=lowercase)
    found = evaluate_analogies(WordVectors(words, matrix), read_analogies(path), restrict, lowercase=lowercase)
    counts = [(row.correct, row.asked) for row in [*found.sections, found.total]]
    assert counts == [(len(row["correct"]), len(row["correct"]) + len(row["incorrect"])) for row in sections]
    assert found.total.accuracy == pytest.approx(accuracy)
    assert 0 < found.total.correct < found.total.asked


@pytest.mark.parametrize("lowercase", [False, True])
def test_evaluation_of_similarities(lowercase: bool, tmp_path: Path) -> None:
    words, matrix = related_words()
    rng = np.random.default_rng(7)
    pairs = rng.integers(0, 160, (200, 2))
    path = tmp_path / "pairs.tsv"
    text = "".join(f"base{a}\tPLURAL{b}\t{rng.integers(0, 20) / 2}\n" for a, b in pairs)
    path.write_text("# some\n" + text, encoding="utf-8")
    theirs = keyedvectors.KeyedVectors(12)
    theirs.add_vectors(words, matrix)
    pearson, spearman, unknown = theirs.evaluate_word_pairs(str(path), case_insensitive=lowercase)
    found = evaluate_similarities(WordVectors(words, matrix), read_similarities(path), lowercase=lowercase)
    assert found.pearson == pytest.approx(pearson[0], abs=1e-5)
    assert found.spearman == pytest.approx(spearman[0], abs=1e-5)
    assert found.coverage == pytest.approx(1 - unknown / 100)
    assert not math.isnan(found.spearman)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("x.txt", {"binary": False}),
        ("x.txt.gz", {"binary": False}),
        ("x.bin", {"binary": True}),
        ("x.bin.gz", {"binary": True}),
        ("x.glove", {"binary": False, "no_header": True}),
    ],
)
def test_files_go_both_ways(
    ours: WordVectors, theirs: Any, name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    ours.save(tmp_path / name)
    loaded = keyedvectors.KeyedVectors.load_word2vec_format(str(tmp_path / name), **arguments)
    assert loaded.index_to_key == WORDS
    np.testing.assert_array_equal(loaded.vectors, ours.vectors)
    path = tmp_path / f"gensim-{name}"
    theirs.save_word2vec_format(
        str(path), binary=arguments["binary"], write_header=not arguments.get("no_header", False)
    )
    again = WordVectors.load(path)
    assert again.words == ours.words
    np.testing.assert_array_equal(again.vectors, ours.vectors)
