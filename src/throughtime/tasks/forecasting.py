"""Forecasting: from the past of series to their future.

A window of past values is brought to the series' local level and scale, a linear map of it gives a first forecast, and
recurrent layers, which carry a state from step to step, say what is to be added and how sure that is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_files import read_series
from throughtime.data.series_windows import SeriesStore, SeriesWindows, WindowBatch
from throughtime.errors import DataError
from throughtime.models.forecast_network import ForecastEnsemble, ForecastNetwork, Past
from throughtime.models.linear_forecast import LinearForecast, WindowSample, fit_linear
from throughtime.tasks.forecast_features import FeatureEncoder, Scale
from throughtime.tasks.forecasting_settings import Settings
from throughtime.tasks.network_training import Run, optimizers_of, train_network
from throughtime.tasks.reading import forecaster_reading
from throughtime.training import ModelFolder, Position, Processes, Validation
from throughtime.training.forecast_objective import ForecastBatch, ForecastObjective, counted_losses, forecast_loss

TASK = "forecasting"
EVALUATION_BATCH = 256
MOST_EXAMPLES = 12_000
FEWEST_STEPS = 8
WATCHED_SERIES = 16
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ForecastData:
    """Series to learn from.

    Attributes:
        table: all of them, with the steps that are kept for validation.
        encoder: fitted without these.
        settings: complete.
    """

    table: SeriesTable
    encoder: FeatureEncoder
    settings: Settings

    @cached_property
    def train(self) -> SeriesTable:
        """Without the steps that are kept for validation."""
        return self.table.without_last(self.settings.complete("validation"))

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """The units of each series, of its training part."""
        return {one.unique_id: self.encoder.scale(one) for one in self.train.series}

    def scale(self, series: Series) -> Scale:
        """The units of a series; of one that is new, all that is given of it."""
        return self.scales.get(series.unique_id) or self.encoder.scale(series)

    def lowest(self, scale: Scale) -> float:
        """Below what, in its units, a series is not forecast: zero where none of the training part is negative."""
        if scale.is_logarithmic or not self.is_positive:
            return float("-inf")
        return -scale.offset / scale.unit

    @cached_property
    def is_positive(self) -> bool:
        """Whether no value of the training part is negative."""
        return all(bool(np.nanmin(one.values) >= 0) for one in self.train.series)

    @cached_property
    def has_logarithms(self) -> bool:
        """Whether all values of the training part are above zero."""
        return all(bool(np.nanmin(one.values) > 0) for one in self.train.series)

    @cached_property
    def store(self) -> SeriesStore:
        """What is read of all steps; validations come often."""
        return SeriesStore(self.columns(self.table), season=self.settings.complete("season"))

    def columns(self, table: SeriesTable) -> list[NDArray[np.float32]]:
        """What is read of each series."""
        return [self.encoder.columns(one, table, self.scale(one)) for one in table.series]


def load_data(source: Any, settings: Settings, run: Run) -> SeriesTable:
    """Read series and tell what was understood.

    Args:
        source: a file, a data frame, or a ``SeriesTable``.
        settings: what is known of its columns.
        run: its folder gets tokens/, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or is too short to learn from.
    """
    run.display.update("reading the series", 0.0)
    table = read_series(source, settings.columns, encoding=settings.encoding)
    for line in table.description():
        run.display.line(line)
    if table.longest < FEWEST_STEPS:
        raise DataError(
            f"{table.name}: its longest series has {table.longest} values, at least {FEWEST_STEPS} are needed"
        )
    if settings.distribution == "negative-binomial":
        for one in table.series:
            known = one.values[~np.isnan(one.values)]
            if (known < 0).any() or (known % 1 != 0).any():
                raise DataError(f"{table.name}: {one.unique_id} is no series of counts, as negative-binomial needs")
    table.save(run.folder.tokens)
    return table


def open_data(folder: ModelFolder, settings: Settings) -> ForecastData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    table = SeriesTable.load(folder.tokens)
    return prepare(table, settings)


def prepare(table: SeriesTable, settings: Settings) -> ForecastData:
    """Fit what is fitted on the training part."""
    train = table.without_last(settings.complete("validation"))
    encoder = FeatureEncoder.fitted(
        train,
        settings.complete("season"),
        calendar=settings.calendar,
        is_scaled=settings.distribution != "negative-binomial",
        is_logarithmic=bool(settings.logarithms),
    )
    return ForecastData(table, encoder, settings)


def build_model(settings: Settings, encoder: FeatureEncoder) -> ForecastEnsemble:
    """Make the networks, with fresh weights, from settings that are complete."""
    return ForecastEnsemble(
        [
            ForecastNetwork(
                settings.complete("window"),
                settings.steps_ahead,
                settings.new_output(),
                season=settings.complete("season"),
                past_size=encoder.past_size,
                future_size=encoder.future_size,
                static_size=encoder.static_size,
                reader=settings.network,
                cell=settings.cell,
                hidden_size=settings.complete("hidden_size"),
                num_layers=settings.num_layers,
                dropout=settings.dropout,
            )
            for _ in range(settings.complete("members"))
        ]
    )


def start_linear(data: ForecastData, table: SeriesTable, windows: Sequence[int]) -> LinearForecast:
    """Fit the linear forecast that the networks begin with.

    Args:
        data: the series.
        table: those of their steps that it is fitted on.
        windows: lengths of the window, of which it takes the one that serves it best.
    """
    settings = data.settings
    columns = [one[:, :2] for one in data.columns(table)]
    season, horizon = settings.complete("season"), settings.steps_ahead
    store = SeriesStore(columns, season=season)
    counts = [max(len(one) - 2, 1) for one in columns]
    series = np.repeat(np.arange(len(columns)), counts)
    origin = np.concatenate([np.arange(1, count + 1) for count in counts])
    share = np.concatenate([np.arange(count) / count for count in counts])
    reach = horizon / np.repeat(counts, counts)
    if len(series) > MOST_EXAMPLES:
        chosen = np.sort(np.random.default_rng(settings.seed).choice(len(series), MOST_EXAMPLES, replace=False))
        series, origin, share, reach = series[chosen], origin[chosen], share[chosen], reach[chosen]

    exponents = None
    if settings.logarithms:
        scales = [(data.scale(one), Scale.of(one.values, season)) for one in table.series]
        exponents = torch.tensor([[own.unit, own.offset - math.log(plain.unit)] for own, plain in scales]).double()

    def sample(window: int) -> WindowSample:
        begin = torch.from_numpy(origin - window + 1)
        found = store.windows(torch.from_numpy(series), begin, window + horizon)
        ahead = torch.arange(window + horizon).unsqueeze(1) >= window
        # Before its first value a series is taken to have been what it was a season later.
        known = (found.values[..., 1] > 0) & (found.valid | ~ahead)
        return WindowSample(
            found.values[..., 0].T,
            known.T,
            torch.from_numpy(share),
            torch.from_numpy(reach),
            begin >= 0,
            None if exponents is None else exponents[series],
        )

    return fit_linear(sample, windows, horizon, season)


class ForecastBatches:
    """The training part in windows, of which each step is forecast from.

    Args:
        data: the series.
        processes: that share the batches.
    """

    def __init__(self, data: ForecastData, processes: Processes) -> None:
        settings = data.settings
        self.data = data
        self.window, self.horizon = settings.complete("window"), settings.steps_ahead
        self.time = settings.complete("context")
        self.windows = SeriesWindows(
            SeriesStore(data.columns(data.train), season=settings.complete("season")),
            length=self.window - 1 + self.time + self.horizon,
            stride=self.time,
            lead=max(self.window - 2, 0),
            beyond=self.horizon - 1,
            batch_size=settings.batch_size,
            seed=settings.seed,
            rank=processes.rank,
            world_size=processes.count,
        )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.windows)

    def batch(self, epoch: int, index: int) -> ForecastBatch:
        """Make the batch at that place."""
        return forecast_batch(self.data, self.windows.batch(epoch, index), self.time)


def forecast_batch(data: ForecastData, found: WindowBatch, time: int, *, first: int = 0) -> ForecastBatch:
    """What a network reads of windows, and what it is to say; of steps before ``first`` it need not be right."""
    window, horizon = data.settings.complete("window"), data.settings.steps_ahead
    past, values, known = data.encoder.split(found.values, window, time)
    counted = (known & found.valid)[window:].unfold(0, horizon, 1) & found.valid[window - 1 : -horizon].unsqueeze(-1)
    counted = counted & (torch.arange(time) >= first)[:, None, None]
    return ForecastBatch(past, values[window:].unfold(0, horizon, 1), counted)


def fit(network: ForecastEnsemble, data: ForecastData, settings: Settings, run: Run) -> Position:
    """Train the networks; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    batches = ForecastBatches(data, run.processes)
    position = train_network(
        network,
        ForecastObjective(network),
        batches,
        partial(validate, network, data, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        unit="value",
        validates_first=True,
        readings=lambda: [one for one in [forecaster_reading(network, _watched(data))] if one],
        loss_unit="nats" if settings.distribution in {"normal", "student-t", "negative-binomial"} else "naive errors",
    )
    if settings.network != "linear" and run.processes.is_main and position.stopped != "interrupted":
        linear = network.linear_weights()
        run.folder.load_weights(network, run.processes.device)
        network.take_linear(linear)
        _weigh(network, data, run)
        fit_linear_part(network, data, data.table)
        run.folder.save_weights(network)
    return position


def fit_linear_part(network: ForecastEnsemble, data: ForecastData, table: SeriesTable) -> None:
    """Fit the linear forecast of trained networks anew, on some of the steps."""
    linear = start_linear(data, table, [data.settings.complete("window")])
    network.start_from(linear.weight, linear.bias, linear.spread)


@torch.inference_mode()
def _weigh(network: ForecastEnsemble, data: ForecastData, run: Run) -> None:
    """Keep of what the readers add to the linear forecast the least share that is no worse than the best beyond chance.

    Student's t test, at 95 %, on the stretches, each of a horizon, of the steps that were kept: of one short series
    they are too few to tell that a network has learned more than its noise.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

    network.eval()
    losses = _stretches(network, data)
    worse = losses - losses[losses.sum(1).argmin()]
    count = losses.shape[1]
    # Of a single stretch the deviation is not known, and whatever was found may be chance.
    chance = stdtrit(count - 1, 0.95) * count**0.5 * worse.std(1) if count > 1 else float("inf")
    place = int((worse.sum(1) <= chance).nonzero()[0])
    network.weigh(SHARES[place])
    run.display.line(
        f"{SHARES[place]:.0%} of what the {data.settings.name} adds to the linear forecast is kept, "
        f"judged on {count} stretch{'es' if count > 1 else ''} of {data.settings.steps_ahead} steps"
    )


def _stretches(network: ForecastEnsemble, data: ForecastData) -> Tensor:
    """The loss of each stretch of the steps that were kept, with each of SHARES, shape (shares, stretches)."""
    settings = data.settings
    linear = copy.deepcopy(network)
    linear.weigh(0.0)
    context, device = settings.complete("context"), next(network.parameters()).device
    parts: list[Tensor] = []
    for batch in last_batches(data, settings.complete("validation")):
        past = batch.past.to(device)
        alone, found = linear(past), network(past)
        added = found.scores - alone.scores
        mixed = [alone.scores + share * added for share in SHARES]
        each = [counted_losses(network.output, one, found.locale, batch).sum(-1) for one in mixed]
        counts = batch.counted.sum(-1)[context - 1 :].split(settings.steps_ahead)
        own = torch.stack(each)[:, context - 1 :].split(settings.steps_ahead, dim=1)
        parts += [part.sum(1)[:, count.sum(0) > 0].cpu() for part, count in zip(own, counts, strict=True)]
    return torch.cat(parts, 1)


@torch.inference_mode()
def validate(network: ForecastEnsemble, data: ForecastData, processes: Processes) -> Validation:
    """Judge the networks, averaged, on the steps that were kept."""
    settings = data.settings
    kept = settings.complete("validation")
    total, count = 0.0, 0
    for batch in last_batches(data, kept):
        loss, some = forecast_loss(network, batch)
        total, count = total + float(loss), count + some
    return Validation(processes.first(total / max(count, 1)))


def _watched(data: ForecastData) -> Past:
    """What is read of some series, to watch gradients by."""
    return next(iter(last_batches(data, data.settings.complete("validation")))).past.chosen(WATCHED_SERIES)


def last_batches(data: ForecastData, kept: int) -> Iterator[ForecastBatch]:
    """Forecasts of the last steps of each series, from every step before and among them."""
    settings = data.settings
    context, window, horizon = settings.complete("context"), settings.complete("window"), settings.steps_ahead
    store = data.store
    time = context + kept
    for part in torch.arange(len(store.lengths)).split(max(1, EVALUATION_BATCH * 64 // time)):
        # The first forecast that counts is made from the last step of the training part.
        begin = store.lengths[part] - kept - context - window + 1
        found = store.windows(part, begin, window - 1 + time + horizon)
        yield forecast_batch(data, found, time, first=context - 1)
