from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.decoding import stop_at
from throughtime.errors import ArgumentError

LETTERS = st.text("ab", max_size=12)


def ending(text: str, stops: list[str]) -> str:
    """The definition, one character after the other: the text before the longest stop of those complete first."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


@given(pieces=st.lists(LETTERS, max_size=6), stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
@settings(max_examples=300)
def test_the_text_ends_before_the_first_stop_however_it_is_cut(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    passed = list(stop_at(pieces, stops))
    assert "".join(passed) == ending(text, stops)
    assert "" not in passed
    if len(stops) == 1:
        assert "".join(passed) == text.partition(stops[0])[0]
        assert list(stop_at(pieces, stops[0])) == passed


def test_overlapping_stops_end_the_text_alike_in_one_piece_and_in_many() -> None:
    assert "".join(stop_at(["abcde"], ["bcd", "c"])) == "".join(stop_at("abcde", ["bcd", "c"])) == "ab"


def test_text_is_passed_on_as_soon_as_it_is_certain() -> None:
    passed: list[str] = []
    for piece in stop_at(["on", "e t", "wo"], ["END"]):
        passed.append(piece)
        assert piece in {"on", "e t", "wo"}
    assert "".join(passed) == "one two"


@given(pieces=st.lists(LETTERS, max_size=6), stop=st.text("ab", min_size=1, max_size=4))
@settings(max_examples=100)
def test_no_more_is_held_back_than_may_be_a_stop(pieces: list[str], stop: str) -> None:
    read = 0
    passed = ""

    def counted() -> Iterator[str]:
        nonlocal read
        for piece in pieces:
            # Asked for the next piece: what is not passed yet is a beginning of the stop.
            assert stop.startswith("".join(pieces[:read])[len(passed) :])
            read += 1
            yield piece

    for piece in stop_at(counted(), [stop]):
        passed += piece


def test_nothing_is_read_after_the_stop() -> None:
    pieces = iter(["a", "END", "more"])
    assert list(stop_at(pieces, ["END"])) == ["a"]
    assert next(pieces) == "more"


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`stop` must not be an empty string"):
        stop_at(["a"], ["b", ""])  # at once, before anything is written
