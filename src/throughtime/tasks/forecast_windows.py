"""The windows of a backtest, and models that are trained on what is known before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from throughtime.data.series import SeriesTable
from throughtime.errors import check_positive_integer
from throughtime.tasks.forecast_backtest import Origins
from throughtime.tasks.forecast_sizing import default_horizon
from throughtime.tasks.forecasting_settings import Settings

Model = TypeVar("Model")


def trained_backtests(
    train: Callable[[SeriesTable, Settings], Model],
    table: SeriesTable,
    settings: Settings,
    n_windows: int,
    step_size: int | None,
    *,
    refit: bool,
) -> list[tuple[Model, Origins]]:
    """Train on what is known before each window, or before the first of them alone.

    Args:
        train: makes a model.
        table: the series.
        settings: of the model.
        n_windows: how many forecasts of each series.
        step_size: steps between two of them; the horizon by default.
        refit: whether to train anew before each window.

    Returns:
        The models and the origins from which each is to forecast.

    Raises:
        ArgumentError: where a number can't be used.
        DataError: where the series are too short.
    """
    check_positive_integer("n_windows", n_windows)
    if step_size is not None:
        check_positive_integer("step_size", step_size)
    horizon = settings.horizon or default_horizon(table.frequency)
    stride = step_size or horizon
    steps = horizon + (n_windows - 1) * stride
    settings = settings.replaced(horizon=horizon)
    runs = [(steps, n_windows)] if not refit else [(steps - place * stride, 1) for place in range(n_windows)]
    found: list[tuple[Model, Origins]] = []
    for left, count in runs:
        model = train(table.without_last(left), settings)
        origins = Origins.rolling(table, horizon, [left] * len(table), stride)
        own = [np.flatnonzero(origins.series == number)[:count] for number in range(len(table))]
        keep = np.concatenate(own).astype(np.int64)
        found.append((model, Origins(origins.series[keep], origins.step[keep])))
    return found


def new_steps(table: SeriesTable, trained: SeriesTable, settings: Settings) -> list[int]:
    """How many steps at the end of each series a model has not learned from.

    Args:
        table: the series.
        trained: those that the model was trained on, with the steps that were kept to see when to stop.
        settings: of the model.

    Returns:
        Those after the series' end in training; where there are too few of them, those that were kept; and a tenth of a
        series that is new.
    """
    horizon, kept = settings.complete("horizon"), settings.complete("validation")
    ends = {one.unique_id: one.end for one in trained.series}
    steps: list[int] = []
    for one in table.series:
        if one.unique_id not in ends:
            steps.append(min(len(one) - 1, max(horizon, len(one) // 10)))
            continue
        since = one.end - ends[one.unique_id]
        steps.append(since if since >= horizon else max(kept, horizon))
    return steps
