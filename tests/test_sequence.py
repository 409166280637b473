from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from throughtime.errors import ArgumentError
from throughtime.sequence import SequenceBatch


@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_packing_and_unpacking_keep_the_callers_order(lengths: list[int]) -> None:
    rows = [torch.randn(length, 3) for length in lengths]
    packed = pack_sequence(rows, enforce_sorted=False)
    sequence = SequenceBatch.from_packed(packed)
    assert sequence.lengths is not None
    assert sequence.lengths.tolist() == lengths
    for index, row in enumerate(rows):
        assert torch.equal(sequence.values[: len(row), index], row)
        assert not sequence.values[len(row) :, index].any()
    for again in (sequence.to_packed(), sequence.to_packed(like=packed)):
        assert torch.equal(again.batch_sizes, packed.batch_sizes)
        back = SequenceBatch.from_packed(again)
        assert torch.equal(back.values, sequence.values)
    like = sequence.to_packed(like=packed)
    assert torch.equal(like.data, packed.data)
    assert like.sorted_indices is packed.sorted_indices


def test_packing_without_lengths_takes_every_value() -> None:
    values = torch.randn(4, 3, 2)
    packed = SequenceBatch(values).to_packed()
    assert torch.equal(packed.data.view(4, 3, 2), values)


def test_packing_like_a_sorted_batch_keeps_its_rows() -> None:
    packed = pack_sequence([torch.randn(length, 2) for length in (4, 3, 3, 1)])
    again = SequenceBatch.from_packed(packed).to_packed(like=packed)
    assert torch.equal(again.data, packed.data)
    assert again.sorted_indices is None


def test_the_mask_is_true_where_there_is_a_value() -> None:
    mask = SequenceBatch(torch.zeros(3, 2, 5), torch.tensor([1, 3])).mask()
    assert mask is not None
    assert mask.tolist() == [[True, True], [False, True], [False, True]]
    assert SequenceBatch(torch.zeros(3, 2, 5)).mask() is None


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([1, 2, 3]), r"`lengths` must have shape \(2,\), got \(3,\)"),
        (torch.tensor([1.0, 2.0]), "`lengths` must be an int64 tensor on the CPU"),
        (torch.tensor([0, 2]), r"`lengths` must lie between 1 and 3, got \[0, 2\]"),
        (torch.tensor([1, 4]), r"`lengths` must lie between 1 and 3, got \[1, 4\]"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths: torch.Tensor, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        SequenceBatch(torch.zeros(3, 2, 5), lengths)
