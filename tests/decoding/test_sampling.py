from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from throughtime.decoding import Sampling, keep_min_p, keep_top_k, keep_top_p, penalize_repetition, sample
from throughtime.errors import ArgumentError

SCORES = st.lists(st.integers(-30, 30), min_size=2, max_size=12, unique=True).map(
    lambda values: torch.tensor([values], dtype=torch.float64) / 4
)
FEW = settings(deadline=None, max_examples=60)


@FEW
@given(scores=SCORES, k=st.integers(1, 14))
def test_top_k_keeps_the_k_highest(scores: Tensor, k: int) -> None:
    kept = keep_top_k(scores, k).isfinite()[0].nonzero().flatten().tolist()
    assert sorted(kept) == sorted(scores[0].argsort(descending=True)[:k].tolist())


@FEW
@given(scores=SCORES, p=st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_that_has_the_probability(scores: Tensor, p: float) -> None:
    kept = keep_top_p(scores, p).isfinite()[0]
    probabilities = scores.softmax(-1)[0]
    assert probabilities[kept].sum() >= p - 1e-9
    if kept.sum() > 1:
        assert probabilities[kept].sum() - probabilities[kept].min() < p + 1e-9
    if not kept.all():
        assert probabilities[kept].min() > probabilities[~kept].max()


@FEW
@given(scores=SCORES, p=st.floats(0, 1))
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(scores: Tensor, p: float) -> None:
    kept = keep_min_p(scores, p).isfinite()[0]
    probabilities = scores.softmax(-1)[0]
    assert kept.tolist() == (probabilities >= p * probabilities.max()).tolist()


def test_the_repetition_penalty_makes_seen_tokens_less_likely_whatever_their_sign() -> None:
    scores = torch.tensor([[2.0, -2.0, 3.0, -3.0]])
    seen = torch.tensor([[True, True, False, False]])
    assert penalize_repetition(scores, seen, 2.0).tolist() == [[1.0, -4.0, 3.0, -3.0]]


def chain(state: Tensor, token: Tensor) -> tuple[Any, Tensor]:
    """A Markov chain: scores follow from the token alone; the state counts the steps."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(6, 6, generator=generator)
    return state + 1, table[token]


def test_temperature_0_is_greedy_and_one_step_is_taken_a_token() -> None:
    calls = 0

    def counted(state: Any, token: Tensor) -> tuple[Any, Tensor]:
        nonlocal calls
        calls += 1
        return chain(state, token)

    start = torch.tensor([[0.0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 3, 0]])
    tokens = torch.stack(list(sample(counted, torch.zeros(()), start, Sampling(temperature=0), length=5)))
    assert calls == 4
    expected = start.argmax(-1)
    for row in tokens:
        assert row.tolist() == expected.tolist()
        expected = chain(torch.zeros(()), expected)[1].argmax(-1)


def test_the_same_seed_draws_the_same_tokens() -> None:
    how = Sampling(temperature=0.8, top_k=4, top_p=0.95, min_p=0.01, repetition_penalty=1.2)
    drawn = [
        [int(t) for t in sample(chain, torch.zeros(()), torch.zeros(1, 6), how, length=30, generator=generator)]
        for generator in (torch.Generator().manual_seed(s) for s in (1, 1, 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    scores = torch.tensor([1.0, 0.0, -1.0, 2.0]).repeat(20_000, 1)
    how = Sampling(temperature=2.0, forbidden=(1,))
    (tokens,) = sample(chain, None, scores, how, length=1, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    expected = torch.tensor([0.5, -torch.inf, -0.5, 1.0]).softmax(-1)
    # Three standard deviations of a share of 0.4 among 20,000.
    torch.testing.assert_close(shares, expected, atol=0.011, rtol=0)
    assert shares[1] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "`temperature` must be a number in"),
        ({"top_k": 0}, "`top_k` must be a positive integer, got 0"),
        ({"top_p": 0.0}, r"`top_p` must be a number in \(0, 1\], got 0.0"),
        ({"min_p": 1.5}, r"`min_p` must be a number in \[0, 1\], got 1.5"),
        ({"repetition_penalty": 0}, "`repetition_penalty` must be a number in"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Sampling(**options)
