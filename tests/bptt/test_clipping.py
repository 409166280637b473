from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from throughtime.bptt import clip_each_norm, clip_global_norm
from throughtime.errors import ArgumentError


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


@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_small_gradients_are_left_alone(clip: object) -> None:
    ours = parameters([0.3, 0.4])
    assert not clip(ours, 0.5).clipped  # type: ignore[operator]
    assert ours[0].grad is not None
    assert ours[0].grad.tolist() == [0.3, 0.4]


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("clip", [clip_each_norm, clip_global_norm])
def test_what_is_not_finite_is_told_and_not_hidden(clip: object, value: float) -> None:
    ours = parameters([value, 1.0])
    result = clip(ours, 1.0)  # type: ignore[operator]
    assert not math.isfinite(result.norm)
    assert ours[0].grad is not None
    assert ours[0].grad[1] == 1.0


def test_the_limit_is_positive() -> None:
    with pytest.raises(ArgumentError, match="`max_norm` must be a number in"):
        clip_global_norm(parameters([1.0]), 0.0)
