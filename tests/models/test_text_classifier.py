from __future__ import annotations

from typing import Any

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.models import RecurrentTextClassifier
from throughtime.sequence import SequenceBatch

TOKENS = torch.randint(11, (6, 3))
LENGTHS = torch.tensor([6, 2, 4])


@pytest.mark.parametrize(
    "stages",
    [
        {},
        {"channels": 5, "widths": (2, 3)},
        {"channels": 5, "cell": None},
        {"cell": None, "pooling": "mean"},
        {"embedding": "one-hot", "pooling": "last"},
        {"cell": "gru", "num_layers": 2, "bidirectional": False, "pooling": "last"},
        {"cell": "rnn_tanh", "pooling": "attention", "fully_connected": 7},
    ],
)
def test_every_stage_can_be_left_out_and_a_text_is_read_as_if_alone(stages: dict[str, Any]) -> None:
    network = RecurrentTextClassifier(11, 4, embedding_size=6, hidden_size=5, **stages).eval()
    scores = network(SequenceBatch(TOKENS, LENGTHS))
    assert scores.shape == (3, 4)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = network(SequenceBatch(TOKENS[:length, row : row + 1]))
        torch.testing.assert_close(scores[row], alone[0])


def test_without_convolution_and_recurrence_it_is_a_bag_of_words() -> None:
    network = RecurrentTextClassifier(11, 4, embedding_size=6, cell=None, pooling="mean").eval()
    expected = network.output(network.embedding.weight[TOKENS[:, 0]].mean(0))  # pyright: ignore[reportIndexIssue]
    torch.testing.assert_close(network(SequenceBatch(TOKENS))[0], expected)


def test_all_weights_get_a_gradient_and_muon_gets_the_matrices_between() -> None:
    network = RecurrentTextClassifier(11, 4, channels=5, pooling="attention", fully_connected=7, num_layers=2)
    network(SequenceBatch(TOKENS, LENGTHS)).logsumexp(-1).sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
    taken = {id(weight) for weight in network.hidden_matrices()}
    names = {name.split(".")[0] for name, weight in network.named_parameters() if id(weight) in taken}
    assert names == {"recurrent", "pooling", "hidden"}


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`embedding` must be one of 'learned', 'one-hot', got 'onehot'"):
        RecurrentTextClassifier(11, 4, embedding="onehot")
    with pytest.raises(ArgumentError, match="one-hot vectors would have 20,000 features, at most 10,000"):
        RecurrentTextClassifier(20_000, 4, embedding="one-hot")
    with pytest.raises(ArgumentError, match="`num_classes` must be a positive integer, got 0"):
        RecurrentTextClassifier(11, 0)
