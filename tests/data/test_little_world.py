from __future__ import annotations

import pytest

from throughtime.data import little_world, little_world_analogies
from throughtime.errors import ArgumentError


def test_it_is_the_same_for_the_same_seed_alone() -> None:
    text = little_world(500, seed=3).text
    assert text == little_world(500, seed=3).text
    assert text != little_world(500, seed=4).text
    lines = text.splitlines()
    assert len(lines) == 500
    assert all(line.replace(" ", "").isalpha() and line == line.lower() for line in lines)


def test_every_word_of_the_questions_occurs_and_no_sentence_gives_a_pair_away() -> None:
    questions = little_world_analogies()
    sentences = [set(line.split()) for line in little_world(20_000).text.splitlines()]
    words = set[str]().union(*sentences)
    assert {word for section in questions.values() for question in section for word in question} <= words
    assert ("man", "woman", "king", "queen") in questions["family"]
    assert ("france", "paris", "italy", "rome") in questions["countries"]
    for section in ("family", "royalty", "gram-past-tense"):
        assert not any(
            {a, b} <= sentence for a, b in {question[:2] for question in questions[section]} for sentence in sentences
        )


def test_no_sentences_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`sentences` must be a positive integer, got 0"):
        little_world(0)
