"""What bounds the memory, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from throughtime.data import Tokenizer, byte_tokenizers, tokenizer, train_tokenizer, word_tokenizer
from throughtime.data.tokenizer import UNKNOWN
from throughtime.errors import ArgumentError, ModelFolderError

BITS = [
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n\n",
    " \n",
    "\t\t",
    "\r",
    "\u3000",
    "\u00a0",
    "\x1c",
    "\x85",
    "\u2028",
    "!",
    "!\x1c",
    *("'s", "don't", " '", "'", "12", "3", "word", "é", "e\u0301", "本", "。", "🙂", "_"),
]
SPACED = st.lists(st.sampled_from(BITS), max_size=30).map("".join)
# Everything beside everything, so that white space, too, is merged to tokens wherever it can be.
CORPUS = "".join(one + two for one in BITS for two in BITS) * 3
BPE = train_tokenizer("bpe", [CORPUS], vocabulary_size=600)


@given(text=SPACED, size=st.integers(1, 8))
@settings(max_examples=200)
def test_byte_pairs_of_small_pieces_are_those_of_the_whole(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_tokenizers, "_PIECE_CHARACTERS", size)
        assert BPE.encode(text).tolist() == BPE.library.encode(text).ids


@given(text=SPACED, more=SPACED)
@settings(max_examples=200)
def test_what_is_complete_does_not_change_with_what_follows(text: str, more: str) -> None:
    end = BPE.complete(text)
    whole = BPE.library.encode(text + more).ids
    apart = [*BPE.library.encode(text[:end]).ids, *BPE.library.encode((text + more)[end:]).ids]
    assert apart == whole


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_line_without_an_end_does_not_fill_the_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tokenizer, byte_tokenizers, word_tokenizer):
        monkeypatch.setattr(module, "LONGEST_PIECE", 100)
    learnt = BPE if kind == "bpe" else train_tokenizer("word", [CORPUS])
    pieces = learnt.encode_blocks(itertools.repeat("ab" * 20))
    lengths = [len(learnt.decode(next(pieces))) for _ in range(9)]
    assert max(lengths) <= 120


def test_byte_pairs_are_learnt_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_tokenizers, "_SAMPLE_CHARACTERS", 3_000)
    repeated = train_tokenizer("bpe", itertools.repeat("the same words again and again, " * 10), vocabulary_size=300)
    assert 256 < repeated.vocabulary_size <= 300
    monkeypatch.setattr(byte_tokenizers, "_SAMPLE_CHARACTERS", 1 << 40)
    monkeypatch.setattr(byte_tokenizers, "_SAMPLE_DIFFERENT_BYTES", 20_000)

    def without_white_space() -> Iterator[str]:
        generator = np.random.default_rng(0)
        while True:
            yield "".join(generator.choice(list("ACGT"), 4_000))

    genome = train_tokenizer("bpe", without_white_space(), vocabulary_size=280)
    assert genome.vocabulary_size == 280
    assert len(genome.encode("ACGT" * 100)) < 300


def test_rare_words_are_dropped_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_tokenizer, "_MOST_WORDS", 50)
    blocks = [f"the cat the w{number} " for number in range(500)]
    learnt = train_tokenizer("word", blocks)
    assert learnt.vocabulary_size <= 52
    assert learnt.encode("the cat").tolist() == [2, 3]
    many_frequent = ["".join(f"w{number} " for number in range(200)) * 3 + "the " * 9] * 4
    assert train_tokenizer("word", many_frequent).encode("the").tolist() == [2]


def test_the_words_that_are_kept_split_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_tokenizer, "_MOST_KEPT", 3)
    text = "«Hello», he said; don't! e\u0301a² a_b <unk>. " * 2 + "long" * 20 + "!\n(end)"
    learnt = train_tokenizer("word", [text], split_punctuation=True)
    assert learnt.encode(text).tolist() == learnt.library.encode(text).ids


def test_what_is_too_long_for_a_word_is_unknown() -> None:
    learnt = train_tokenizer("word", ["short " + "x" * 1000 + " " + "y" * 1001])
    assert learnt.vocabulary_size == 4
    assert learnt.encode("y" * 1001).tolist() == [0]


def test_a_vocabulary_is_as_large_as_it_was_asked_for() -> None:
    text = "no it was n't <unk> monday\nthe N points <unk>\n" * 2
    assert train_tokenizer("word", [text], vocabulary_size=6).vocabulary_size == 6
    assert train_tokenizer("bpe", [CORPUS], vocabulary_size=256).vocabulary_size == 256


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("char", {"vocabulary_size": -3}, "`vocabulary_size` must be a positive integer, got -3"),
        ("char", {"min_count": 0}, "`min_count` must be a positive integer, got 0"),
        ("char", {"min_count": 99}, r"would be 0 char\(s\), so there is nothing to predict; .* a smaller `min_count`"),
        ("word", {"vocabulary_size": 2}, r"would be 0 word\(s\), .* or a larger `vocabulary_size`"),
        ("bpe", {"vocabulary_size": 255}, "`vocabulary_size` must be at least 256 for bpe, .*, got 255"),
    ],
)
def test_numbers_that_cannot_be_are_refused(kind: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        train_tokenizer(kind, ["some text"], **arguments)


@pytest.mark.parametrize("kind", ["char", "byte", "word", "bpe"])
def test_an_undecoded_byte_of_a_command_line_is_told(kind: str) -> None:
    learnt = train_tokenizer(kind, [CORPUS])
    with pytest.raises(ArgumentError, match=r"character 3 of the text is U\+DCE9, a lone surrogate"):
        learnt.encode("caf\udce9")


def foreign(model: Any, splitter: Any) -> str:
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer = splitter
    return library.to_str()


def changed(kind: str, **changes: object) -> str:
    description = json.loads(train_tokenizer(kind, [CORPUS]).library.to_str())
    description["model"] |= changes
    return json.dumps(description)


@pytest.mark.parametrize(
    "content",
    [
        foreign(models.WordLevel({"abc": 0}, UNKNOWN), pre_tokenizers.Split(" ", "removed")),
        foreign(models.WordLevel({"abc": 0}, UNKNOWN), pre_tokenizers.WhitespaceSplit()),
        foreign(models.BPE({"a": 0, "b": 1}, []), pre_tokenizers.ByteLevel(add_prefix_space=True)),
        changed("char", vocab={"<unk>": 0, "abc": 1}),
        changed("char", vocab={"a": 0, "<unk>": 1}),
        changed("char", vocab={"<unk>": 0, "a": 7}),
        changed("byte", vocab={"a": 0, "b": 1}),
        changed("word", vocab={"<unk>": 0, "a": 1}),
        changed("bpe", vocab={"a": 0, "日": 1}, merges=[]),
    ],
)
def test_foreign_tokenizers_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"tokenizer\.json: damaged, or not a tokeniser of throughtime \("):
        Tokenizer.load(path)


def test_half_a_character_waits_for_the_rest_and_an_impossible_one_is_replaced() -> None:
    decoder = train_tokenizer("byte", []).decoder()
    pieces = [decoder.push(value) for value in "é🙂".encode()]
    assert pieces == ["", "é", "", "", "", "🙂"]
    assert [decoder.push(value) for value in b"\xe6\x97x"] == ["", "", "\ufffdx"]
    assert decoder.push(0xF0) == ""
    assert decoder.finish() == "\ufffd"
