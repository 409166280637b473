from __future__ import annotations

from pathlib import Path

import pytest

from throughtime.data import TextInMemory, open_corpus
from throughtime.errors import DataError
from throughtime.word2vec import count_vocabulary


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_corpus_is_made_of_whatever_there_is(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.txt", "Ein Tag.\nZwei")
    assert open_corpus([plain]).files == (plain,)
    raw = "He said: “Don't go!” Then\nnobody spoke. A B2C\n\nnew part"
    letters = open_corpus([TextInMemory(raw)], words="letters")
    assert letters.files[0].read_text() == "he said don't go\nthen nobody spoke\na b c\nnew part\n"
    lower = open_corpus([plain], words="lower")
    assert lower.files[0].read_text() == "ein tag.\nzwei"
    latin = write(tmp_path / "latin.txt", "café au lait".encode("latin-1"))
    decoded = open_corpus([latin], encoding="latin-1")
    assert decoded.files[0].read_text(encoding="utf-8") == "café au lait"
    tokens = open_corpus([iter([["new york", "is"], [], ["big"]])])
    vocabulary = count_vocabulary(tokens.files, is_tokens=tokens.is_tokens, min_count=1)
    assert set(vocabulary.words) == {"new york", "is", "big"}
    made = tokens.files[0]
    del tokens
    assert not made.exists()
    assert plain.exists()
    for wrong, message in (
        ([["a b"], "not both"], "give files and texts, or one iterable of sentences, not both"),
        ([["a b"]], "sentence 1: must be a sequence of words, got the text 'a b'"),
        ([[["a\x1fb"]]], "a word holds the control character"),
        ([[["\ud800"]]], "holds a lone surrogate"),
        ([], "there is no text to learn from"),
    ):
        with pytest.raises(DataError, match=message):
            open_corpus(wrong)
