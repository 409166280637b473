from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import ArgumentError, DataError
from throughtime.word2vec.evaluation import (
    AnalogySection,
    RatedPair,
    evaluate_analogies,
    evaluate_similarities,
    read_analogies,
    read_similarities,
)
from throughtime.word2vec.vectors import WordVectors

# A family on a grid: the first axis tells its kind, the second man from woman, the third one from many.
FAMILY = {
    "man": [3, 0, 0],
    "woman": [3, 1, 0],
    "king": [0, 0, 3],
    "queen": [0, 1, 3],
    "uncle": [2, 0, 2],
    "aunt": [2, 1, 2],
}


@pytest.fixture
def family() -> WordVectors:
    return WordVectors(list(FAMILY), np.array(list(FAMILY.values())))


def test_questions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_bytes(": family\nman woman king queen\r\n\n: gram1-plural\nCar cars Boat boats\n".encode("utf-8-sig"))
    assert read_analogies(path) == [
        ("family", [("man", "woman", "king", "queen")]),
        ("gram1-plural", [("Car", "cars", "Boat", "boats")]),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": holds no questions"),
        (b": family\n", ": holds no questions"),
        (b"man woman king queen\n", ":1: must begin with the name of a section"),
        (b": family\n\nman woman king\n", ":3: must be four words .*, got 'man woman king'"),
        (b": family\na b c d e\n", ":2: must be four words"),
        (b": family\na b c \xff\n", ", byte 15: is not UTF-8 text"),
        (None, ": cannot be read"),
    ],
)
def test_questions_that_cannot_be_read_are_told(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_analogies(path)


@pytest.mark.parametrize(
    "content",
    [
        "tiger\tcat\t7.35\nice cream\tcone\t5\n",
        "# WordSim\nWord 1\tWord 2\tHuman (mean)\ntiger\tcat\t7.35\r\n\nice cream\tcone\t5",
        "Word 1,Word 2,Human (mean)\ntiger,cat,7.35\nice cream,cone,5\n",
    ],
)
def test_pairs_are_read(content: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(content, encoding="utf-8")
    assert read_similarities(path) == [("tiger", "cat", 7.35), ("ice cream", "cone", 5.0)]


def test_pairs_may_have_spaces_between(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("tiger  cat 7.35\n", encoding="utf-8")
    assert read_similarities(path) == [("tiger", "cat", 7.35)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": holds no pairs"),
        ("# nothing\nword\tword\tscore\n", ": holds no pairs"),
        ("tiger\tcat\n", ":1: must be two words and a score"),
        ("tiger\tcat\t7\ntiger\tcat\thigh\n", ":2: must be two words and a score, .* got 'tiger\\\\tcat\\\\thigh'"),
        ("tiger\tcat\t7\n\ntiger\tcat\tnan\n", ":3: must be two words and a score"),
        ("tiger\tcat\t7\ntiger\t\t7\n", ":2: must be two words and a score"),
        ("tiger\tcat\t7\ta\ntiger\tcat\t7\t3\n", ":2: must be two words and a score"),
    ],
)
def test_pairs_that_cannot_be_read_are_told(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_similarities(path)


def test_analogies_are_counted_by_section(family: WordVectors) -> None:
    sections = [
        AnalogySection("family", [("man", "woman", "king", "queen"), ("Man", "WOMAN", "king", "aunt")]),
        AnalogySection("royal", [("man", "woman", "prince", "princess")]),
        AnalogySection("gram1", [("man", "woman", "uncle", "aunt"), ("man", "woman", "men", "women")]),
    ]
    result = evaluate_analogies(family, sections)
    rows = [(row.name, row.correct, row.asked, row.total) for row in result.sections]
    assert rows == [("family", 1, 2, 2), ("royal", 0, 0, 1), ("gram1", 1, 1, 2)]
    assert (result.semantic.correct, result.semantic.asked, result.semantic.total) == (1, 2, 3)
    assert (result.syntactic.correct, result.syntactic.asked, result.syntactic.total) == (1, 1, 2)
    assert (result.total.correct, result.total.asked, result.total.total) == (2, 3, 5)
    assert (result.total.accuracy, result.total.coverage) == (2 / 3, 3 / 5)
    assert math.isnan(result.sections[1].accuracy)
    assert result.sections[1].coverage == 0


def test_words_beyond_the_first_and_in_another_case_are_not_known(family: WordVectors) -> None:
    sections = [AnalogySection("family", [("man", "woman", "king", "queen"), ("Man", "woman", "king", "queen")])]
    assert evaluate_analogies(family, sections, 3).total.asked == 0
    assert evaluate_analogies(family, sections, None).total.asked == 2
    assert evaluate_analogies(family, sections, None, lowercase=False).total.asked == 1
    with pytest.raises(ArgumentError, match="`restrict` must be a positive integer"):
        evaluate_analogies(family, sections, -1)
    with pytest.raises(ArgumentError, match="`restrict` must be a positive integer"):
        evaluate_similarities(family, [RatedPair("man", "king", 1)], 0)


def test_a_word_of_the_question_in_another_case_is_no_answer() -> None:
    words = {**FAMILY, "King": [0, 0.9, 3], "QUEEN": [0, 1.1, 3]}
    vectors = WordVectors(list(words), np.array(list(words.values())))
    sections = [AnalogySection("family", [("man", "woman", "king", "queen")])]
    assert vectors.analogy(["woman", "king"], "man", 1, restrict=7)[0][0] == "King"
    assert evaluate_analogies(vectors, sections).total.correct == 1


def test_similarities_agree_perfectly_or_not_at_all(family: WordVectors) -> None:
    words = list(FAMILY)[1:]
    rated = [RatedPair("MAN", word, family.similarity("man", word) ** 3) for word in words]
    result = evaluate_similarities(family, [*rated, RatedPair("man", "boy", 9)])
    assert result.spearman == pytest.approx(1)
    assert result.pearson < 1
    assert (result.asked, result.total, result.coverage) == (5, 6, 5 / 6)
    assert evaluate_similarities(family, [RatedPair(a, b, -s) for a, b, s in rated]).spearman == pytest.approx(-1)
    assert math.isnan(evaluate_similarities(family, rated[:1]).spearman)
    assert math.isnan(evaluate_similarities(family, [RatedPair(a, b, 1) for a, b, _ in rated]).pearson)


def test_ranks_of_equal_values_are_averaged(family: WordVectors) -> None:
    pairs = [RatedPair("man", "woman", 4), RatedPair("man", "uncle", 4), RatedPair("man", "king", 1)]
    # Ranks (2.5, 2.5, 1) beside (3, 2, 1) correlate by sqrt(3) / 2.
    assert evaluate_similarities(family, pairs).spearman == pytest.approx(math.sqrt(3) / 2)
