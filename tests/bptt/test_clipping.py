from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from throughtime.bptt import ClipResult, clip_each_norm, clip_global_norm
from throughtime.errors import ArgumentError

Clip = Callable[[Any, float], ClipResult]


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    made: list[nn.Parameter] = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        made.append(parameter)
    return [*made, nn.Parameter(torch.zeros(1))]  # the last has no gradient


def test_the_global_norm_scales_all_gradients_by_one_factor() -> None:
    ours = parameters([3.0, 4.0], [12.0])  # norm 13
    result = clip_global_norm(ours, 6.5)
    assert result.norm == pytest.approx(13.0)
    assert result.norms == pytest.approx((5.0, 12.0))
    assert result.clipped
    assert ours[0].grad is not None
    assert ours[0].grad.tolist() == pytest.approx([1.5, 2.0])
    assert ours[1].grad is not None
    assert ours[1].grad.tolist() == pytest.approx([6.0])


def test_each_norm_is_brought_to_the_limit_alone() -> None:
    ours = parameters([3.0, 4.0], [0.5])
    result = clip_each_norm(ours, 1.0)
    assert result.clipped
    assert ours[0].grad is not None
    assert ours[0].grad.tolist() == pytest.approx([0.6, 0.8])
    assert ours[1].grad is not None
    assert ours[1].grad.tolist() == [0.5]


@given(
    gradients=st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=5), min_size=1, max_size=4),
    max_norm=st.floats(0.01, 200),
)
@settings(max_examples=60)
def test_both_are_their_closed_forms(gradients: list[list[int]], max_norm: float) -> None:
    vectors = [np.array(gradient, dtype=float) for gradient in gradients]
    lengths = [float(np.linalg.norm(vector)) for vector in vectors]
    whole = float(np.linalg.norm(np.concatenate(vectors)))

    together, alone = (parameters(*([float(g) for g in gradient] for gradient in gradients)) for _ in range(2))
    result = clip_global_norm(together, max_norm)
    assert result.norm == pytest.approx(whole)
    assert result.clipped == (whole > max_norm)
    assert result.clipped_gradients == (len(vectors) if whole > max_norm else 0)
    for parameter, vector in zip(together, vectors, strict=False):
        assert parameter.grad is not None
        assert parameter.grad.tolist() == pytest.approx(vector * min(1, max_norm / (whole or 1)))

    result = clip_each_norm(alone, max_norm)
    assert (result.norm, result.norms) == (pytest.approx(whole), pytest.approx(lengths))
    assert result.clipped_gradients == sum(length > max_norm for length in lengths)
    for parameter, vector, length in zip(alone, vectors, lengths, strict=False):
        assert parameter.grad is not None
        assert parameter.grad.tolist() == pytest.approx(vector * min(1, max_norm / (length or 1)))


def test_the_global_norm_agrees_with_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.GRU(3, 5), nn.GRU(3, 5)
    theirs.load_state_dict(ours.state_dict())
    for layer in (ours, theirs):
        layer(torch.linspace(-1, 1, 42).view(7, 2, 3))[0].square().sum().backward()
    norm = clip_global_norm(ours.parameters(), 0.1).norm
    assert norm == pytest.approx(nn.utils.clip_grad_norm_(theirs.parameters(), 0.1).item())
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        # torch divides by the norm plus 1e-6.
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=0)


@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_a_single_tensor_is_not_taken_for_a_list_of_its_rows(clip: Clip) -> None:
    weight = nn.Parameter(torch.zeros(1, 2))
    weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip(weight, 1.0).norm == 5.0
    assert weight.grad.tolist() == [pytest.approx([0.6, 0.8])]
    assert clip([nn.Parameter(torch.zeros(2))], 1.0).norms == ()


@pytest.mark.parametrize(
    ("dtype", "gradient", "norm"),
    [
        (torch.float16, [40_000.0, 60_000.0], math.hypot(40_000, 60_000)),  # the norm is beyond the type's range
        (torch.bfloat16, [1.0, 3.0, 0.0625], math.hypot(1, 3, 0.0625)),  # and here beyond its digits
        (torch.float32, [3e30, 4e30], 5e30),  # the squares are beyond it
        (torch.float64, [3e200, 4e200], 5e200),
    ],
)
@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_a_norm_is_exact_though_the_type_cannot_hold_it(
    clip: Clip, dtype: torch.dtype, gradient: list[float], norm: float
) -> None:
    parameter = nn.Parameter(torch.zeros(len(gradient), dtype=dtype))
    parameter.grad = torch.tensor(gradient, dtype=dtype)
    assert clip([parameter], 1.0).norm == pytest.approx(norm, rel=1e-3 if dtype == torch.float16 else 1e-6)
    expected = [value / norm for value in gradient]
    assert parameter.grad.tolist() == pytest.approx(expected, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_the_rows_of_a_sparse_gradient_are_summed_first(clip: Clip) -> None:
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1, 1, 2])).sum().backward()  # rows 1 and 2 get (2, 2) and (1, 1)
    assert clip(embedding.parameters(), 1.0).norm == pytest.approx(math.sqrt(10))
    assert embedding.weight.grad is not None
    assert embedding.weight.grad.to_dense().norm().item() == pytest.approx(1.0)


@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_small_gradients_are_left_alone(clip: Clip) -> None:
    ours = parameters([0.3, 0.4])
    assert not clip(ours, 0.5).clipped
    assert ours[0].grad is not None
    assert ours[0].grad.tolist() == [0.3, 0.4]


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_what_is_not_finite_is_told_and_not_hidden(clip: Clip, value: float) -> None:
    ours = parameters([value, 1.0])
    result = clip(ours, 1.0)
    assert not math.isfinite(result.norm)
    assert not result.clipped
    assert ours[0].grad is not None
    assert ours[0].grad[1] == 1.0


def test_one_bad_gradient_does_not_keep_the_others_from_being_clipped_alone() -> None:
    ours = parameters([math.nan], [3.0, 4.0])
    result = clip_each_norm(ours, 1.0)
    assert math.isnan(result.norm)
    assert math.isnan(result.norms[0])
    assert result.clipped_gradients == 1
    assert ours[1].grad is not None
    assert ours[1].grad.tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_the_limit_is_positive(clip: Clip) -> None:
    for limit in (0.0, math.nan):
        with pytest.raises(ArgumentError, match="`max_norm` must be a number in"):
            clip(parameters([1.0]), limit)
