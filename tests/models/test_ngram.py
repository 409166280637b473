from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.errors import ArgumentError
from throughtime.models import NGramModel, ngram

VOCABULARY = 5
TEXTS = st.lists(st.integers(0, VOCABULARY - 1), min_size=5, max_size=60)


class PlainKneserNey:
    """Interpolated modified Kneser-Ney as Chen & Goodman (1998) write it, in dictionaries."""

    def __init__(self, text: list[int], order: int) -> None:
        self.order = order
        self.counts: list[dict[tuple[int, ...], int]] = []
        for size in range(1, order + 1):
            if size == order:
                grams = Counter(tuple(text[i : i + size]) for i in range(len(text) - size + 1))
                self.counts.append(dict(grams))
                continue
            before: dict[tuple[int, ...], set[int]] = defaultdict(set)
            for i in range(len(text) - size):
                before[tuple(text[i + 1 : i + 1 + size])].add(text[i])
            self.counts.append({gram: len(tokens) for gram, tokens in before.items()})
        self.discounts = [self.estimate(list(counts.values())) for counts in self.counts]

    @staticmethod
    def estimate(counts: list[int]) -> list[float]:
        times = Counter(counts)
        if all(times[n] for n in (1, 2, 3, 4)):
            ratio = times[1] / (times[1] + 2 * times[2])
            estimates = [n - (n + 1) * ratio * times[n + 1] / times[n] for n in (1, 2, 3)]
            if all(0 < estimate < n for n, estimate in zip((1, 2, 3), estimates, strict=True)):
                return [0.0, *estimates]
        return [0.0, 0.5, 1.0, 1.5]

    def probability(self, context: tuple[int, ...], token: int) -> float:
        if not self.counts:
            return 1 / VOCABULARY
        below = self.lower().probability(context[1:] if len(context) >= self.order - 1 else context, token)
        context = context[len(context) - self.order + 1 :] if self.order > 1 else ()
        if len(context) < self.order - 1:
            return below
        counts = {gram[-1]: count for gram, count in self.counts[-1].items() if gram[:-1] == context}
        total = sum(counts.values())
        if not total:
            return below
        taken = {w: self.discounts[-1][min(count, 3)] for w, count in counts.items()}
        own = (counts[token] - taken[token]) / total if token in counts else 0.0
        return own + sum(taken.values()) / total * below

    def lower(self) -> PlainKneserNey:
        model = PlainKneserNey([], 0)
        model.order, model.counts, model.discounts = self.order - 1, self.counts[:-1], self.discounts[:-1]
        return model


@given(train=TEXTS, text=TEXTS, order=st.integers(1, 4))
@settings(max_examples=60)
def test_it_is_kneser_ney(train: list[int], text: list[int], order: int) -> None:
    ours = NGramModel(np.array(train, dtype=np.uint8), vocabulary_size=VOCABULARY, order=order)
    plain = PlainKneserNey(train, order)
    expected = [math.log(plain.probability(tuple(text[max(0, i - order + 1) : i]), text[i])) for i in range(len(text))]
    np.testing.assert_allclose(ours.log_probabilities(np.array(text)), expected, rtol=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram, "_CHUNK", 7)
        assert ours.total_nats(np.array(text)) == pytest.approx(-sum(expected[1:]))


