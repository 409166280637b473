"""The n-gram model that every language model is compared with: modified Kneser-Ney (Chen & Goodman 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.errors import check_positive_integer

Array = npt.NDArray[Any]
MOST_TOKENS = 5_000_000
_CHUNK = 1_000_000


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length and their contexts, each named by a hash; the names are sorted.

    Attributes:
        grams: the n-grams' names.
        discounted: of each n-gram, its count less the discount, over the count of its context.
        contexts: the names of the contexts, the n-grams' first n - 1 tokens.
        left: of each context, the probability that its n-grams leave to the order below.
    """

    grams: Array
    discounted: Array
    contexts: Array
    left: Array


class NGramModel:
    """Interpolated modified Kneser-Ney over token ids.

    p(w | c) = max(count(c w) - D, 0) / count(c) + left(c) p(w | c without its first token), down to 1 / V.
    Below the highest order count(c w) is the number of different tokens that c w occurs after. D is one of three
    discounts, estimated from how many n-grams occur once, twice, three and four times.

    N-grams are named by 64-bit hashes; two of a million share one with probability 3e-8.

    Args:
        tokens: the training text, shape (tokens,); no more than its last 5 million are counted.
        vocabulary_size: how many tokens there are.
        order: n, the highest number of tokens in an n-gram; no more than there are tokens.

    Raises:
        ArgumentError: where the order is not a positive integer.
    """

    def __init__(self, tokens: Array, *, vocabulary_size: int, order: int) -> None:
        check_positive_integer("order", order)
        self.vocabulary_size = vocabulary_size
        self.order = order = min(order, len(tokens))
        names = _names(np.asarray(tokens[-MOST_TOKENS:]), order)
        found = [np.unique(name, return_index=True, return_counts=True) for name in names[1:]]
        self._orders: list[_Order] = []
        for size, (grams, first, counts) in enumerate(found, start=1):
            if size < order:
                longer_first = found[size][1]
                suffixes = np.searchsorted(grams, names[size][longer_first + 1])
                counts = np.bincount(suffixes, minlength=len(grams))  # noqa: PLW2901
            self._orders.append(_discount(grams, counts, names[size - 1][first]))

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
        """
        text = np.asarray(tokens)
        names = _names(text, self.order)
        probabilities = np.full(len(text), 1 / self.vocabulary_size)
        for size, order in enumerate(self._orders, start=1):
            if len(text) < size:
                break
            own = _look_up(order.grams, order.discounted, names[size], missing=0.0)
            contexts = names[size - 1][: len(own)]
            left = _look_up(order.contexts, order.left, contexts, missing=1.0)
            probabilities[size - 1 :] = own + left * probabilities[size - 1 :]
        return np.log(probabilities)


def _names(text: Array, order: int) -> list[Array]:
    """At [n][i], the hash of the n tokens from place i on; all zero for n = 0."""
    tokens = text.astype(np.uint64) + np.uint64(1)
    names = [np.zeros(len(tokens), dtype=np.uint64)]
    for size in range(1, min(order, len(tokens)) + 1):
        before = names[-1][: len(tokens) - size + 1]
        mixed = (before ^ (before >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + tokens[size - 1 :]
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        names.append(mixed)
    return names


def _discount(grams: Array, counts: Array, contexts_of_grams: Array) -> _Order:
    times = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    once, twice = times[1], times[2]
    ratio = once / (once + 2 * twice) if once else 0.0
    estimates = [
        count - (count + 1) * ratio * times[count + 1] / times[count] if times[count] else 0.5 for count in (1, 2, 3)
    ]
    # A small or odd text can put an estimate outside of what leaves a probability to each order.
    discounts = np.array([0.0, *np.clip(estimates, 0.1, [0.9, 1.9, 2.9])])
    taken = discounts[np.minimum(counts, 3)]
    contexts, place = np.unique(contexts_of_grams, return_inverse=True)
    totals = np.bincount(place, weights=counts)
    left = np.bincount(place, weights=taken)
    with np.errstate(invalid="ignore", divide="ignore"):
        discounted = np.where(totals[place] > 0, (counts - taken) / totals[place], 0.0)
        return _Order(grams, discounted, contexts, np.where(totals > 0, left / totals, 1.0))


def _look_up(names: Array, values: Array, wanted: Array, *, missing: float) -> Array:
    place = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
    return np.where(names[place] == wanted, values[place], missing)
