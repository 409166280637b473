from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import Tokenizer, train_tokenizer
from throughtime.errors import ArgumentError, ModelFolderError

CORPUS = (
    "It's the year 2014; we'll meet  twice,\nthey've said.\n\nNaïve café — «quoted» 日本語 🙂🙂 e\u0301\ttab\r\n" * 3
    + "the quick brown fox the lazy dog don't won't 123 4567 " * 5
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("ab' \n\t1é🙂.", max_size=60)
KINDS = [("char", False), ("byte", False), ("word", False), ("word", True), ("bpe", False)]
FEW = settings(max_examples=60)


def make(kind: str, punctuation: bool) -> Tokenizer:
    size = 300 if kind == "bpe" else None
    return train_tokenizer(kind, [CORPUS], vocabulary_size=size, split_punctuation=punctuation)


TOKENIZERS = {(kind, punctuation): make(kind, punctuation) for kind, punctuation in KINDS}


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(text=TEXT)
@FEW
def test_bytes_and_byte_pairs_keep_any_text(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind, False]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(sorted(set(CORPUS)), max_size=60))
@FEW
def test_characters_keep_text_of_known_characters(text: str) -> None:
    tokenizer = TOKENIZERS["char", False]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(text)) == len(text)


@pytest.mark.parametrize(("kind", "punctuation"), KINDS)
@given(text=TEXT)
@FEW
def test_the_ids_are_those_of_the_library_that_reads_the_file(kind: str, punctuation: bool, text: str) -> None:
    tokenizer = TOKENIZERS[kind, punctuation]
    library = tokenizers.Tokenizer.from_str(tokenizer.library.to_str())
    assert tokenizer.encode(text).tolist() == library.encode(text).ids


@pytest.mark.parametrize(("kind", "punctuation"), KINDS)
@given(blocks=st.lists(TEXT, max_size=6))
@FEW
def test_where_a_text_is_cut_into_blocks_makes_no_difference(kind: str, punctuation: bool, blocks: list[str]) -> None:
    tokenizer = TOKENIZERS[kind, punctuation]
    pieces = list(tokenizer.encode_blocks(blocks))
    joined = np.concatenate([np.zeros(0, dtype=np.int64), *pieces])
    assert joined.tolist() == tokenizer.encode("".join(blocks)).tolist()


@pytest.mark.parametrize("kind", ["byte", "bpe", "char", "word"])
def test_ids_that_come_one_by_one_make_the_same_text(kind: str) -> None:
    tokenizer = TOKENIZERS[kind, False]
    ids = tokenizer.encode(CORPUS)
    decoder = tokenizer.decoder()
    pieces = [decoder.push(int(token)) for token in ids]
    assert "".join(pieces) + decoder.finish() == tokenizer.decode(ids)
    assert not any("\ufffd" in piece for piece in pieces)


def test_the_penn_treebank_conventions() -> None:
    tokenizer = train_tokenizer("word", ["no it was n't <unk> monday\nthe N points\n"])
    tokens = [tokenizer.token(int(t)) for t in tokenizer.encode("it was <unk> zebra\nN\n")]
    assert tokens == ["it", "was", "<unk>", "<unk>", "\n", "N", "\n"]
    assert tokenizer.vocabulary_size == 9 + 1
    assert tokenizer.decode(tokenizer.encode("it was\nN points\n")) == "it was\nN points\n"


def test_the_vocabulary_is_cut_by_size_and_count() -> None:
    text = "a a a b b c " * 2
    assert train_tokenizer("word", [text], vocabulary_size=4).vocabulary_size == 4  # <unk> <eos> a b
    assert train_tokenizer("word", [text], min_count=3).encode("c").tolist() == [0]
    characters = train_tokenizer("char", ["aaabbc"], vocabulary_size=3)
    assert characters.encode("abc").tolist() == [1, 2, 0]
    assert train_tokenizer("char", ["aaabbc"], min_count=2).encode("c").tolist() == [0]


@pytest.mark.parametrize(("kind", "new"), [("char", "ñø"), ("word", "ñandú øre")])
def test_new_text_extends_a_vocabulary_and_keeps_its_ids(kind: str, new: str) -> None:
    old = TOKENIZERS[kind, False]
    grown = old.extended([new])
    assert grown.vocabulary_size == old.vocabulary_size + len(new.split() if kind == "word" else set(new))
    assert grown.encode(CORPUS).tolist() == old.encode(CORPUS).tolist()
    assert (grown.encode(new) >= old.vocabulary_size).all()


@pytest.mark.parametrize(("kind", "punctuation"), KINDS)
def test_a_saved_tokenizer_is_the_same(kind: str, punctuation: bool, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind, punctuation]
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert type(loaded) is type(tokenizer)
    assert loaded.encode(CORPUS).tolist() == tokenizer.encode(CORPUS).tolist()


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(ModelFolderError, match="there is no such file"):
        Tokenizer.load(path)
    foreign = tokenizers.Tokenizer(tokenizers.models.Unigram([("a", 0.0)]))
    for content in ("{", "[]", '{"model": 3}', foreign.to_str()):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ModelFolderError, match="damaged, or not a tokeniser of throughtime"):
            Tokenizer.load(path)


@pytest.mark.parametrize(("kind", "text"), [("char", "aaaa"), ("word", "a a a a a")])
def test_a_vocabulary_of_one_leaves_nothing_to_predict(kind: str, text: str) -> None:
    if kind == "word":
        text = ""
    with pytest.raises(ArgumentError, match="so there is nothing to predict"):
        train_tokenizer(kind, [text])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`tokens` must be one of 'char', 'byte', 'word', 'bpe', got 'chars'"):
        train_tokenizer("chars", ["abc"])
