from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import Ridge

from throughtime.models.forecast_network import ForecastNetwork
from throughtime.models.forecast_outputs import PointOutput
from throughtime.models.linear_forecast import PENALTIES, WindowSample, fit_linear


def sample_of(values: torch.Tensor, window: int, horizon: int) -> WindowSample:
    cut = values.unfold(0, window + horizon, 1)
    time = torch.arange(len(cut)) / len(cut)
    known = torch.ones_like(cut, dtype=torch.bool)
    return WindowSample(cut, known, time, torch.full((len(cut),), horizon / len(cut)), known[:, 0])


def autoregressive(steps: int) -> torch.Tensor:
    generator, values = torch.Generator().manual_seed(1), [0.3, -0.2, 0.5]
    noise = 0.1 * torch.randn(steps, generator=generator)
    for step in range(steps):
        values.append(0.6 * values[-1] - 0.5 * values[-2] + 0.3 * values[-3] + float(noise[step]))
    return torch.tensor(values)


def test_it_is_the_ridge_regression_of_scikit_learn() -> None:
    values = autoregressive(400)
    found = fit_linear(lambda window: sample_of(values, window, 2), [6], 2, 1)
    shape = ForecastNetwork(6, 2, PointOutput(), reader="linear")
    cut = sample_of(values, 6, 2).values.double()
    inputs, locale = shape.windows(cut[:, :6].T)
    targets = (cut[:, 6:] - locale.level[0, :, None]) / locale.scale[0, :, None]
    targets = targets - inputs[0] @ found.smoothing.double().T
    weights = (locale.scale[0] / locale.scale[0].mean()).clamp(0.1, 10)
    design = torch.cat([inputs[0], torch.ones(len(cut), 1).double()], 1).numpy()
    gram = design.T @ (weights.numpy()[:, None] * design)
    solutions = [
        Ridge(alpha=penalty * np.trace(gram) / len(gram), fit_intercept=False)
        .fit(design, targets.numpy(), sample_weight=weights.numpy())
        .coef_
        for penalty in PENALTIES
    ]
    ours = torch.cat([found.weight - found.smoothing, found.bias[:, None]], 1).numpy()
    assert min(np.abs(ours - truth).max() for truth in solutions) < 1e-4


def test_it_is_as_good_as_what_made_the_series() -> None:
    values = autoregressive(3000)
    found = fit_linear(lambda window: sample_of(values[40 - window :], window, 1), [2, 8, 40], 1, 1)
    # The best forecast of this process errs by its noise, whose mean absolute value is 0.1 * sqrt(2 / pi).
    assert found.error < 1.05 * 0.1 * np.sqrt(2 / np.pi)
    assert found.window > 2


def test_of_a_season_alone_it_takes_the_season_and_nothing_else() -> None:
    values = torch.tensor([1.0, 5, 2, 7]).repeat(20)
    found = fit_linear(lambda window: sample_of(values[8 - window :], window, 6), [5, 8], 6, 4)
    assert found.error < 1e-6
    torch.testing.assert_close(values[8 - found.window : 8] @ found.weight.T, values[8:14], rtol=1e-4, atol=1e-4)


def test_a_short_series_of_noise_is_not_learned_by_heart() -> None:
    generator = torch.Generator().manual_seed(3)
    found = fit_linear(lambda window: sample_of(torch.randn(60, generator=generator), window, 6), [13], 6, 1)
    fresh = sample_of(torch.randn(2000, generator=generator), 13, 6).values
    shape = ForecastNetwork(13, 6, PointOutput(), reader="linear")
    inputs, locale = shape.windows(fresh[:, :13].T)
    forecast = locale.shifted(inputs @ found.weight.T + found.bias)[0]
    error = (forecast - fresh[:, 13:]).abs().mean()
    # No forecast of noise is better than its mean, whose error is sqrt(2 / pi); the last value's is sqrt(2) times that.
    assert error < 1.15 * np.sqrt(2 / np.pi)
