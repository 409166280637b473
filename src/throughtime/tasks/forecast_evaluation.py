"""How well a model forecasts, beside the forecasts that it has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from throughtime.data.series import ID, TARGET, TIME, SeriesTable
from throughtime.errors import check_installed
from throughtime.tasks.forecast_backtest import CUTOFF, Found, Origins, forecast_frame, interval_probabilities


@dataclass(frozen=True)
class ForecastRow:
    """How well a model forecasts; errors are the mean over series.

    Attributes:
        model: its name.
        about: what it is: its size, its window, its season.
        mae: mean absolute error, in the values' units.
        rmse: root of the mean squared error.
        mape: mean absolute error as a share of the value; NaN where a value is zero.
        smape: the symmetric one, from 0 to 2, as in the M4 competition.
        mase: the mean absolute error, over that of the seasonal naive forecast in the training part.
        scaled_mse: the mean squared error, over the variance of the training part.
        quantile_loss: mean over the intervals' ends and the median; twice the pinball loss. NaN without intervals.
        coverage: share of the values in each interval, by its level in per cent.
    """

    model: str
    about: str
    mae: float
    rmse: float
    mape: float
    smape: float
    mase: float
    scaled_mse: float
    quantile_loss: float
    coverage: dict[str, float]


@dataclass(frozen=True)
class ForecastEvaluation:
    """A backtest.

    Attributes:
        rows: of the model first, then of what it is compared with.
        horizon: steps of each forecast.
        origins: from where forecasts were made, of all series together.
        series: how many.
        season: on which MASE and the seasonal naive forecast count.
        remarks: what the reader should know.
        frame: the forecasts: unique_id, ds, cutoff, y, and columns for each model.
    """

    rows: tuple[ForecastRow, ...]
    horizon: int
    origins: int
    series: int
    season: int
    remarks: tuple[str, ...]
    frame: pl.DataFrame

    @property
    def verdict(self) -> str:
        """Whether the model beats the seasonal naive forecast, in words."""
        model, naive = self.rows[0], self.rows[1]
        gain = 1 - model.mase / naive.mase if naive.mase else 0.0
        if gain <= 0:
            return (
                f"{model.model} loses to {naive.model}: its MASE is {-gain:.1%} higher. Use {naive.model} here, or "
                "give more data, covariates, or a longer window"
            )
        better = [row.model for row in self.rows[2:] if row.mase < model.mase]
        than = f"; {' and '.join(better)} {'is' if len(better) == 1 else 'are'} better still" if better else ""
        return f"{model.model} beats {naive.model}: its MASE is {gain:.1%} lower{than}"


def check_forecast_metrics() -> None:
    """Raise MissingExtraError unless forecasts can be judged here."""
    check_installed("judging forecasts", "utilsforecast", "series")


def evaluate_forecasts(
    table: SeriesTable,
    origins: Origins,
    found: Mapping[str, Found],
    *,
    titles: Mapping[str, str],
    train: SeriesTable,
    season: int,
    level: Sequence[float],
    remarks: Sequence[str] = (),
) -> ForecastEvaluation:
    """Compare forecasts with what came.

    Args:
        table: the series that were forecast.
        origins: from where.
        found: the forecasts of each model, by its column's name, the judged one first.
        titles: what each model is, by its column's name.
        train: what was known before, to scale errors by.
        season: steps of a season.
        level: of the intervals.
        remarks: what the reader should know.

    Raises:
        MissingExtraError: where utilsforecast is not installed.
    """
    check_forecast_metrics()
    frame: pl.DataFrame | None = None
    for name, one in found.items():
        own = forecast_frame(table, origins, one, name=name, level=level, with_cutoff=True)
        frame = own if frame is None else frame.with_columns(own.select(pl.selectors.starts_with(name)))
    if frame is None:
        raise ValueError("there are no forecasts")
    known = frame.filter(pl.col(TARGET).is_not_nan())
    history = _history(train, set(known[ID].unique()))
    rows = tuple(
        _row(name, titles.get(name, ""), known, history, season, level, one.quantiles.shape[-1] > 0)
        for name, one in found.items()
    )
    horizon = next(iter(found.values())).point.shape[1]
    return ForecastEvaluation(rows, horizon, len(origins), known[ID].n_unique(), season, tuple(remarks), frame)


def _history(train: SeriesTable, names: set[str]) -> pl.DataFrame:
    frame = train.frame().select(ID, TIME, TARGET).filter(pl.col(ID).is_in(list(names)))
    return frame.with_columns(pl.col(TARGET).forward_fill().over(ID)).filter(pl.col(TARGET).is_not_nan())


def _row(
    name: str,
    title: str,
    known: pl.DataFrame,
    history: pl.DataFrame,
    season: int,
    level: Sequence[float],
    has_intervals: bool,
) -> ForecastRow:
    from utilsforecast import losses  # noqa: PLC0415 - an extra

    frame = known.drop(CUTOFF)

    def mean(metric: Any, models: Any = (name,), column: str = name) -> float:
        made: pl.DataFrame = metric(frame, models if isinstance(models, dict) else list(models))
        return float(made[column].cast(pl.Float64).mean() or 0.0)  # pyright: ignore[reportArgumentType]

    squared: pl.DataFrame = losses.mse(frame, [name])
    variance = history.group_by(ID).agg(pl.col(TARGET).var().alias("variance"))
    scaled = squared.join(variance, on=ID).select((pl.col(name) / pl.col("variance")).mean()).item()
    scaled_errors: pl.DataFrame = losses.mase(frame, [name], season, history)
    ratios = scaled_errors[name].cast(pl.Float64)
    ratios = ratios.filter(ratios.is_finite())
    coverage, quantile_loss = {}, float("nan")
    if has_intervals and level:
        probabilities = np.array(interval_probabilities(level))
        columns = [f"{name}-{side}-{one:g}" for one in level for side in ("lo", "hi")]
        order = np.argsort([*probabilities, 0.5])
        every = [[*columns, name][place] for place in order]
        wanted = np.array([*probabilities, 0.5])[order]
        quantile_loss = 2 * mean(partial(losses.mqloss, quantiles=wanted), {name: every})
        coverage = {f"{one:g}": mean(partial(losses.coverage, level=_whole(one))) for one in level}
    return ForecastRow(
        name,
        title,
        mean(losses.mae),
        mean(losses.rmse),
        mean(losses.mape) if bool((frame[TARGET] != 0).all()) else float("nan"),
        2 * mean(losses.smape),
        float(ratios.mean() or 0.0),  # pyright: ignore[reportArgumentType]
        float(scaled),
        quantile_loss,
        coverage,
    )


def _whole(level: float) -> Any:
    """A whole number where it is one: columns are called LSTM-lo-90."""
    return int(level) if level == int(level) else level


def summary(evaluation: ForecastEvaluation) -> dict[str, Any]:
    """As plain values, without the forecasts themselves."""
    plain = {key: value for key, value in vars(evaluation).items() if key not in {"frame", "rows"}}
    return {**plain, "verdict": evaluation.verdict, "rows": [asdict(row) for row in evaluation.rows]}
