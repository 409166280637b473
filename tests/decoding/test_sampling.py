from __future__ import annotations

import math
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
FEW = settings(max_examples=60)


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


def test_nothing_is_left_out_where_everything_may_be_drawn() -> None:
    scores = torch.linspace(0, -40, 1000)[None]  # in float32 the probabilities sum to 1 at the 427th
    for kept in (keep_top_p(scores, 1.0), keep_min_p(scores, 0.0), keep_top_k(scores, 1000)):
        assert kept.isfinite().all()


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, [0, 16, 64, 32, 1, 2**-18]),
        # 64 + 32 is more than 0.85 of the 112 that top-k leaves, and less than 0.85 of all 113.
        ({"top_k": 3, "top_p": 0.85}, [0, 0, 64, 32, 0, 0]),
        ({"top_p": 0.85}, [0, 16, 64, 32, 0, 0]),
        # Min-p comes last: had it taken the 1 away before, top-p would leave 64 and 32.
        ({"top_p": 0.85, "min_p": 0.2}, [0, 16, 64, 32, 0, 0]),
        ({"top_p": 0.85, "min_p": 0.3}, [0, 0, 64, 32, 0, 0]),
    ],
)
def test_the_filters_follow_one_another_in_their_order(options: dict[str, Any], weights: list[float]) -> None:
    # In units of log 2 and halved, as the temperature doubles them: 12 and -6 were seen and become 4 and -18.
    halves = torch.tensor([[20.0, 12.0, 6.0, 5.0, 0.0, -6.0]], dtype=torch.float64)
    seen = torch.tensor([[True, True, False, False, False, True]])
    how = Sampling(temperature=0.5, repetition_penalty=3.0, forbidden=(0,), **options)
    left = how.scores(halves * math.log(2) / 2, seen).softmax(-1)[0]
    torch.testing.assert_close(left, torch.tensor(weights, dtype=torch.float64) / sum(weights))


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


def test_rows_with_generators_of_their_own_are_drawn_as_if_alone() -> None:
    scores = torch.randn(5, 40, generator=torch.Generator().manual_seed(3)) * 2
    how = Sampling(temperature=0.9, top_p=0.9)

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in range(5)]

    together, alone = generators(), generators()
    for _ in range(20):
        drawn = how.draw(scores, torch.zeros(5, 40, dtype=torch.bool), together)
        each = [
            how.draw(scores[row : row + 1], torch.zeros(1, 40, dtype=torch.bool), generator)
            for row, generator in enumerate(alone)
        ]
        assert drawn.tolist() == torch.cat(each).tolist()


def test_a_random_number_near_1_draws_the_last_token_that_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearly_one(*shape: int, dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
        return torch.ones(*shape, dtype=dtype).nextafter(torch.zeros((), dtype=dtype))

    monkeypatch.setattr(torch, "rand", nearly_one)
    scores = torch.log(torch.tensor([[0.3, 0.3, 0.1, 0.0], [0.1, 0.7, 0.0, 0.0]]))
    assert Sampling().draw(scores, torch.zeros(2, 4, dtype=torch.bool)).tolist() == [2, 1]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    scores = torch.tensor([1.0, 0.0, -1.0, 2.0]).repeat(20_000, 1)
    how = Sampling(temperature=2.0, forbidden=(1,))
    (tokens,) = sample(chain, None, scores, how, length=1, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    expected = torch.tensor([0.5, -torch.inf, -0.5, 1.0]).softmax(-1)
    # Three standard deviations of a share of 0.4 among 20,000.
    torch.testing.assert_close(shares, expected, atol=0.011, rtol=0)
    assert shares[1] == 0


def test_the_prompt_and_each_drawn_token_count_as_seen() -> None:
    def same(state: Any, token: Tensor) -> tuple[Any, Tensor]:
        return state, scores

    scores = torch.tensor([[4.0, 3.0, 2.9], [2.9, 4.0, 3.0]])
    seen = torch.tensor([[True, False, False], [False, False, False]])
    how = Sampling(temperature=0, repetition_penalty=2.0)
    tokens = torch.stack(list(sample(same, None, scores, how, length=3, seen=seen)))
    assert tokens.T.tolist() == [[1, 2, 0], [1, 2, 0]]
    assert seen.tolist() == [[True, False, False], [False, False, False]]  # the caller's own is left alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("temperature", [1e-3, 1e-40, 5e-324])
def test_a_temperature_near_0_is_nearly_greedy(dtype: torch.dtype, temperature: float) -> None:
    scores = torch.tensor([[-90.0, 80.0, 79.0], [5.0, -torch.inf, 4.0]], dtype=dtype)
    (token,) = sample(chain, None, scores, Sampling(temperature=temperature), length=1)
    assert token.tolist() == [1, 0]


def test_no_gradient_is_recorded() -> None:
    scores = torch.zeros(1, 6, requires_grad=True)
    (token,) = sample(chain, None, scores, Sampling(repetition_penalty=1.5), length=1)
    assert not token.requires_grad


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([1.0, 2.0], {"forbidden": (0, 1)}, "no token is left to draw"),
        ([1.0, -torch.inf], {"forbidden": (0,), "temperature": 0}, "no token is left to draw"),
        ([1.0, 2.0], {"forbidden": (2,)}, r"`forbidden` must be a number in \[0, 2\), got 2"),
        ([1.0, torch.nan], {}, "`scores` must be finite or -inf, got NaN"),
        ([1.0, torch.inf], {"temperature": 0}, "`scores` must be finite or -inf"),
    ],
)
def test_scores_that_nothing_can_be_drawn_from_are_refused(
    scores: list[float], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        next(sample(chain, None, torch.tensor([scores]), Sampling(**options), length=1))


def test_lengths_and_shapes_are_checked_before_the_first_token() -> None:
    scores = torch.zeros(2, 6)
    with pytest.raises(ArgumentError, match="`length` must be a positive integer, got 0"):
        sample(chain, None, scores, Sampling(), length=0)
    with pytest.raises(ArgumentError, match=r"`scores` must have shape \(batch, vocabulary\), got \(6,\)"):
        sample(chain, None, scores[0], Sampling(), length=1)
    with pytest.raises(ArgumentError, match=r"`seen` must have shape \(2, 6\), got \(1, 6\)"):
        sample(chain, None, scores, Sampling(), length=1, seen=torch.zeros(1, 6, dtype=torch.bool))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "`temperature` must be a number in"),
        ({"top_k": 0}, "`top_k` must be a positive integer, got 0"),
        ({"top_p": 0.0}, r"`top_p` must be a number in \(0, 1\], got 0.0"),
        ({"min_p": 1.5}, r"`min_p` must be a number in \[0, 1\], got 1.5"),
        ({"repetition_penalty": 0}, "`repetition_penalty` must be a number in"),
        ({"forbidden": (-1,)}, r"`forbidden` must be a number in \[0, inf\), got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Sampling(**options)
