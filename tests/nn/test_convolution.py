from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.errors import ArgumentError
from throughtime.nn import Convolution
from throughtime.sequence import SequenceBatch


@given(width=st.integers(1, 5), time=st.integers(1, 9))
@settings(max_examples=20)
def test_each_step_sees_its_window_and_zeros_beyond_the_ends(width: int, time: int) -> None:
    layer = Convolution(3, 4, width).double()
    values = torch.randn(time, 2, 3, dtype=torch.float64)
    output = layer(values)
    weight, bias = layer.state_dict().values()
    for step in range(time):
        expected = bias.expand(2, 4).clone()
        for offset in range(width):
            seen = step - (width - 1) // 2 + offset
            if 0 <= seen < time:
                expected = expected + values[seen] @ weight[:, :, offset].T
        torch.testing.assert_close(output[step], expected)


def test_several_widths_stand_side_by_side() -> None:
    layer = Convolution(3, 4, [2, 5])
    values = torch.randn(6, 2, 3)
    assert layer.output_size == 8
    alone = Convolution(3, 4, 5)
    alone.filters[0].load_state_dict(layer.filters[1].state_dict())
    torch.testing.assert_close(layer(values)[..., 4:], alone(values))


def test_a_padded_sequence_is_convolved_as_if_alone() -> None:
    layer = Convolution(3, 4, [3, 4])
    values = torch.randn(7, 3, 3)
    lengths = torch.tensor([7, 2, 5])
    output = layer(SequenceBatch(values, lengths))
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(output.values[:length, row], layer(values[:length, row : row + 1])[:, 0])


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`widths` must be a positive integer, got 0"):
        Convolution(3, 4, [3, 0])
    with pytest.raises(ArgumentError, match="`widths` must be a number or several, got none"):
        Convolution(3, 4, [])
    with pytest.raises(ArgumentError, match=r"`input` must have shape \(time, batch, 3\), got \(5, 2, 4\)"):
        Convolution(3, 4)(torch.randn(5, 2, 4))
