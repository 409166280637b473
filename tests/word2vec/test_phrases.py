from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from throughtime.word2vec import find_phrases, join_phrases


def test_phrases_are_scored_and_joined_from_left_to_right(tmp_path: Path) -> None:
    text = "new york is big\nold york is new\nnew york new york\n" * 10
    path = tmp_path / "text"
    path.write_text(text)
    words, pairs = Counter[str](text.split()), Counter[tuple[str, str]]()
    for line in text.splitlines():
        pairs.update(itertools.pairwise(line.split()))
    total, least = sum(words.values()), 5
    scores = {pair: (count - least) / (words[pair[0]] * words[pair[1]]) * total for pair, count in pairs.items()}
    found = find_phrases([path], min_count=least, threshold=1.5)
    assert {tuple(pair.decode().split("\x1f")) for pair in found} == {p for p, score in scores.items() if score > 1.5}
    joined = join_phrases([path], [b"new\x1fyork", b"york\x1fis"], tmp_path / "joined")
    assert joined == 40
    assert (tmp_path / "joined").read_text() == "new_york is big\nold york_is new\nnew_york new_york\n" * 10
