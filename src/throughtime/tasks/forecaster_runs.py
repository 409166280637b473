"""How a run that trains a forecaster begins: series, settings, and networks that start from a linear forecast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from throughtime.data.series import SeriesTable
from throughtime.errors import ArgumentError, DataError
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.models.linear_forecast import LinearForecast
from throughtime.tasks.forecast_features import FeatureEncoder
from throughtime.tasks.forecast_sizing import size_settings, window_lengths
from throughtime.tasks.forecasting import TASK, ForecastData, build_model, load_data, prepare, start_linear
from throughtime.tasks.forecasting_settings import Settings
from throughtime.tasks.model_runs import new_folder, write_settings
from throughtime.tasks.network_training import Run


def begin_run(source: Any, settings: Settings, run: Run) -> tuple[ForecastData, ForecastEnsemble]:
    """Prepare a new run: its folder, series, settings and networks."""
    if source is None:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there are no series to learn from"
        raise ArgumentError(f"{missing}; give a file of series, or --sample")
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        if run.processes.is_main:
            load_data(source, settings, run)
        run.processes.wait()
        table = SeriesTable.load(run.folder.tokens)
        settings = size_settings(settings, table, run.processes)
        run.display.update("fitting the linear forecast", 0.0)
        data, linear = _started(table, settings)
        settings = data.settings
        network = new_network(settings, data.encoder, run)
        network.start_from(linear.weight, linear.bias, linear.spread)
    if run.processes.is_main:
        write_settings(run.folder, TASK, settings)
    run.processes.wait()
    for line in _described(settings, network):
        run.display.line(line)
    return data, network


def _started(table: SeriesTable, settings: Settings) -> tuple[ForecastData, LinearForecast]:
    """Prepare series, on the scale on which a linear forecast of the training part errs less, and that forecast.

    A season that grows with the level is the same at each level in logarithms. Without a season they don't pay: a trend
    in them is exponential.

    Raises:
        DataError: where logarithms are asked for, and a value has none.
    """
    plain = prepare(table, settings.replaced(logarithms=bool(settings.logarithms)))
    if settings.logarithms and not plain.has_logarithms:
        raise DataError(f"{table.name}: has values of zero or less, which have no logarithms; leave out `logarithms`")
    prepared = [plain]
    seasonal = settings.complete("season") > 1
    if settings.logarithms is None and settings.may_take_logarithms and seasonal and plain.has_logarithms:
        prepared.append(prepare(table, settings.replaced(logarithms=True)))
    started = [(one, start_linear(one, one.train, window_lengths(settings, table))) for one in prepared]
    data, linear = min(started, key=lambda one: one[1].error)
    return replace(data, settings=data.settings.replaced(window=linear.window)), linear


def _described(settings: Settings, network: ForecastEnsemble) -> list[str]:
    season = settings.complete("season")
    seasonal = f"season {season}" if season > 1 else "no season"
    scale = ["the values' logarithms are learned"] if settings.logarithms else []
    return [
        f"{settings.name}: {network_title(settings, network)}",
        f"{settings.horizon} steps ahead, {seasonal}; {settings.validation} steps of each series are kept to see when "
        "to stop",
        *scale,
    ]


def new_network(settings: Settings, encoder: FeatureEncoder, run: Run) -> ForecastEnsemble:
    """Networks with fresh weights, on the run's device."""
    torch.manual_seed(settings.seed)
    return build_model(settings, encoder).to(run.processes.device)


def network_title(settings: Settings, network: ForecastEnsemble) -> str:
    """What a network is, such as "4 networks of 64 units, window 24, 12,345 weights"."""
    weights = sum(weight.numel() for weight in network.parameters())
    sizes = ""
    if settings.network != "linear":
        layers = f"{settings.num_layers} x " if settings.num_layers > 1 else ""
        count = settings.complete("members")
        sizes = f"{f'{count} networks of ' if count > 1 else ''}{layers}{settings.hidden_size} units, "
    return f"{sizes}window {settings.window}, {weights:,} weights"
