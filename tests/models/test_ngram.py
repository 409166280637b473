from __future__ import annotations

import math
from collections import Counter, defaultdict

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
        ratio = times[1] / (times[1] + 2 * times[2]) if times[1] else 0.0
        raw = [n - (n + 1) * ratio * times[n + 1] / times[n] if times[n] else 0.5 for n in (1, 2, 3)]
        return [0.0, *(min(max(value, 0.1), n - 0.1) for n, value in zip((1, 2, 3), raw, strict=True))]

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
@settings(deadline=None, max_examples=60)
def test_it_is_kneser_ney(train: list[int], text: list[int], order: int) -> None:
    ours = NGramModel(np.array(train, dtype=np.uint8), vocabulary_size=VOCABULARY, order=order)
    plain = PlainKneserNey(train, order)
    expected = [math.log(plain.probability(tuple(text[max(0, i - order + 1) : i]), text[i])) for i in range(len(text))]
    np.testing.assert_allclose(ours.log_probabilities(np.array(text)), expected, rtol=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram, "_CHUNK", 7)
        assert ours.total_nats(np.array(text)) == pytest.approx(-sum(expected[1:]))


@given(train=TEXTS, context=st.lists(st.integers(0, VOCABULARY - 1), max_size=4), order=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
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


def test_the_order_is_positive() -> None:
    with pytest.raises(ArgumentError, match="`order` must be a positive integer, got 0"):
        NGramModel(np.array([1, 2]), vocabulary_size=3, order=0)
