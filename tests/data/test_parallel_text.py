from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import (
    PairBatches,
    ParallelText,
    SentenceTokenizer,
    find_parallel,
    find_sentences,
    sample_numbers,
    split_parallel,
    train_tokenizer,
)
from throughtime.data.sample_numbers import number_words
from throughtime.errors import ArgumentError, DataError, ModelFolderError

GERMAN, ENGLISH = "eins\nzwei\ndrei\n", "one\ntwo\nthree\n"


def both(text: ParallelText) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in text.examples]


GERMAN_TO_ENGLISH = {"source": "de", "target": "en"}
EXPECTED = [("eins", "one"), ("zwei", "two"), ("drei", "three")]


def test_files_in_two_languages_are_found_by_their_names(tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / f"{part}.de").write_text(GERMAN, encoding="utf-8")
        with gzip.open(tmp_path / f"{part}.en.gz", "wt", encoding="utf-8") as file:
            file.write(ENGLISH)
    (tmp_path / "README.md").write_text("not data", encoding="utf-8")
    found = find_parallel([tmp_path])
    assert set(found) == {"train", "valid"}
    assert both(found["train"]) == both(found["valid"]) == EXPECTED
    turned = find_parallel([tmp_path], source="en", target="de")
    assert both(turned["train"]) == [(other, one) for one, other in EXPECTED]
    given_in_order = find_parallel([tmp_path / "train.en.gz", tmp_path / "train.de"])
    assert both(given_in_order["train"]) == both(turned["train"])


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("pairs.tsv", "eins\tone\tCC-BY 1\nzwei\ttwo\tCC-BY 2\ndrei\tthree\t\n", {}),
        ("fra.txt", "one\teins\n\ntwo\tzwei\nthree\tdrei\n", {"source": "2", "target": "1"}),
        ("pairs.tsv", "id\ten\tde\n1\tone\teins\n2\ttwo\tzwei\n3\tthree\tdrei\n", GERMAN_TO_ENGLISH),
        ("pairs.tsv", "source\ttarget\neins\tone\nzwei\ttwo\ndrei\tthree\n", {}),
        ("pairs.jsonl", "".join(json.dumps({"translation": {"de": a, "en": b}}) + "\n" for a, b in EXPECTED), {}),
        ("pairs.jsonl", "".join(json.dumps({"en": b, "de": a}) + "\n" for a, b in EXPECTED), GERMAN_TO_ENGLISH),
        ("pairs.jsonl", "".join(json.dumps({"trg": b, "src": a}) + "\n" for a, b in EXPECTED), {}),
    ],
)  # fmt: skip
def test_tables_of_pairs_are_read(tmp_path: Path, name: str, content: str, columns: dict[str, str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert both(find_parallel([tmp_path / name], **columns)["train"]) == EXPECTED


def test_pairs_with_an_empty_side_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "train.de").write_text("eins\n\ndrei\n", encoding="utf-8")
    (tmp_path / "train.en").write_text(ENGLISH, encoding="utf-8")
    found = find_parallel([tmp_path])["train"]
    assert both(found) == [EXPECTED[0], EXPECTED[2]]
    assert found.remarks == (f"1 pair left out that have an empty side, the first at {tmp_path / 'train.de'}:2",)


def test_sentences_are_pairs_with_themselves(tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text(GERMAN, encoding="utf-8")
    (tmp_path / "train.txt").write_text(ENGLISH, encoding="utf-8")
    found = find_sentences([tmp_path])
    assert both(found["train"]) == [(one, one) for one in ENGLISH.split()]
    assert len(found["valid"]) == 3


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a.de": GERMAN, "a.en": "one\ntwo\n"}, {}, "has 3 lines and a.en has 2; line by line they must belong"),
        ({"a.de": GERMAN}, {}, "needs a file in a second language beside it"),
        ({"a.de": GERMAN, "a.en": ENGLISH}, {"source": "fr"}, r"no file that ends in \.fr beside those in de, en"),
        ({"a.de": GERMAN, "b.en": ENGLISH}, {}, r"a\.de: there is no a\.en beside it"),
        ({"a.de": "\n \n", "a.en": "\n\n"}, {}, "has no sentences"),
        ({"a.tsv": "one\teins\ntwo\n"}, {}, r"a\.tsv:2: has 1 column between tabs, at least 2"),
        ({"a.tsv": "en\tfr\none\tun\n"}, GERMAN_TO_ENGLISH, r"a\.tsv:1: has no column 'de', but en, fr"),
        ({"a.jsonl": '{"de": "eins"}\n'}, GERMAN_TO_ENGLISH, r"a\.jsonl:1: has no texts 'de' and 'en'"),
        ({"a.jsonl": '{"de": "eins"\n'}, {}, r"a\.jsonl:1: not a JSON object"),
        ({"a.de": GERMAN, "a.en": ENGLISH}, {"source": "de", "target": "de"}, "are both 'de'; give two"),
    ],
)
def test_data_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, files: dict[str, str], options: dict[str, str], message: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises((DataError, ArgumentError), match=message):
        find_parallel([tmp_path / name for name in files], **options)


