from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.decoding import stop_at
from throughtime.errors import ArgumentError

LETTERS = st.text("ab", max_size=12)


@given(pieces=st.lists(LETTERS, max_size=6), stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
@settings(deadline=None, max_examples=300)
def test_the_text_ends_before_the_first_stop_wherever_it_is_cut(pieces: list[str], stops: list[str]) -> None:
    # Where stops overlap, the one that is complete first ends the text.
    text = "".join(pieces)
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    complete = text[: min(ends)] if ends else text
    expected = min((complete.partition(stop)[0] for stop in stops), key=len, default=complete)
    single = [character for piece in pieces for character in piece]
    assert "".join(stop_at(single, stops)) == expected
    if len(stops) == 1:
        assert "".join(stop_at(pieces, stops)) == text.partition(stops[0])[0]


def test_text_is_passed_on_as_soon_as_it_is_certain() -> None:
    passed: list[str] = []
    for piece in stop_at(["on", "e t", "wo"], ["END"]):
        passed.append(piece)
        assert piece in {"on", "e t", "wo", ""}
    assert "".join(passed) == "one two"


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`stop` must not be an empty string"):
        list(stop_at(["a"], [""]))
