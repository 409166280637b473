"""Models of ours under torch.export and torch.compile."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from throughtime import SequenceBatch
from throughtime.models import RecurrentLanguageModel, RecurrentTextClassifier

TOKENS = 9


def language_model(**options: Any) -> RecurrentLanguageModel:
    return RecurrentLanguageModel(TOKENS, embedding_size=5, hidden_size=6, num_layers=2, **options).eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole_full", "gru_layer_norm"])
def test_a_language_model_is_exported_with_time_and_batch_of_any_size(cell: str) -> None:
    network = language_model(cell=cell)
    axes = {0: Dim("time", min=2, max=64), 1: Dim("batch", min=2, max=64)}
    program = torch.export.export(network, (torch.randint(TOKENS, (7, 3)),), dynamic_shapes=(axes,))
    exported = program.module()
    for time, batch in ((7, 3), (20, 2)):
        tokens = torch.randint(TOKENS, (time, batch))
        with torch.no_grad():
            torch.testing.assert_close(exported(tokens)[0], network(tokens)[0])


def test_a_classifier_is_exported_with_its_lengths() -> None:
    network = RecurrentTextClassifier(TOKENS, 3, embedding_size=5, hidden_size=4, pooling="max").eval()

    class Padded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
            return self.network(SequenceBatch(tokens, lengths))

    lengths = torch.tensor([5, 7, 2])
    tokens = torch.randint(TOKENS, (7, 3))
    exported = torch.export.export(Padded(), (tokens, lengths)).module()
    other = torch.tensor([7, 1, 4])
    with torch.no_grad():
        torch.testing.assert_close(exported(tokens, other), network(SequenceBatch(tokens, other)))


@pytest.mark.filterwarnings("ignore")  # torch's own, of what it deprecates in itself
def test_a_compiled_language_model_learns_as_the_plain_one() -> None:
    plain = language_model(cell="lstm")
    compiled: Any = torch.compile(plain, backend="aot_eager")
    tokens = torch.randint(TOKENS, (8, 3))
    gradients: list[list[Tensor]] = []
    for network in (plain, compiled):
        plain.zero_grad(set_to_none=True)
        scores, _ = network(tokens[:-1])
        torch.nn.functional.cross_entropy(scores.flatten(0, 1), tokens[1:].flatten()).backward()
        gradients.append([weight.grad.clone() for weight in plain.parameters() if weight.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) == len(list(plain.parameters()))
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other)
