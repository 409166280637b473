from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import AddingProblem, CopyTask, LongTermSequences
from throughtime.errors import ArgumentError


@given(length=st.integers(2, 60), count=st.integers(1, 20), seed=st.integers(0, 9))
@settings(max_examples=30)
def test_the_sum_is_that_of_one_number_in_each_half(length: int, count: int, seed: int) -> None:
    batch = AddingProblem(length, batch_size=count, seed=seed).batch(3, 1)
    assert batch.inputs.shape == (length, count, 2)
    for row in range(count):
        marked = [step for step in range(length) if batch.inputs[step, row, 1]]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        total = float(batch.inputs[marked[0], row, 0]) + float(batch.inputs[marked[1], row, 0])
        assert float(batch.targets[row]) == pytest.approx(total, abs=1e-6)


@given(length=st.integers(2, 40), count=st.integers(1, 10))
@settings(max_examples=20)
def test_what_is_asked_for_is_what_came_first(length: int, count: int) -> None:
    batch = CopyTask(length, batch_size=count).batch(0, 0)
    tokens = batch.inputs.argmax(-1)
    assert batch.inputs.sum(-1).eq(1).all()
    assert batch.targets.shape == tokens.shape == (length + 20, count)
    assert torch.equal(batch.targets[-10:], tokens[:10])
    assert tokens[:10].min() >= 1
    assert tokens[:10].max() <= 8
    assert not batch.targets[:-10].any()
    # Ten blanks of the answer come after the sign to begin.
    assert (tokens == 9).nonzero()[:, 0].tolist() == [length + 9] * count
    assert not tokens[10 : length + 9].any()
    assert not tokens[length + 10 :].any()


def test_a_guess_has_the_loss_that_is_stated() -> None:
    adding = AddingProblem(20)
    many = adding.held_out(200_000)
    ones = torch.ones(20, 200_000, 1)
    # The standard error of the mean of squares is 0.0005 here.
    assert float(adding.loss(ones, many.targets)) == pytest.approx(adding.guess, abs=0.002)
    assert adding.right(ones, many.targets) == pytest.approx(2 * 0.04 - 0.04**2, abs=0.002)
    copy = CopyTask(30)
    batch = copy.held_out(50)
    scores = torch.full((50, 50, 9), -100.0)
    scores[:-10, :, 0] = 0
    scores[-10:, :, 1:] = 0
    assert float(copy.loss(scores, batch.targets)) == pytest.approx(copy.guess, rel=1e-5)
    assert float(copy.last_loss(scores, batch.targets)) == pytest.approx(math.log(8), rel=1e-5)


@pytest.mark.parametrize("kind", [AddingProblem, CopyTask])
def test_a_batch_can_be_drawn_again_and_no_other_is_like_it(kind: type[LongTermSequences]) -> None:
    def first(seed: int, rank: int, place: tuple[int, int]) -> torch.Tensor:
        return kind(12, seed=seed, rank=rank, batch_size=4).batch(*place).inputs

    assert torch.equal(first(1, 0, (2, 3)), first(1, 0, (2, 3)))
    for other in [(2, 0, (2, 3)), (1, 1, (2, 3)), (1, 0, (2, 4)), (1, 0, (3, 3))]:
        assert not torch.equal(first(1, 0, (2, 3)), first(*other))
    sequences = kind(12)
    assert torch.equal(sequences.held_out(5).inputs, kind(12, seed=8).held_out(5).inputs)
    assert not torch.equal(sequences.held_out(5).inputs, sequences.held_out(5, 1).inputs)


def test_all_that_is_right_is_counted() -> None:
    copy = CopyTask(5)
    batch = copy.held_out(6)
    scores = torch.nn.functional.one_hot(batch.targets, 9).float()
    assert copy.right(scores, batch.targets) == 1
    scores[-1] = scores[-1].roll(1, -1)
    assert copy.right(scores, batch.targets) == pytest.approx(0.9)


def test_a_length_of_one_has_no_halves() -> None:
    with pytest.raises(ArgumentError, match="`length` must be a number in"):
        AddingProblem(1)
