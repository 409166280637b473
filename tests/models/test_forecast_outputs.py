from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from throughtime.errors import ArgumentError
from throughtime.models.forecast_outputs import (
    DistributionOutput,
    Locale,
    NegativeBinomialOutput,
    NormalOutput,
    PointOutput,
    QuantileOutput,
    StudentTOutput,
    build_output,
)

PROBABILITIES = (0.05, 0.1, 0.5, 0.9, 0.95)


def locale(*shape: int) -> Locale:
    return Locale(torch.randn(*shape).double() * 5, torch.rand(*shape).double() + 0.5)


def test_the_quantile_loss_is_twice_scikit_learns_pinball_loss() -> None:
    output, place = QuantileOutput(PROBABILITIES), locale(4)
    scores, targets = torch.randn(4, 3, 5).double(), torch.randn(4, 3).double() * 4
    values = output.values(scores, place).reshape(-1, 5)
    wanted = [mean_pinball_loss(targets.ravel(), values[:, n], alpha=p) for n, p in enumerate(PROBABILITIES)]
    assert output.loss(scores, place, targets).mean().item() == pytest.approx(2 * np.mean(wanted))
    # Of the median alone it is the absolute error.
    median, point = QuantileOutput([0.5]), PointOutput("absolute")
    torch.testing.assert_close(
        median.loss(scores[..., :1], place, targets), point.loss(scores[..., :1], place, targets)
    )


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 30))
def test_quantiles_never_cross(seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = size * torch.randn(6, 2, 5, generator=generator)
    place = Locale(torch.randn(6, generator=generator), torch.rand(6, generator=generator) + 0.1)
    wanted = [0.01, 0.05, 0.3, 0.5, 0.6, 0.95, 0.999]
    found = QuantileOutput(PROBABILITIES).quantiles(scores, place, wanted)
    assert (found.diff(dim=-1) >= -1e-4).all()


def test_quantiles_of_a_normal_are_a_normals_between_and_beyond_those_learned() -> None:
    output = QuantileOutput(PROBABILITIES)
    spread = torch.from_numpy(stats.norm.ppf(np.arange(1, 100) / 100)).float()
    scores = output.start(spread.repeat(1, 1))
    place = Locale(torch.tensor([3.0]), torch.tensor([2.0]))
    wanted = [0.02, 0.05, 0.3, 0.5, 0.93, 0.98]
    found = output.quantiles(scores[None], place, wanted)
    np.testing.assert_allclose(found[0, 0].numpy(), stats.norm.ppf(wanted, 3, 2), atol=1e-4)


@pytest.mark.parametrize("name", ["normal", "student-t", "negative-binomial"])
def test_likelihoods_and_quantiles_are_scipys(name: str) -> None:
    output, place = build_output(name), Locale(torch.full((2,), 40.0).double(), torch.full((2,), 9.0).double())
    scores = torch.randn(2, 3, output.size).double()
    targets = torch.randint(10, 80, (2, 3)).double()
    distribution: Any = cast("DistributionOutput", output).distribution(scores, place)
    truth: Any
    match output:
        case NormalOutput():
            truth = stats.norm(distribution.loc, distribution.scale)
            likelihood = truth.logpdf(targets)
        case StudentTOutput():
            truth = stats.t(distribution.df, distribution.loc, distribution.scale)
            likelihood = truth.logpdf(targets)
        case _:
            mean = output.point(scores, place).numpy()
            dispersion = 1 / distribution.total_count.numpy()
            truth = stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))
            np.testing.assert_allclose(truth.var(), mean + dispersion * mean**2)
            likelihood = truth.logpmf(targets)
    np.testing.assert_allclose(-output.loss(scores, place, targets).numpy(), likelihood, rtol=1e-6)
    found = output.quantiles(scores, place, [0.1, 0.5, 0.9])
    exact = np.stack([truth.ppf(p) for p in (0.1, 0.5, 0.9)], -1)
    # A thousand draws: the error of a quantile is a few hundredths of the deviation.
    assert np.abs(found.numpy() - exact).max() < 0.2 * float(np.max(truth.std()))
    assert torch.equal(found, output.quantiles(scores, place, [0.1, 0.5, 0.9]))


def test_a_count_is_never_below_zero_and_its_start_is_finite() -> None:
    output = NegativeBinomialOutput()
    place = Locale(torch.tensor([0.5]), torch.tensor([1.0]))
    scores = torch.tensor([[[-50.0, 0.0], [3.0, 0.0]]])
    assert (output.point(scores, place) > 0).all()
    assert torch.isfinite(output.loss(scores, place, torch.tensor([[0.0, 4.0]]))).all()


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ArgumentError, match="`distribution` must be one of"):
        build_output("gamma")
    with pytest.raises(ArgumentError, match=r"must ascend and hold 0\.5"):
        QuantileOutput([0.1, 0.9])
    with pytest.raises(ArgumentError, match="a point forecast has no intervals"):
        PointOutput().quantiles(torch.zeros(1, 2, 1), Locale(torch.zeros(1), torch.ones(1)), [0.1])
