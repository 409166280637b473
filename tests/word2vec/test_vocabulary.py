from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime import _core
from throughtime.data.corpus import open_corpus
from throughtime.errors import DataError
from throughtime.word2vec import Vocabulary, count_vocabulary

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="\ufeff"), min_size=1, max_size=9
)
GAPS = st.sampled_from([" ", "\t", "\n", "\r\n", "\n\n\n", "  \v\f"])


def expected(texts: list[str]) -> list[tuple[str, int]]:
    counts = Counter(word for text in texts for word in re.split(r"[ \t\r\n\v\f]+", text) if word)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))


def counted(vocabulary: Vocabulary) -> list[tuple[str, int]]:
    return list(zip(vocabulary.words, vocabulary.counts.tolist(), strict=True))


@given(st.lists(st.lists(st.tuples(WORDS, GAPS), max_size=20), min_size=1, max_size=3), st.sampled_from([1, 3000]))
@settings(max_examples=25)
def test_counts_are_those_of_python(parts: list[list[tuple[str, str]]], times: int) -> None:
    texts = ["".join(word + gap for word, gap in part) * times + "one two" for part in parts] + [""]
    with TemporaryDirectory() as folder:
        files = [Path(folder) / str(number) for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_bytes(text.encode())
        for threads in (1, 3):
            assert counted(count_vocabulary(files, min_count=1, threads=threads)) == expected(texts)


def test_a_word_longer_than_pieces_is_one_word(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    text = "short " * 100 + "x" * 70_000 + " " + "short\n" * 5000
    path.write_text(text, encoding="utf-8")
    assert counted(count_vocabulary([path], min_count=1, threads=2)) == expected([text])


def test_a_word_too_long_is_cut_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a " + "日" * 60_000, encoding="utf-8")
    vocabulary = count_vocabulary([path], min_count=1)
    parts = zip(vocabulary.words, vocabulary.counts.tolist(), strict=True)
    assert sum(word.count("日") * count for word, count in parts) == 60_000


def test_rare_words_are_left_out_and_the_most_frequent_kept(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("c b a b c a a\n\nd", encoding="utf-8")
    vocabulary = count_vocabulary([path], min_count=2)
    assert counted(vocabulary) == [("a", 3), ("b", 2), ("c", 2)]
    assert (vocabulary.text_words, vocabulary.sentences, vocabulary.known_words) == (8, 2, 7)
    assert count_vocabulary([path], min_count=1, size=2).words == ("a", "b")
    with pytest.raises(DataError, match=r"text\.txt: has 1 different words that occur 3 times"):
        count_vocabulary([path], min_count=3)


def test_words_of_sentences_may_hold_spaces() -> None:
    corpus = open_corpus([[["new york", "is"], ["new york", "new"]]])
    vocabulary = count_vocabulary(corpus.files, is_tokens=True, min_count=1)
    assert counted(vocabulary) == [("new york", 2), ("is", 1), ("new", 1)]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("需 and\n".encode() + b"\xe9 t\xe9 t\n")
    with pytest.raises(DataError, match=r"text\.txt:2: not utf-8 text"):
        count_vocabulary([path], min_count=1)
    with pytest.raises(DataError, match=r"none\.txt: cannot be opened"):
        count_vocabulary([tmp_path / "none.txt"])


def test_a_byte_order_mark_is_no_part_of_a_word(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfthe cat the\n")
    assert counted(count_vocabulary([path], min_count=1)) == [("the", 2), ("cat", 1)]


def test_words_are_kept_as_in_the_authors_program() -> None:
    vocabulary = Vocabulary(("a", "b", "c"), np.array([900, 99, 1]), 5000, 9)
    scaled = 1e-2 * 1000
    closed = [min(((n / scaled) ** 0.5 + 1) * scaled / n, 1) for n in (900, 99, 1)]
    np.testing.assert_allclose(vocabulary.keep_probabilities(1e-2), closed, rtol=1e-14)
    assert (vocabulary.keep_probabilities(0) == 1).all()


def test_vocabularies_are_added() -> None:
    one = Vocabulary(("a", "b"), np.array([3, 2]), 6, 1)
    two = Vocabulary(("c", "b"), np.array([5, 2]), 9, 4)
    assert counted(one.extended(two)) == [("c", 5), ("b", 4), ("a", 3)]
    assert (one.extended(two).text_words, one.extended(two).sentences) == (9, 4)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=40))
@settings(max_examples=30)
def test_the_tree_is_a_huffman_tree(counts: list[int]) -> None:
    falling = np.array(sorted(counts, reverse=True), dtype=np.uint64)
    keep = np.zeros(len(counts), dtype=np.uint32)
    words = [b"%d" % number for number in range(len(counts))]
    lexicon = _core.Lexicon(words, keep.ctypes.data, 0, falling.ctypes.data)
    paths = [lexicon.path(word) for word in range(len(counts))]
    heap, least = sorted(counts), 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        least += both
        heapq.heappush(heap, both)
    assert sum(int(count) * len(path) for count, path in zip(falling, paths, strict=True)) == least
    assert sum(Fraction(1, 2 ** len(path)) for path in paths) == 1
    codes = sorted("".join(str(branch) for _, branch in path) for path in paths)
    assert not any(after.startswith(before) for before, after in itertools.pairwise(codes))
    assert {path[0][0] for path in paths} == {len(counts) - 2}
