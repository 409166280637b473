"""A backtest of networks that are trained for it: the one asked for, and beside it a feed-forward one on a window.

The window of concatenated inputs is the simple answer to a series; what the recurrent network makes of the same past
stands next to it.
"""

from __future__ import annotations

import numpy as np

from throughtime.data.series import SeriesTable
from throughtime.tasks.forecast_backtest import Found, Origins, interval_probabilities
from throughtime.tasks.forecast_baselines import seasonal_naive, theta
from throughtime.tasks.forecast_evaluation import ForecastEvaluation, evaluate_forecasts
from throughtime.tasks.forecast_windows import trained_backtests
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.forecasting_settings import Settings
from throughtime.training import Display


def compare_networks(
    table: SeriesTable,
    settings: Settings,
    n_windows: int,
    step_size: int | None,
    *,
    refit: bool,
    display: Display | None = None,
) -> tuple[Forecaster, ForecastEvaluation]:
    """Train and forecast; then the same with a feed-forward network.

    Args:
        table: the series.
        settings: of the network.
        n_windows: how many forecasts of each series.
        step_size: steps between two of them; the horizon by default.
        refit: whether to train anew before each window.
        display: shows progress.

    Returns:
        The first of the models, and the comparison.
    """

    def train(part: SeriesTable, own: Settings) -> Forecaster:
        return Forecaster.train(part, own, display=display)

    kinds = [settings] if settings.network == "feed-forward" else [settings, settings.replaced(network="feed-forward")]
    found: dict[str, Found] = {}
    titles: dict[str, str] = {}
    first: Forecaster | None = None
    first_origins: Origins | None = None
    for kind in kinds:
        if display is not None and len(kinds) > 1:
            display.line(f"{kind.name}:")
        trained = trained_backtests(train, table, kind, n_windows, step_size, refit=refit)
        level = trained[0][0].settings.level if settings.distribution != "point" else ()
        ends = interval_probabilities(level)
        parts = [model.forecasts_from(table, origins, ends) for model, origins in trained]
        found[kind.name] = _joined(parts)
        titles[kind.name] = trained[0][0].title
        if first is None:
            first = trained[0][0]
            first_origins = Origins(
                np.concatenate([origins.series for _, origins in trained]),
                np.concatenate([origins.step for _, origins in trained]),
            )
            found["Linear"] = _joined([model.linear().forecasts_from(table, own, ends) for model, own in trained])
            titles["Linear"] = first.linear().title
    if first is None or first_origins is None:
        raise ValueError("there is nothing to compare")
    season, horizon = first.settings.complete("season"), first.settings.complete("horizon")
    level = first.settings.level if settings.distribution != "point" else ()
    naive = seasonal_naive(table, first_origins, horizon, season, interval_probabilities(level))
    titles["SeasonalNaive"] = f"the value a season of {season} before"
    others = {"SeasonalNaive": naive}
    fitted = theta(table, first_origins, horizon, season, level)
    if fitted is not None:
        others["Theta"], titles["Theta"] = fitted, "fitted anew at each place"
    name = settings.name
    ordered = {name: found.pop(name), **others, **found}
    evaluation = evaluate_forecasts(
        table, first_origins, ordered, titles=titles, train=first.data.train, season=season, level=level
    )
    return first, evaluation


def _joined(parts: list[Found]) -> Found:
    return Found(np.concatenate([one.point for one in parts]), np.concatenate([one.quantiles for one in parts]))
