"""The n-gram model that every language model is compared with: modified Kneser-Ney (Chen & Goodman 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError, check_positive_integer

Array = npt.NDArray[Any]
MOST_TOKENS = 5_000_000
_CHUNK = 1_000_000
# For orders with too few n-grams to estimate from; KenLM falls back to the same three.
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Order:
    """The different n-grams of one length; an n-gram's place is its index in ``keys``.

    Attributes:
        keys: sorted; of each n-gram, the place of its context (its first n - 1 tokens) among those one shorter,
            times the vocabulary's size, plus its last token.
        discounted: of each n-gram, its count less the discount, over the count of its context.
        left: by the place of the context, the probability that it leaves to the order below.
    """

    keys: Array
    discounted: Array
    left: Array


@dataclass(frozen=True)
class _Distinct:
    """The different n-grams of a text.

    Attributes:
        keys: as in ``_Order``.
        starts: of each n-gram, an index of the text at which it stands.
        counts: of each n-gram, how often it stands there.
        places: of each n-gram of the text in turn, which of the different ones it is.
    """

    keys: Array
    starts: Array
    counts: Array
    places: Array


class NGramModel:
    """Interpolated modified Kneser-Ney over token ids.

    p(w | c) = max(count(c w) - D, 0) / count(c) + left(c) p(w | c without its first token), down to 1 / V.
    Below the highest order count(c w) is the number of different tokens that c w occurs after. D is one of three
    discounts, estimated from how many n-grams occur once, twice, three and four times; where one of those four is
    missing, or an estimate leaves the range from 0 to the count that it is for, they are 0.5, 1 and 1.5.

    Args:
        tokens: the training text, shape (tokens,), any integers; no more than its last 5 million are counted, in
            up to 1 GB for an order of 7.
        vocabulary_size: how many tokens there are.
        order: n, the highest number of tokens in an n-gram; no more than there are tokens.

    Raises:
        ArgumentError: where the order or the vocabulary's size is not a positive integer, or a token is not below
            the vocabulary's size.
    """

    def __init__(self, tokens: Array, *, vocabulary_size: int, order: int) -> None:
        check_positive_integer("vocabulary_size", vocabulary_size)
        check_positive_integer("order", order)
        self.vocabulary_size = vocabulary_size
        self.order = order = min(order, len(tokens))
        text = self._ids(tokens[-MOST_TOKENS:])
        self._orders: list[_Order] = []
        contexts = 1
        longer = self._distinct(text, np.zeros(len(text) + 1, dtype=np.int64), 1)
        for size in range(1, order + 1):
            grams, counts = longer, longer.counts
            if size < order:
                longer = self._distinct(text, grams.places, size + 1)
                counts = np.bincount(grams.places[longer.starts + 1], minlength=len(grams.keys))
            self._orders.append(_discount(grams.keys, counts, grams.keys // vocabulary_size, contexts))
            contexts = len(grams.keys)

    def total_nats(self, tokens: Array) -> float:
        """The sum of the negative log-probabilities of the tokens after the first, in bounded memory."""
        total = 0.0
        for start in range(1, len(tokens), _CHUNK):
            before = min(start, self.order - 1)
            chunk = tokens[start - before : start + _CHUNK]
            total -= float(self.log_probabilities(chunk)[before:].sum())
        return total

    def log_probabilities(self, tokens: Array) -> Array:
        """The natural logarithm of each token's probability given up to n - 1 before it, shape (tokens,), float64.

        Args:
            tokens: shape (tokens,), ids below the vocabulary's size.

        Raises:
            ArgumentError: where a token is not below the vocabulary's size.
        """
        text = self._ids(tokens)
        probabilities = np.full(len(text), 1 / self.vocabulary_size)
        places = np.zeros(len(text) + 1, dtype=np.int64)  # of the n-gram that begins here; -1 where it is unknown
        for size, order in enumerate(self._orders[: len(text)], start=1):
            contexts = places[:-1]
            keys = contexts * self.vocabulary_size + text[size - 1 :]
            places = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
            known = order.keys[places] == keys
            own = np.where(known, order.discounted[places], 0.0)
            left = np.where(contexts >= 0, order.left[contexts], 1.0)
            probabilities[size - 1 :] = own + left * probabilities[size - 1 :]
            places[~known] = -1
        return np.log(probabilities)

    def _ids(self, tokens: Array) -> Array:
        text = np.asarray(tokens).astype(np.int64)
        if len(text) and not (text.min() >= 0 and text.max() < self.vocabulary_size):
            wrong = text[(text < 0) | (text >= self.vocabulary_size)][0]
            raise ArgumentError(f"`tokens` must be ids from 0 to {self.vocabulary_size - 1}, got {wrong}")
        return text

    def _distinct(self, text: Array, contexts: Array, size: int) -> _Distinct:
        """Find the different n-grams, given the places of those one shorter."""
        keys = contexts[:-1] * self.vocabulary_size + text[size - 1 :]
        order = np.argsort(keys)
        keys = keys[order]
        is_new = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
        places = np.empty_like(keys)
        places[order] = np.cumsum(is_new) - 1
        new = np.flatnonzero(is_new)
        return _Distinct(keys[new], order[new], np.diff(new, append=len(keys)), places)


def _discount(keys: Array, counts: Array, contexts: Array, number_of_contexts: int) -> _Order:
    taken = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, weights=counts, minlength=number_of_contexts)
    left = np.bincount(contexts, weights=taken, minlength=number_of_contexts)
    # A context that nothing is counted after leaves everything to the order below.
    discounted = (counts - taken) / np.maximum(totals, 1)[contexts]
    return _Order(keys, discounted, np.where(totals > 0, left / np.maximum(totals, 1), 1.0))


def _discounts(counts: Array) -> tuple[float, ...]:
    times = np.bincount(np.minimum(counts, 5), minlength=6)[:5].astype(float)
    if not times[1:].all():
        return _FALLBACK_DISCOUNTS
    ratio = times[1] / (times[1] + 2 * times[2])
    estimates = tuple(n - (n + 1) * ratio * times[n + 1] / times[n] for n in (1, 2, 3))
    return estimates if all(0 < each < n for n, each in enumerate(estimates, 1)) else _FALLBACK_DISCOUNTS
