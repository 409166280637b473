from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from throughtime.data import ExampleBatch
from throughtime.sequence import SequenceBatch
from throughtime.training import ClassificationObjective, classification_loss


class Scores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)

    def forward(self, tokens: SequenceBatch) -> torch.Tensor:
        return self.table(tokens.values[0])


def test_the_loss_of_even_scores_is_the_logarithm_of_the_classes() -> None:
    targets = torch.tensor([0, 2, 1, 1])
    assert classification_loss(torch.zeros(4, 3), targets).item() == pytest.approx(math.log(3))
    several = torch.tensor([[True, False, True]] * 4)
    assert classification_loss(torch.zeros(4, 3), several).item() == pytest.approx(3 * math.log(2))


def test_a_class_with_weight_two_counts_as_if_its_examples_came_twice() -> None:
    scores, targets = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    twice = torch.tensor([0, 1, 2, 2, 3, 3, 4])  # rows of class 1 doubled
    weighted = classification_loss(scores, targets, torch.tensor([1.0, 2.0, 1.0]))
    torch.testing.assert_close(weighted, classification_loss(scores[twice], targets[twice]))


def test_the_loss_in_bfloat16_is_computed_in_float32() -> None:
    scores = torch.randn(4, 3).bfloat16()
    assert classification_loss(scores, torch.tensor([0, 1, 2, 0])).dtype == torch.float32


def test_the_objective_counts_texts_and_carries_nothing() -> None:
    objective = ClassificationObjective(Scores())
    found = objective(ExampleBatch(SequenceBatch(torch.tensor([[1, 4]])), torch.tensor([0, 2])), None)
    assert found.count == 2
    assert found.state is None
    found.loss.backward()