def test_what_is_validated_was_not_learned() -> None:
    sources = [f"sentence {number % 40}" for number in range(200)]
    text = ParallelText.of(sources, [str(number) for number in range(200)])
    splits = split_parallel({"train": text}, 1000, seed=3)
    assert not set(splits.train.sources) & set(splits.valid.sources)
    assert sorted(both(splits.train) + both(splits.valid)) == sorted(both(text))
    assert 20 <= len(splits.valid) < 25
    assert both(split_parallel({"train": text}, 1000, seed=3).valid) == both(splits.valid)


def test_pairs_are_saved_and_loaded(tmp_path: Path) -> None:
    text = ParallelText.of(["a\u2028b", 'quote " and \t tab'], ["ü", "\x0b"])
    text.save(tmp_path / "pairs.jsonl")
    assert ParallelText.load(tmp_path / "pairs.jsonl", "x").examples == text.examples
    (tmp_path / "pairs.jsonl").write_text("[1, 2]\n", encoding="utf-8")
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        ParallelText.load(tmp_path / "pairs.jsonl", "x")
    with pytest.raises(ArgumentError, match="`targets` must be as many as the sources, 2, got 1"):
        ParallelText.of(["a", "b"], ["c"])


LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=4, max_size=60)


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 40), world_size=st.integers(1, 3))
@settings(max_examples=60)
def test_an_epoch_has_each_pair_once_in_batches_of_bounded_size(
    lengths: list[tuple[int, int]], batch_tokens: int, world_size: int
) -> None:
    sources = [np.full(one, place) for place, (one, _) in enumerate(lengths)]
    targets = [np.full(other, place) for place, (_, other) in enumerate(lengths)]
    seen: list[int] = []
    sizes: set[int] = set()
    for rank in range(world_size):
        batches = PairBatches(
            sources, targets, end=99, batch_tokens=batch_tokens, seed=4, rank=rank, world_size=world_size
        )
        sizes.add(len(batches))
        for index in range(len(batches)):
            batch = batches.batch(1, index)
            assert batch.target.lengths is not None
            assert batch.source.lengths is not None
            rows = batch.source.values[0].tolist()
            seen += rows
            assert (batch.target.lengths - 1).sum() <= batch_tokens or len(rows) == 1
            for column, row in enumerate(rows):
                length = int(batch.target.lengths[column])
                assert batch.target.values[:length, column].tolist() == [99, *targets[row].tolist(), 99]
                assert int(batch.source.lengths[column]) == len(sources[row])
            again = PairBatches(
                sources, targets, end=99, batch_tokens=batch_tokens, seed=4, rank=rank, world_size=world_size
            ).batch(1, index)
            assert again.source.values.tolist() == batch.source.values.tolist()
    assert len(sizes) == 1
    assert len(seen) == len(set(seen))
    if world_size == 1:
        assert sorted(seen) == list(range(len(lengths)))


@pytest.mark.parametrize("kind", ["char", "byte", "word", "bpe"])
@given(sentence=st.text("abc üß,.", max_size=20))
@settings(max_examples=30)
def test_a_sentence_comes_back(kind: str, sentence: str) -> None:
    learned = train_tokenizer(kind, ["abc ü ß , . a b c a, b. cab\n" * 3], split_punctuation=False)
    tokenizer = SentenceTokenizer(learned, lower=True)
    ids = tokenizer.encode(sentence)
    if learned.unknown_id is None or learned.unknown_id not in ids:
        assert tokenizer.decode([*ids.tolist(), tokenizer.end, 1]) == " ".join(sentence.split())
    assert len(tokenizer.pieces(sentence)) == len(ids)


def test_a_word_is_the_same_at_the_beginning_and_later() -> None:
    learned = train_tokenizer("bpe", [" house house house\n" * 50], vocabulary_size=270)
    tokenizer = SentenceTokenizer(learned, lower=False)
    first, second = np.split(tokenizer.encode("house house"), 2)
    assert first.tolist() == second.tolist()


def test_unknown_words_are_replaced_in_their_places() -> None:
    learned = train_tokenizer("word", ["the man sees\n"])
    tokenizer = SentenceTokenizer(learned, lower=True)
    ids = tokenizer.encode("the zebra sees quagga")
    assert tokenizer.decode_replacing(ids.tolist(), ["", "zebra", "", "quagga"]) == "the zebra sees quagga"


@given(st.integers(0, 999_999))
def test_numbers_in_words_can_be_read_back(number: int) -> None:
    units = {number_words(value): value for value in [*range(20), *range(20, 100, 10)]}
    total = current = 0
    for word in number_words(number).split():
        if word == "thousand":
            total, current = total + 1000 * current, 0
        elif word == "hundred":
            current *= 100
        else:
            current += units[word]
    assert total + current == number


def test_the_sample_is_repeatable_and_has_all_kinds() -> None:
    text = sample_numbers(2000, seed=1)
    assert text.examples == sample_numbers(2000, seed=1).examples
    joined = " ".join(text.targets)
    for word in ("euros", "cents", "past", "to", "of march", "thousand", "first", "o'clock"):
        assert word in joined
