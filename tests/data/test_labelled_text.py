from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import LabelledText, sample_reviews, split_off
from throughtime.errors import ArgumentError, DataError, ModelFolderError


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), fraction=st.floats(0.05, 0.5))
@settings(max_examples=40)
def test_a_split_keeps_every_class_and_its_share(counts: list[int], fraction: float) -> None:
    labels = [str(label) for label, count in enumerate(counts) for _ in range(count)]
    examples = LabelledText.of([f"text {number}" for number in range(len(labels))], labels)
    try:
        kept, taken = split_off(examples, fraction, seed=3)
    except DataError:
        assert fraction * len(labels) < 1 or max(counts) == 1
        return
    assert sorted(kept.texts + taken.texts) == sorted(examples.texts)
    assert set(kept.counts()) == set(examples.counts())
    for label, count in examples.counts().items():
        assert abs(taken.counts().get(label, 0) - fraction * count) <= 1.5 + len(counts)
    assert abs(len(taken) - fraction * len(labels)) <= 1 + len(counts)


def test_labels_are_ordered_as_numbers_where_they_are() -> None:
    assert list(LabelledText.of(["x"] * 3, [10, 9, 2]).counts()) == ["2", "9", "10"]
    assert list(LabelledText.of(["x"] * 3, ["b", "10", "9"]).counts()) == ["10", "9", "b"]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    examples = LabelledText.of(["süß\n\u2028", "two"], [["a", "b"], []])
    examples.save(tmp_path / "rows.jsonl")
    assert LabelledText.load(tmp_path / "rows.jsonl", "rows").examples == examples.examples
    (tmp_path / "rows.jsonl").write_text('{"text": "cut', encoding="utf-8")
    with pytest.raises(ModelFolderError, match="the prepared data is missing or damaged"):
        LabelledText.load(tmp_path / "rows.jsonl", "rows")


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`labels` must be as many as the texts, 2, got 1"):
        LabelledText.of(["one", "two"], ["a"])
    with pytest.raises(ArgumentError, match="number 1 is int"):
        LabelledText.of(["one", 2], ["a", "b"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="has 2 examples, too few to keep some for validation"):
        split_off(LabelledText.of(["one", "two"], ["a", "b"]), 0.1, seed=0)


def test_the_generated_reviews_are_the_same_each_time_and_need_more_than_single_words() -> None:
    reviews = sample_reviews(500)
    assert reviews.examples == sample_reviews(500).examples
    assert set(reviews.counts()) == {"good", "bad"}
    praised = [example for example in reviews.examples if "wonderful" in example.text]
    assert {example.labels for example in praised} == {("good",), ("bad",)}
