"""Forecasts as tables: of the steps after series, and of steps in them, as if these were not known yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.series import ID, TARGET, TIME, Covariate, SeriesTable
from throughtime.data.series_windows import SeriesStore
from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.models.forecast_network import ForecastEnsemble, Past
from throughtime.models.forecast_outputs import Locale
from throughtime.tasks.forecasting import EVALUATION_BATCH, ForecastData

CUTOFF = "cutoff"
PATHS = 200

Ahead = Mapping[str, dict[str, Covariate]]
"""The future covariates of the steps after each series, by the series' name."""


@dataclass(frozen=True)
class Origins:
    """From where forecasts are made.

    Attributes:
        series: the number of each one's series, shape (origins,), int64.
        step: the last step of it that is known, shape (origins,), int64.
    """

    series: NDArray[np.int64]
    step: NDArray[np.int64]

    @classmethod
    def ends(cls, table: SeriesTable) -> Origins:
        """The ends of all series."""
        return cls(np.arange(len(table)), np.array([len(one) - 1 for one in table.series]))

    @classmethod
    def rolling(cls, table: SeriesTable, horizon: int, steps: Sequence[int], step_size: int) -> Origins:
        """All origins, at equal distances, whose horizons lie within the last steps of the series.

        Args:
            table: the series.
            horizon: steps to forecast.
            steps: of each series, at its end, to forecast.
            step_size: between two origins.

        Raises:
            ArgumentError: where that is no positive integer.
        """
        check_positive_integer("step_size", step_size)
        series: list[int] = []
        step: list[int] = []
        for number, (one, last) in enumerate(zip(table.series, steps, strict=True)):
            first = max(len(one) - last - 1, 0)
            own = range(len(one) - 1 - horizon, first - 1, -step_size)
            series += [number] * len(own)
            step += sorted(own)
        return cls(np.array(series, dtype=np.int64), np.array(step, dtype=np.int64))

    def __len__(self) -> int:
        """How many."""
        return len(self.series)


@dataclass(frozen=True)
class Found:
    """What was forecast, in the values' own units.

    Attributes:
        point: shape (origins, horizon).
        quantiles: shape (origins, horizon, probabilities).
    """

    point: NDArray[np.float64]
    quantiles: NDArray[np.float64]


@torch.inference_mode()
def forecasts(
    network: ForecastEnsemble,
    data: ForecastData,
    table: SeriesTable,
    origins: Origins,
    horizon: int,
    probabilities: Sequence[float],
    ahead: Ahead | None = None,
) -> Found:
    """Forecast from origins.

    Args:
        network: in evaluation mode.
        data: what the network was trained on, for encodings and units.
        table: the series, which may be others.
        origins: from where.
        horizon: steps, at most those that the network was trained for where it forecasts them at once.
        probabilities: of the quantiles.
        ahead: future covariates after the series' ends.
    """
    settings = data.settings
    if settings.strategy == "direct" and horizon > settings.complete("horizon"):
        raise ArgumentError(
            f"`h` must be at most {settings.horizon}, for which this model was trained, got {horizon}; train another, "
            "or one with `strategy` recursive, which goes on for as long as you like"
        )
    scales = [data.scale(one) for one in table.series]
    lowest = torch.tensor([data.lowest(scale) for scale in scales])
    device = next(network.parameters()).device
    points: list[Tensor] = []
    quantiles: list[Tensor] = []
    batch = EVALUATION_BATCH if settings.strategy == "direct" else 16
    for rows, past in pasts(data, table, origins, max(horizon, settings.steps_ahead), batch, ahead):
        if settings.strategy == "direct":
            point, quantile = _direct(network, past.to(device), probabilities)
        else:
            point, quantile = _recursive(network, past.to(device), horizon, probabilities, settings.seed)
        floor = lowest[rows].float()[:, None]
        points.append(torch.maximum(point.cpu()[:, :horizon], floor))
        quantiles.append(torch.maximum(quantile.cpu()[:, :horizon], floor.unsqueeze(-1)))
    own = [scales[number] for number in origins.series.tolist()]

    def restored(found: list[Tensor]) -> NDArray[np.float64]:
        return np.stack([scale.restored(row) for scale, row in zip(own, torch.cat(found), strict=True)])

    return Found(restored(points), restored(quantiles))


def pasts(
    data: ForecastData,
    table: SeriesTable,
    origins: Origins,
    more: int,
    batch_size: int = EVALUATION_BATCH,
    ahead: Ahead | None = None,
) -> Iterator[tuple[Tensor, Past]]:
    """What a network reads before origins, in their order.

    Args:
        data: what the network was trained on, for encodings and units.
        table: the series, which may be others.
        origins: from where forecasts are made.
        more: steps after each origin of which the future covariates are read.
        batch_size: origins at once.
        ahead: future covariates after the series' ends.

    Yields:
        The numbers of the origins' series, shape (batch,), and what is read.
    """
    columns = [
        data.encoder.columns(one, table, data.scale(one), more, (ahead or {}).get(one.unique_id))
        for one in table.series
    ]
    store = SeriesStore(columns, season=data.settings.complete("season"))
    window, time = data.settings.complete("window"), data.settings.complete("context")
    for part in torch.arange(len(origins)).split(batch_size):
        rows = torch.from_numpy(origins.series)[part]
        begin = torch.from_numpy(origins.step)[part] - (time - 1) - (window - 1)
        found = store.windows(rows, begin, window - 1 + time + more)
        yield rows, data.encoder.split(found.values, window, time)[0]


