from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from throughtime.decoding import Beam, Constraints, Hypothesis, Sampling, beam_search, sample_sequences
from throughtime.errors import ArgumentError

VOCABULARY, LONGEST, END = 4, 3, 3


def covered(state: Any) -> Tensor:
    return state[2]


class Chain:
    """A model of two tokens' memory for each of several sources, whose every sequence can be enumerated.

    It looks at two places of the source, at each step more at the one than at the other, as a table says.
    """

    def __init__(self, sources: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.sources = sources
        self.table = 1.5 * torch.randn(sources, VOCABULARY, VOCABULARY, VOCABULARY, generator=generator).double()
        self.looks = torch.rand(VOCABULARY, generator=generator).double()
        self.rows: list[int] = []

    def start(self) -> tuple[Tensor, ...]:
        ends = torch.full((self.sources,), END)
        return torch.arange(self.sources), ends, torch.zeros(self.sources, 2).double()

    def next_step(self, state: Any, tokens: Tensor) -> tuple[Any, Tensor]:
        source, before, covered = state
        self.rows.append(len(tokens))
        looked = torch.stack([self.looks[tokens], 1 - self.looks[tokens]], -1)
        return (source, tokens, covered + looked), self.table[source, before, tokens]

    @staticmethod
    def select(state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state)

    def log_probability(self, source: int, sequence: tuple[int, ...]) -> float:
        before = last = END
        total = 0.0
        for token in (*sequence, END):
            total += float(self.table[source, before, last].log_softmax(-1)[token])
            before, last = last, token
        return total

    def coverage(self, sequence: tuple[int, ...]) -> Tensor:
        looked = self.looks[torch.tensor([END, *sequence])]
        return torch.stack([looked.sum(), (1 - looked).sum()])


def sequences(longest: int = LONGEST) -> list[tuple[int, ...]]:
    return [one for length in range(longest + 1) for one in itertools.product(range(VOCABULARY - 1), repeat=length)]


def best(chain: Chain, source: int, score: Callable[[tuple[int, ...]], float], count: int) -> list[tuple[int, ...]]:
    return sorted(sequences(), key=lambda one: -score(one))[:count]


def search(chain: Chain, beam: Beam, constraints: Constraints, **options: Any) -> list[list[Hypothesis]]:
    return beam_search(
        chain.next_step, chain.select, chain.start(), beam, constraints, sources=chain.sources, **options
    )


@given(seed=st.integers(0, 1000), alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]), n_best=st.integers(1, 6))
@settings(max_examples=40)
def test_a_beam_that_holds_everything_finds_the_best_of_all_sequences(seed: int, alpha: float, n_best: int) -> None:
    chain = Chain(3, seed)
    found = search(chain, Beam(64, n_best, alpha), Constraints(END, LONGEST))
    for source, own in enumerate(found):

        def score(one: tuple[int, ...], source: int = source) -> float:
            return chain.log_probability(source, one) / ((5 + len(one) + 1) / 6) ** alpha

        assert [one.tokens for one in own] == best(chain, source, score, n_best)
        for one in own:
            assert one.log_probability == pytest.approx(chain.log_probability(source, one.tokens))
            assert one.score == pytest.approx(score(one.tokens))


@given(seed=st.integers(0, 1000), beta=st.sampled_from([0.2, 1.0]))
@settings(max_examples=20)
def test_the_coverage_penalty_is_that_of_the_paper(seed: int, beta: float) -> None:
    chain = Chain(2, seed)
    found = search(chain, Beam(64, 3, 0.5, beta), Constraints(END, LONGEST), coverage=covered)
    for source, own in enumerate(found):

        def score(one: tuple[int, ...], source: int = source) -> float:
            penalty = float(chain.coverage(one).clamp(max=1.0).log().sum())
            return chain.log_probability(source, one) / ((5 + len(one) + 1) / 6) ** 0.5 + beta * penalty

        assert [one.tokens for one in own] == best(chain, source, score, 3)
        assert own[0].score == pytest.approx(score(own[0].tokens))


@given(seed=st.integers(0, 1000), size=st.integers(1, 4))
@settings(max_examples=40)
def test_sources_do_not_know_of_each_other(seed: int, size: int) -> None:
    chain = Chain(3, seed)
    together = search(chain, Beam(size, size), Constraints(END, LONGEST))
    for source in range(3):
        alone = beam_search(
            chain.next_step,
            chain.select,
            chain.select(chain.start(), torch.tensor([source])),
            Beam(size, size),
            Constraints(END, LONGEST),
            sources=1,
        )
        assert [one.tokens for one in alone[0]] == [one.tokens for one in together[source]]


@given(seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    chain = Chain(4, seed)
    found = search(chain, Beam(1), Constraints(END, LONGEST))
    greedy = sample_sequences(
        chain.next_step, chain.select, chain.start(), Sampling(temperature=0), Constraints(END, LONGEST), sources=4
    )
    assert [own[0].tokens for own in found] == [one.tokens for one in greedy]
    for source, one in enumerate(greedy):
        assert one.log_probability == pytest.approx(chain.log_probability(source, one.tokens), rel=1e-5)


def test_a_source_that_is_done_leaves_the_batch() -> None:
    chain = Chain(2, 0)
    chain.table[0, :, :, END] += 50  # the first source's sequences end at once
    chain.table[1, :, :, END] -= 50
    search(chain, Beam(2), Constraints(END, LONGEST))
    assert chain.rows[0] == 2
    assert chain.rows[1] == 2  # the two rows of the second source alone


@pytest.mark.parametrize("size", [1, 3])
@given(seed=st.integers(0, 200))
@settings(max_examples=20)
def test_constraints_hold(size: int, seed: int) -> None:
    chain = Chain(2, seed)
    prefixes = [(1, 0), ()]
    constraints = Constraints(END, 6, min_length=4, forbidden=(2,), block_ngrams=2, prefixes=prefixes)
    for own, prefix in zip(search(chain, Beam(size, size), constraints), prefixes, strict=True):
        for one in own:
            assert 4 <= len(one.tokens) <= 6 or not one.tokens
            assert one.tokens[: len(prefix)] == prefix
            assert 2 not in one.tokens
            pairs = list(itertools.pairwise(one.tokens))
            assert len(pairs) == len(set(pairs))


def test_drawn_sequences_come_as_often_as_they_are_likely() -> None:
    chain = Chain(1, 5)
    many = 4000
    state = chain.select(chain.start(), torch.zeros(many, dtype=torch.int64))
    drawn = sample_sequences(
        chain.next_step, chain.select, state, Sampling(), Constraints(END, 12), sources=many,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    for sequence in sequences(1):
        share = sum(one.tokens == sequence for one in drawn) / many
        expected = torch.tensor(chain.log_probability(0, sequence)).exp().item()
        assert share == pytest.approx(expected, abs=4 * (expected / many) ** 0.5 + 1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Beam(0), "`beam_size` must be a positive integer, got 0"),
        (lambda: Beam(2, 3), r"`n_best` must be at most `beam_size` \(2\), got 3"),
        (lambda: Beam(length_penalty=-1), "`length_penalty` must be a number in"),
        (lambda: Constraints(3, forbidden=(3,)), "`forbidden` must not hold the end"),
        (lambda: Constraints(3, [1, 2]).longest(3), "`max_length` must be one number or 3, got 2"),
        (lambda: search(Chain(1, 0), Beam(coverage_penalty=1), Constraints(END)), "needs a model with attention"),
    ],
)
def test_a_search_that_cannot_be_is_one_sentence(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
