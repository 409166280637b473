from __future__ import annotations

import pytest
import torch
from torch import Tensor

from throughtime import nn
from throughtime.errors import ArgumentError
from throughtime.inspection import giving, gradient_times_input, integrated_gradients

TIME, BATCH, INPUT = 6, 3, 2


def score_of(layer: nn.Recurrent) -> torch.nn.Module:
    class Score(torch.nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return layer(values)[0][-1].sum(-1)

    return Score()


def test_integrated_gradients_sum_to_what_the_score_gains() -> None:
    layer = nn.LSTM(INPUT, 8, 2, bidirectional=True, dtype=torch.float64)
    score = score_of(layer)
    inputs, baseline = (torch.randn(TIME, BATCH, INPUT, dtype=torch.float64) for _ in range(2))
    for start in (None, baseline):
        found = integrated_gradients(score, inputs, start)
        assert found.shape == (TIME, BATCH)
        gained = score(inputs) - score(torch.zeros_like(inputs) if start is None else start)
        torch.testing.assert_close(found.sum(0), gained, rtol=0, atol=1e-10)


def test_of_a_linear_score_both_methods_give_the_terms_of_its_sum() -> None:
    weights, inputs = (torch.randn(TIME, BATCH, INPUT, dtype=torch.float64) for _ in range(2))

    def score(values: Tensor) -> Tensor:
        return (weights * values).sum((0, 2))

    for method in (gradient_times_input, integrated_gradients):
        torch.testing.assert_close(method(score, inputs), (weights * inputs).sum(-1))


def test_a_gradient_times_input_is_autograds() -> None:
    score = score_of(nn.GRU(INPUT, 4, dtype=torch.float64))
    inputs = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    leaf = inputs.clone().requires_grad_()
    score(leaf).sum().backward()
    assert leaf.grad is not None
    with torch.inference_mode():
        torch.testing.assert_close(gradient_times_input(score, inputs), (leaf.grad * inputs).sum(-1))


def test_a_baseline_must_fit() -> None:
    with pytest.raises(ArgumentError, match="`baseline` must have shape"):
        integrated_gradients(lambda values: values.sum((0, 2)), torch.ones(2, 1, 3), torch.ones(2, 1, 2))


def test_a_module_gives_its_own_again_afterwards() -> None:
    embedding = nn.Embedding(5, INPUT)
    ids, values = torch.tensor([1, 2]), torch.ones(2, INPUT)
    before = embedding(ids)
    with giving(embedding, values):
        assert embedding(ids) is values
    torch.testing.assert_close(embedding(ids), before)
