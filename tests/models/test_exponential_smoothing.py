from __future__ import annotations

import numpy as np
import pytest
import torch

from throughtime.models.exponential_smoothing import RATES, TRENDS, smoothing_forecasts


def test_a_shifted_series_has_a_shifted_forecast() -> None:
    for season in (1, 4):
        sums = smoothing_forecasts(13, 5, season).sum(-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))


def test_without_season_and_trend_it_is_that_of_statsforecast() -> None:
    models = pytest.importorskip("statsforecast.models")
    values = np.random.default_rng(0).normal(size=200).cumsum()
    found = smoothing_forecasts(200, 3, 1).unflatten(0, (len(RATES), len(TRENDS)))[:, 0] @ torch.from_numpy(values)
    for rate, ours in zip(RATES[:-1], found, strict=False):
        truth = models.SimpleExponentialSmoothing(alpha=rate).forecast(values, 3)["mean"]
        np.testing.assert_allclose(ours, truth, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[-1], values[-1])


def test_a_season_on_a_line_goes_on() -> None:
    steps = torch.arange(30, dtype=torch.float64)
    values = 3 + 0.7 * steps + torch.tensor([4.0, -1, -5, 2]).double().repeat(8)[:30]
    found = smoothing_forecasts(24, 6, 4) @ values[:24]
    exact = (found - values[24:]).abs().max(-1).values < 1e-9
    # With the whole trend, however many seasons from two on (2, 3, 4 and 6 fit), and whatever the level's weights.
    assert int(exact.sum()) == 4 * (len(RATES) + 1)


def test_the_value_of_a_season_before_is_among_them() -> None:
    values = torch.randn(12, dtype=torch.float64)
    found = smoothing_forecasts(12, 6, 4) @ values
    assert ((found - values[[8, 9, 10, 11, 8, 9]]).abs().max(-1).values < 1e-9).any()