def _direct(network: ForecastEnsemble, past: Past, probabilities: Sequence[float]) -> tuple[Tensor, Tensor]:
    found = network(past)
    scores, locale = found.scores[-1], found.locale.at(-1)
    point = network.output.point(scores, locale)
    return point, _quantiles(network, scores, locale, probabilities)


def _quantiles(network: ForecastEnsemble, scores: Tensor, locale: Locale, probabilities: Sequence[float]) -> Tensor:
    if not probabilities:
        return scores.new_zeros(*scores.shape[:-1], 0)
    return network.output.quantiles(scores, locale, probabilities)


def _recursive(
    network: ForecastEnsemble, past: Past, horizon: int, probabilities: Sequence[float], seed: int
) -> tuple[Tensor, Tensor]:
    """Feed the network what it forecast: along the best forecasts, or along paths that are drawn from its own."""
    time = len(past.target) - network.first.window + 1
    paths = PATHS if network.output.is_random and probabilities else 1
    start = Past(past.target, past.past, past.future[: time + 1], past.static)
    found = network(start)
    generator = torch.Generator().manual_seed(seed)
    batch = past.target.shape[1]
    wide = torch.arange(batch, device=past.target.device).repeat_interleave(paths)
    scores, locale = found.scores[-1][wide], found.locale.at(-1).chosen(wide)
    states: Any = [_chosen(state, wide) for state in found.state]
    recent, along = past.target[-network.first.window :, wide], past.past[-network.first.window :, wide]
    static = past.static[wide]
    drawn: list[Tensor] = []
    for step in range(horizon):
        if paths > 1:
            uniform = torch.rand(scores.shape[:-1], generator=generator).to(scores.device)
            value = network.output.draw(scores, locale, uniform.clamp(1e-4, 1 - 1e-4))[:, 0]
        else:
            value = network.output.point(scores, locale)[:, 0]
        drawn.append(value)
        if step == horizon - 1:
            break
        recent = torch.cat([recent[1:], value.unsqueeze(0)])
        along = torch.cat([along[1:], along[-1:]])
        future = past.future[time + step : time + step + 2, wide]
        found = network(Past(recent, along, future, static), states)
        scores, locale, states = found.scores[-1], found.locale.at(-1), found.state
    values = torch.stack(drawn, 1).unflatten(0, (batch, paths))
    middle = values.median(1).values if paths > 1 else values[:, 0]
    if not probabilities:
        return middle, middle.new_zeros(*middle.shape, 0)
    wanted = values.new_tensor(list(probabilities))
    return middle, torch.quantile(values, wanted, dim=1).movedim(0, -1)


def _chosen(state: Any, rows: Tensor) -> Any:
    if state is None:
        return None
    return state[:, rows] if isinstance(state, Tensor) else tuple(part[:, rows] for part in state)


def forecast_frame(
    table: SeriesTable, origins: Origins, found: Found, *, name: str, level: Sequence[float], with_cutoff: bool
) -> pl.DataFrame:
    """The long table of forecasts, with Nixtla's names: LSTM, LSTM-lo-90, LSTM-hi-90.

    Args:
        table: the series that were forecast.
        origins: from where.
        found: the forecasts, whose quantiles are those of ``interval_probabilities(level)``.
        name: of the model.
        level: of the intervals, in per cent.
        with_cutoff: whether the stamp of the origin and, where it is known, the value are told.
    """
    count, horizon = found.point.shape
    firsts = np.array([one.first for one in table.series])
    positions = (firsts[origins.series] + origins.step)[:, None] + 1 + np.arange(horizon)
    ids = [one.unique_id for one in table.series]
    columns: dict[str, Any] = {
        ID: [ids[number] for number in origins.series.tolist() for _ in range(horizon)],
        TIME: table.stamps(positions.ravel()),
    }
    if with_cutoff:
        columns[CUTOFF] = np.repeat(table.stamps(firsts[origins.series] + origins.step), horizon)
        actual = np.full((count, horizon), np.nan)
        for row, (number, step) in enumerate(zip(origins.series.tolist(), origins.step.tolist(), strict=True)):
            known = table.series[number].values[step + 1 : step + 1 + horizon]
            actual[row, : len(known)] = known
        columns[TARGET] = actual.ravel()
    columns[name] = found.point.ravel()
    for place, one in enumerate(level if found.quantiles.shape[-1] else ()):
        columns[f"{name}-lo-{one:g}"] = found.quantiles[..., 2 * place].ravel()
        columns[f"{name}-hi-{one:g}"] = found.quantiles[..., 2 * place + 1].ravel()
    frame = pl.DataFrame(columns)
    stamps = [TIME, CUTOFF] if with_cutoff else [TIME]
    return frame.with_columns(pl.col(stamps).cast(pl.Date)) if table.dates_only else frame


def interval_probabilities(level: Sequence[float]) -> list[float]:
    """The probabilities of the lower and the upper end of each interval.

    >>> interval_probabilities([80, 90])
    [0.1, 0.9, 0.05, 0.95]
    """
    return [round((100 + sign * one) / 200, 6) for one in level for sign in (-1, 1)]
