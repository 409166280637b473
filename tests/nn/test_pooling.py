from __future__ import annotations

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.nn import LSTM, Pooling
from throughtime.nn.pooling import POOLINGS
from throughtime.sequence import SequenceBatch

LENGTHS = torch.tensor([5, 1, 3])


def sequence() -> SequenceBatch:
    values = torch.randn(5, 3, 4)
    # What stands in the padding must not matter.
    values[1:, 1] = torch.inf
    values[3:, 2] = 1e9
    return SequenceBatch(values, LENGTHS)


def test_last_is_the_final_state_of_a_recurrent_layer_in_both_directions() -> None:
    layer = LSTM(3, 2, bidirectional=True)
    outputs, (hidden, _) = layer(SequenceBatch(torch.randn(5, 3, 3), LENGTHS))
    assert isinstance(outputs, SequenceBatch)
    pooled = Pooling("last", 4, bidirectional=True)(outputs)
    torch.testing.assert_close(pooled, torch.cat([hidden[0], hidden[1]], dim=-1))


@pytest.mark.parametrize("kind", ["last", "max"])
def test_pooling_is_that_of_each_sequence_alone(kind: str) -> None:
    batch = sequence()
    pooled = Pooling(kind, 4)(batch)
    for row, length in enumerate(LENGTHS.tolist()):
        own = batch.values[:length, row]
        expected = own[-1] if kind == "last" else own.max(0).values
        torch.testing.assert_close(pooled[row], expected)


@pytest.mark.parametrize("kind", POOLINGS)
def test_a_row_does_not_depend_on_its_neighbours(kind: str) -> None:
    pooling = Pooling(kind, 4)
    values = torch.randn(5, 3, 4)
    together = pooling(SequenceBatch(values, LENGTHS))
    for row, length in enumerate(LENGTHS.tolist()):
        alone = pooling(SequenceBatch(values[:length, row : row + 1]))
        torch.testing.assert_close(together[row], alone[0])


def test_attention_is_a_weighted_mean() -> None:
    pooling = Pooling("attention", 4, attention_size=7)
    batch = SequenceBatch(torch.randn(5, 3, 4), LENGTHS)
    weights = pooling.weights(batch)
    torch.testing.assert_close(weights.sum(0), torch.ones(3))
    assert weights[3:, 2].tolist() == [0, 0]
    torch.testing.assert_close(pooling(batch), torch.einsum("tb,tbf->bf", weights, batch.values))
    with torch.no_grad():
        pooling.score.weight.zero_()
    torch.testing.assert_close(pooling(batch), Pooling("mean", 4)(batch))


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`kind` must be one of 'last', 'max', 'mean', 'attention', got 'min'"):
        Pooling("min", 4)
    with pytest.raises(ArgumentError, match="`features` of two directions must be an even number, got 5"):
        Pooling("last", 5, bidirectional=True)
    with pytest.raises(ArgumentError, match="`kind` must be 'attention' to have weights, got 'max'"):
        Pooling("max", 4).weights(SequenceBatch(torch.randn(2, 1, 4)))
