from __future__ import annotations

from typing import Any

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.models import RecurrentSequenceClassifier
from throughtime.sequence import SequenceBatch

VALUES = torch.randn(6, 3, 2)
LENGTHS = torch.tensor([6, 2, 4])


@pytest.mark.parametrize("stages", [{}, {"channels": 5, "cell": "gru"}, {"cell": None, "pooling": "mean"}])
def test_a_sequence_is_read_as_if_alone(stages: dict[str, Any]) -> None:
    network = RecurrentSequenceClassifier(2, 4, hidden_size=5, **stages).eval()
    network.mean.copy_(torch.tensor([0.5, -1.0]))
    scores = network(SequenceBatch(VALUES, LENGTHS))
    assert scores.shape == (3, 4)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(scores[row], network(SequenceBatch(VALUES[:length, row : row + 1]))[0])


def test_the_numbers_are_scaled_inside() -> None:
    network = RecurrentSequenceClassifier(2, 4, hidden_size=5).eval()
    plain = network(SequenceBatch(VALUES))
    network.mean.copy_(torch.tensor([3.0, 7.0]))
    network.scale.copy_(torch.tensor([10.0, 0.5]))
    torch.testing.assert_close(network(SequenceBatch(VALUES * network.scale + network.mean)), plain)
    pixels = torch.randint(255, (6, 3, 2), dtype=torch.uint8)
    torch.testing.assert_close(network(SequenceBatch(pixels)), network(SequenceBatch(pixels.float())))
    assert {"mean", "scale"} <= set(network.state_dict())


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`input_size` must be a positive integer, got 0"):
        RecurrentSequenceClassifier(0, 4)
