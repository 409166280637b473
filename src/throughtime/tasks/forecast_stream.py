"""Forecasting a stream: a new value in, the next forecast out, the networks' states carried from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_windows import SeriesStore
from throughtime.errors import ArgumentError
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.tasks.forecast_backtest import Origins, forecasts, interval_probabilities
from throughtime.tasks.forecasting import ForecastData


@dataclass(frozen=True)
class StreamForecast:
    """What is forecast after a value.

    Attributes:
        stamps: of the steps ahead, shape (horizon,).
        point: shape (horizon,).
        intervals: by level in per cent: lower and upper ends, shape (horizon,) each.
    """

    stamps: NDArray[Any]
    point: NDArray[np.float64]
    intervals: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]


class ForecastStream:
    """One series that goes on.

    Args:
        network: in evaluation mode.
        data: what it was trained on.
        table: the series so far, one.
        level: of the intervals, in per cent.

    Raises:
        ArgumentError: for a model with future covariates but the calendar.
    """

    def __init__(
        self, network: ForecastEnsemble, data: ForecastData, table: SeriesTable, level: Sequence[float]
    ) -> None:
        if data.encoder.future:
            raise ArgumentError(f"a stream can't know {', '.join(data.encoder.future)} ahead; train without them")
        if len(table) != 1:
            raise ArgumentError(f"a stream is of one series, got {len(table)}; choose one")
        self.network, self.data, self.table, self.level = network, data, table, tuple(level)
        self.scale = data.scale(table.series[0])
        self._series = table.series[0]
        self._states: Any = None
        self._is_recursive = data.settings.strategy == "recursive"
        context = data.settings.complete("context")
        self._kept = data.settings.complete("window") + (context if self._is_recursive else 1)
        self._latest = self._paths() if self._is_recursive else self._forecast(context)

    @property
    def latest(self) -> StreamForecast:
        """The forecast after the last value."""
        return self._latest

    def update(self, value: float | None, **covariates: float | str) -> StreamForecast:
        """Take the next value, None if it is missing, and forecast what comes after it.

        Args:
            value: of the step after the last one.
            **covariates: of this step.

        Raises:
            ArgumentError: where a covariate is missing.
        """
        missing = [name for name in self.data.encoder.past if name not in covariates]
        if missing:
            raise ArgumentError(
                f"each step needs the covariates {', '.join(self.data.encoder.past)}; {missing[0]} is missing"
            )
        one = self._series
        keep = self._kept
        along = {
            name: np.append(column, np.array([covariates[name]], dtype=column.dtype))[-keep:]
            for name, column in one.covariates.items()
            if name in covariates
        }
        values = np.append(one.values, np.nan if value is None else value)[-keep:]
        self._series = Series(one.unique_id, one.end + 1 - len(values), values, along, one.static)
        self._latest = self._paths() if self._is_recursive else self._forecast(1)
        return self._latest

    def _paths(self) -> StreamForecast:
        """A recursive forecast goes on from a state along its own paths; it reads its context anew each time."""
        table = replace(self.table, series=(self._series,))
        horizon = self.data.settings.complete("horizon")
        ends = interval_probabilities(self.level)
        found = forecasts(self.network, self.data, table, Origins.ends(table), horizon, ends)
        intervals = {
            level: (found.quantiles[0, :, 2 * place], found.quantiles[0, :, 2 * place + 1])
            for place, level in enumerate(self.level if found.quantiles.shape[-1] else ())
        }
        return StreamForecast(self._stamps(horizon), found.point[0], intervals)

    def _stamps(self, horizon: int) -> NDArray[Any]:
        stamps = self.table.stamps(np.arange(self._series.end, self._series.end + horizon))
        return stamps.astype("datetime64[D]") if self.table.dates_only else stamps

    @torch.inference_mode()
    def _forecast(self, time: int) -> StreamForecast:
        data, one = self.data, self._series
        window, horizon = data.settings.complete("window"), data.settings.complete("horizon")
        need = window - 1 + time
        recent = one.between(max(one.end - need, one.first), one.end)
        columns = data.encoder.columns(recent, self.table, self.scale, horizon)
        store = SeriesStore([columns], season=data.settings.complete("season"))
        steps = store.windows(torch.tensor([0]), torch.tensor([len(recent) - need]), need + horizon)
        past, _, _ = data.encoder.split(steps.values, window, time)
        found = self.network(past.to(next(self.network.parameters()).device), self._states)
        self._states = found.state
        scores, locale = found.scores[-1], found.locale.at(-1)
        output = self.network.output
        floor = data.lowest(self.scale)
        point = self.scale.restored(output.point(scores, locale)[0].clamp_min(floor).cpu())
        intervals: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        if output.is_random and self.level:
            ends = output.quantiles(scores, locale, interval_probabilities(self.level))[0].clamp_min(floor).cpu()
            intervals = {
                level: (self.scale.restored(ends[:, 2 * place]), self.scale.restored(ends[:, 2 * place + 1]))
                for place, level in enumerate(self.level)
            }
        return StreamForecast(self._stamps(horizon), point, intervals)