def test_where_there_is_enough_text_the_discounts_are_estimated() -> None:
    generator = np.random.default_rng(3)
    train = np.minimum(generator.geometric(0.5, 3000) - 1, VOCABULARY - 1)
    text = generator.integers(0, VOCABULARY, 200)
    plain = PlainKneserNey(train.tolist(), 6)
    assert plain.discounts[-1] != [0.0, 0.5, 1.0, 1.5]
    ours = NGramModel(train, vocabulary_size=VOCABULARY, order=6).log_probabilities(text)
    spoken = text.tolist()
    expected = [math.log(plain.probability(tuple(spoken[max(0, i - 5) : i]), spoken[i])) for i in range(len(spoken))]
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_a_small_text_by_hand() -> None:
    # a b a b a c: the bigrams ab 2, ba 2, ac 1; each letter comes after one other letter, so the unigrams count
    # one each: p(w) = (1 - 1/2) / 3 + 3 (1/2) / 3 * 1/3 = 1/3. The discounts are 1/2 for one and 1 for two.
    text = np.array([0, 1, 0, 1, 0, 2])
    model = NGramModel(text, vocabulary_size=3, order=2)
    after_a = [(1 / 2 + 1) / 3 / 3 + own for own in (0, (2 - 1) / 3, (1 - 1 / 2) / 3)]
    after_b = [1 / 2 / 3 + own for own in ((2 - 1) / 2, 0, 0)]
    for context, expected in enumerate((after_a, after_b, [1 / 3] * 3)):
        found = [model.log_probabilities(np.array([context, token]))[1] for token in range(3)]
        assert np.exp(found).tolist() == pytest.approx(expected)


@given(train=TEXTS, context=st.lists(st.integers(0, VOCABULARY - 1), max_size=4), order=st.integers(1, 4))
@settings(max_examples=60)
def test_the_probabilities_sum_to_one_after_any_context(train: list[int], context: list[int], order: int) -> None:
    model = NGramModel(np.array(train), vocabulary_size=VOCABULARY, order=order)
    last = [model.log_probabilities(np.array([*context, token]))[-1] for token in range(VOCABULARY)]
    assert np.exp(last).sum() == pytest.approx(1.0)


def test_a_higher_order_learns_a_cycle() -> None:
    cycle = np.array([0, 1, 0, 2] * 200)
    nats = [-NGramModel(cycle, vocabulary_size=3, order=n).log_probabilities(cycle).mean() for n in (1, 2, 3)]
    assert nats[0] > nats[1] > nats[2]
    assert nats[0] == pytest.approx(1.5 * math.log(2), abs=0.02)  # entropy of (1/2, 1/4, 1/4)
    assert nats[2] < 0.05


def test_no_order_is_longer_than_the_text() -> None:
    assert NGramModel(np.array([0, 1]), vocabulary_size=2, order=5).order == 2


def test_a_text_without_tokens_leaves_all_equally_likely() -> None:
    model = NGramModel(np.array([], dtype=np.uint8), vocabulary_size=4, order=3)
    assert model.log_probabilities(np.array([2, 3])).tolist() == pytest.approx([-math.log(4)] * 2)
    assert model.log_probabilities(np.array([])).shape == (0,)


def test_only_the_last_tokens_of_a_mapped_text_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = np.random.default_rng(0).integers(0, 4, 500).astype(np.uint16)
    text.tofile(tmp_path / "text")
    mapped = np.memmap(tmp_path / "text", dtype=np.uint16, mode="r")
    expected = NGramModel(text[-200:], vocabulary_size=4, order=3).total_nats(text)
    monkeypatch.setattr(ngram, "MOST_TOKENS", 200)
    assert NGramModel(mapped, vocabulary_size=4, order=3).total_nats(mapped) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        ([1, 2], {"order": 0}, "`order` must be a positive integer, got 0"),
        ([1, 2], {"vocabulary_size": 0}, "`vocabulary_size` must be a positive integer, got 0"),
        ([1, 3], {}, "`tokens` must be ids from 0 to 2, got 3"),
        ([-1, 1], {}, "`tokens` must be ids from 0 to 2, got -1"),
    ],
)
def test_what_cannot_be_counted_is_refused(tokens: list[int], options: dict[str, int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        NGramModel(np.array(tokens), **{"vocabulary_size": 3, "order": 2, **options})


def test_a_token_beyond_the_vocabulary_has_no_probability() -> None:
    with pytest.raises(ArgumentError, match="`tokens` must be ids from 0 to 2, got 7"):
        NGramModel(np.array([1, 2]), vocabulary_size=3, order=2).log_probabilities(np.array([0, 7]))
