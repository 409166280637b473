"""The forecasts that every network has to beat: the seasonal naive one, and Theta where statsforecast is installed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import NormalDist
from typing import Any

import numpy as np

from throughtime.data.series import SeriesTable, Values, filled
from throughtime.tasks.forecast_backtest import Found, Origins

MOST_THETA = 300
THETA_HISTORY = 300
THETA_SEASONS = 8


def seasonal_naive(
    table: SeriesTable, origins: Origins, horizon: int, season: int, probabilities: Sequence[float]
) -> Found:
    """The values of the season before; the last value where there is no season.

    Its intervals are a normal distribution's, with the deviation of its errors in the history, growing with the
    square root of the number of seasons ahead (Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.5).

    Args:
        table: the series.
        origins: from where.
        horizon: steps to forecast.
        season: steps of a season.
        probabilities: of the quantiles.
    """
    steps = np.arange(horizon)
    growth = np.sqrt(steps // season + 1)
    normal = NormalDist()
    points = np.zeros((len(origins), horizon))
    quantiles = np.zeros((len(origins), horizon, len(probabilities)))
    for row, (number, step) in enumerate(zip(origins.series.tolist(), origins.step.tolist(), strict=True)):
        values = table.series[number].values[: step + 1]
        history = _without_leading_gap(filled(values), values)
        lag = min(season, len(history))
        points[row] = history[len(history) - lag + steps % lag]
        errors = history[lag:] - history[:-lag] if len(history) > lag else np.zeros(1)
        deviation = float(np.sqrt(np.mean(errors**2)))
        for place, probability in enumerate(probabilities):
            quantiles[row, :, place] = points[row] + normal.inv_cdf(probability) * deviation * growth
    return Found(points, quantiles)


def theta(table: SeriesTable, origins: Origins, horizon: int, season: int, level: Sequence[float]) -> Found | None:
    """The Theta method, fitted anew at each origin on the last 300 values or eight seasons.

    There is none where statsforecast is missing or fitting would take long.

    Assimakopoulos & Nikolopoulos (2000), as statsforecast selects among its variants.

    Args:
        table: the series.
        origins: from where.
        horizon: steps to forecast.
        season: steps of a season.
        level: of the intervals, in per cent.
    """
    if find_spec("statsforecast") is None or len(origins) > MOST_THETA:
        return None
    from statsforecast.models import AutoTheta  # noqa: PLC0415 - compiles numba code

    points = np.zeros((len(origins), horizon))
    quantiles = np.zeros((len(origins), horizon, 2 * len(level)))
    for row, (number, step) in enumerate(zip(origins.series.tolist(), origins.step.tolist(), strict=True)):
        values = table.series[number].values[: step + 1]
        history = _without_leading_gap(filled(values), values)[-max(THETA_HISTORY, THETA_SEASONS * season) :]
        model: Any = AutoTheta(
            season_length=season if len(history) > 2 * season else 1,
            decomposition_type="multiplicative" if history.min() > 0 else "additive",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Its intervals are simulated from numpy's global generator.
            state = np.random.get_state()
            found = model.forecast(history, horizon, level=[int(one) if one == int(one) else one for one in level])
            np.random.set_state(state)
        points[row] = found["mean"]
        for place, one in enumerate(level):
            key = int(one) if one == int(one) else one
            quantiles[row, :, 2 * place] = found[f"lo-{key}"]
            quantiles[row, :, 2 * place + 1] = found[f"hi-{key}"]
    if not np.isfinite(points).all():
        return None
    return Found(points, quantiles)


def _without_leading_gap(history: Values, values: Values) -> Values:
    known = np.flatnonzero(~np.isnan(values))
    begin = int(known[0]) if len(known) else 0
    return history[begin:]
