from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import ExampleBatches, evaluation_batches, pad_sequences
from throughtime.errors import ArgumentError


def make(count: int, **options: int) -> ExampleBatches:
    lengths = np.random.default_rng(1).integers(0, 30, count)
    sequences = [np.full(length, number, dtype=np.int64) for number, length in enumerate(lengths)]
    return ExampleBatches(sequences, torch.arange(count), **options)


@given(count=st.integers(1, 300), batch_size=st.integers(1, 40))
@settings(max_examples=30)
def test_an_epoch_has_every_example_once(count: int, batch_size: int) -> None:
    batches = make(count, batch_size=batch_size)
    seen = [target for index in range(len(batches)) for target in batches.batch(0, index).targets.tolist()]
    assert sorted(seen) == list(range(count))


def test_a_batch_can_be_made_again_and_each_epoch_has_its_order() -> None:
    batches, again = make(200, batch_size=16), make(200, batch_size=16)
    first = [batches.batch(epoch, index).targets.tolist() for epoch in (0, 1) for index in range(len(batches))]
    assert again.batch(1, 3).targets.tolist() == first[len(batches) + 3]
    assert again.batch(0, 5).targets.tolist() == first[5]
    assert first[: len(batches)] != first[len(batches) :]


def test_texts_of_like_lengths_stand_together() -> None:
    batches = make(2_000, batch_size=20)
    made = [batches.batch(0, index).tokens for index in range(len(batches))]
    spread = [int(tokens.lengths.max() - tokens.lengths.min()) for tokens in made if tokens.lengths is not None]
    assert np.mean(spread) < 3


def test_processes_share_each_batch_out() -> None:
    together = make(103, batch_size=10)
    parts = [make(103, batch_size=5, rank=rank, world_size=2) for rank in (0, 1)]
    assert len(parts[0]) == len(parts[1]) == len(together)
    for index in range(len(together)):
        shared = [target for part in parts for target in part.batch(2, index).targets.tolist()]
        assert sorted(shared) == sorted(together.batch(2, index).targets.tolist())
    # A last batch of which some process would get nothing is left out.
    assert len(make(101, batch_size=5, rank=1, world_size=2)) == 10


def test_padding_comes_after_the_end() -> None:
    batch = pad_sequences([np.array([3, 4]), np.array([], dtype=np.int64), np.array([5, 6, 7])])
    assert batch.values.T.tolist() == [[3, 4, 0], [0, 0, 0], [5, 6, 7]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [2, 1, 3]


def test_evaluation_reads_every_text_once() -> None:
    sequences = [np.full(length, number) for number, length in enumerate([3, 1, 2, 9, 4])]
    rows = [row for chosen, _ in evaluation_batches(sequences, 2) for row in chosen.tolist()]
    assert sorted(rows) == [0, 1, 2, 3, 4]
    for chosen, tokens in evaluation_batches(sequences, 2):
        assert tokens.values[0].tolist() == chosen.tolist()


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`batch_size` must be a positive integer"):
        make(10, batch_size=0)
    with pytest.raises(ArgumentError, match="there are 2 examples, too few for 3 processes"):
        make(2, batch_size=1, world_size=3)
    with pytest.raises(IndexError, match="`index` must be from 0 to 4, got 5"):
        make(10, batch_size=2).batch(0, 5)
