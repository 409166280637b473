"""Exponential smoothing with a season and a trend: forecasts that have nothing to learn but three parameters.

Once these are given, what it says is linear in the values (Holt 1957, Winters 1960; Gardner 2006,
https://doi.org/10.1016/j.ijforecast.2006.03.005): a matrix from a window to the steps after it. Here the season is the
mean of the last few, in their deviations from their own means and from the trend across them; the level is the mean of
the deseasonalised values with weights that fall exponentially; the trend is taken whole, by half as in the Theta method
(Assimakopoulos & Nikolopoulos 2000), or not at all.
"""

from __future__ import annotations

import torch
from torch import Tensor

SEASONS = (1, 2, 3, 4, 6, 8)
"""How many seasons the mean one is taken of."""
RATES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""The weight of the last value in the level, which each one before has a share 1 - rate less of."""
TRENDS = (0.0, 0.5, 1.0)
"""How much of the trend goes on."""


def smoothing_forecasts(window: int, horizon: int, season: int) -> Tensor:
    """The forecasts of all parameters.

    Args:
        window: values that are read.
        horizon: steps to forecast.
        season: steps of a season; 1 for none.

    Returns:
        Matrices from the window, oldest value first, to the horizon, shape (parameters, horizon, window), float64. Each
        row sums to one: a shifted series has a shifted forecast.
    """
    counts = [count for count in SEASONS if season > 1 and count * season <= window]
    found = [
        matrix
        for deseasonalised, pattern, trend in [_without_season(window, horizon)]
        + [_with_season(window, horizon, season, count) for count in counts]
        for level in _levels(window, season)
        for matrix in _forecasts(level, deseasonalised, pattern, trend)
    ]
    return torch.stack(found)


def _without_season(window: int, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """The values as they are, no pattern, and the trend from the first third of the window to its last."""
    values = torch.eye(window, dtype=torch.float64)
    third = max(1, window // 3)
    trend = (values[-third:].mean(0) - values[:third].mean(0)) / max(window - third, 1)
    return values, values.new_zeros(horizon, window), trend


def _with_season(window: int, horizon: int, season: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The deseasonalised values, the season in the horizon, and the trend, of the last ``count`` seasons."""
    values = torch.eye(window, dtype=torch.float64)
    seasons = values[-count * season :].unflatten(0, (count, season))
    means = seasons.mean(1)
    trend = (means[-1] - means[0]) / (season * max(count - 1, 1))
    within = torch.arange(season) - (season - 1) / 2
    pattern = (seasons - means.unsqueeze(1) - within[:, None] * trend).mean(0)
    steps = torch.arange(window) - window
    return values - pattern[steps % season], pattern[torch.arange(horizon) % season], trend


def _levels(window: int, season: int) -> list[Tensor]:
    """Weights of the values in the level: exponential ones, and those of the mean of the last season."""
    age = torch.arange(window - 1, -1, -1, dtype=torch.float64)
    exponential = [(1 - rate) ** age for rate in RATES]
    last = [(age < season).double()] if 1 < season <= window else []
    return [weights / weights.sum() for weights in [*exponential, *last]]


def _forecasts(level: Tensor, deseasonalised: Tensor, pattern: Tensor, trend: Tensor) -> list[Tensor]:
    """Level, season and share after share of the trend."""
    age = torch.arange(len(level) - 1, -1, -1, dtype=torch.float64)
    # A mean of the past is as old as its values are in the mean; a trend makes up for that.
    ahead = (level @ age + 1 + torch.arange(len(pattern))).unsqueeze(1)
    return [pattern + level @ deseasonalised + share * ahead * trend for share in TRENDS]
