"""Forecasting: from the past of series to their future.

A window of past values is brought to the series' local level and scale, a linear map of it gives a first forecast, and
recurrent layers, which carry a state from step to step, say what is to be added and how sure that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from throughtime.data.series import Covariate, Series, SeriesTable
from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import read_series
from throughtime.data.series_windows import SeriesStore, SeriesWindows, WindowBatch
from throughtime.errors import ArgumentError, DataError, check_choice
from throughtime.models.forecast_outputs import ForecastOutput, Locale, build_output
from throughtime.models.forecast_network import ForecastNetwork, ForecastEnsemble
from throughtime.models.linear_forecast import BLOCKS, LinearForecast, WindowSample, fit_linear
from throughtime.tasks.forecast_features import FeatureEncoder, Scale
from throughtime.tasks.network_training import CellName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.settings import Duration, Positive, Probability
from throughtime.training import ModelFolder, Position, Processes, Validation
from throughtime.training.forecast_objective import ForecastBatch, ForecastObjective, forecast_loss

TASK = "forecasting"
EVALUATION_BATCH = 256
MOST_EXAMPLES = 20_000
FEWEST_STEPS = 8


def _checked_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    for level in levels:
        if not 0 < level < 100:
            raise ArgumentError(f"a level is a percentage between 0 and 100, such as 90, got {level:g}")
    return tuple(sorted(set(levels)))


class Settings(TrainingSettings):
    """Settings of a forecaster. What is None is chosen from the data."""

    horizon: Positive | None = None
    """Steps to forecast; from the data's frequency by default, such as 12 months or 14 days."""
    target: tuple[str, ...] = ()
    """The column of the values; several are a series each. Recognised by default."""
    time_column: str | None = None
    """The column of the stamps."""
    id_column: str | None = None
    """The column that names the series of each row."""
    past_covariates: tuple[str, ...] = ()
    """Columns that are known up to the present; all for those that are left."""
    future_covariates: tuple[str, ...] = ()
    """Columns that are known ahead, such as holidays or prices; all for those that are left."""
    static_covariates: tuple[str, ...] = ()
    """Columns that say something of a series as a whole."""
    frequency: str | None = None
    """How far apart the values are, such as hourly, business, monthly or 15min; inferred by default."""
    start: str | None = None
    """The stamp of the first value, where the data has none."""
    time_zone: str | None = None
    """Where the stamps are from, such as Europe/Berlin, if clocks are set there and the stamps don't say so."""
    date_format: str | None = None
    """How stamps are written, such as %d.%m.%Y; recognised by default."""
    encoding: str | None = None
    """The file's encoding; UTF-8, or else recognised and told, by default."""
    calendar: bool = True
    """Whether the network is told the time of day, week and year."""

    network: Literal["recurrent", "feed-forward", "linear"] = "recurrent"
    """What reads the past: recurrent layers, a feed-forward network on a window, or one linear layer on it."""
    strategy: Literal["direct", "recursive"] = "direct"
    """Whether all of the horizon is forecast at once, or step by step, each forecast being fed back."""
    distribution: Literal["quantiles", "point", "normal", "student-t", "negative-binomial"] = "quantiles"
    """What is forecast: quantiles, a point alone, or the parameters of a distribution (for counts a binomial)."""
    error: Literal["absolute", "squared"] = "absolute"
    """The error of a point that training lowers."""
    level: Annotated[tuple[float, ...], AfterValidator(_checked_levels)] = (80.0, 90.0)
    """The intervals, in per cent of the future values that are to lie in them."""
    season: Positive | None = None
    """Steps of a season; from the frequency by default."""
    window: Positive | None = None
    """Values that are read at each step; of several lengths the one that serves a linear forecast best, by default."""
    context: Positive | None = None
    """Steps that the recurrent layers read before a forecast."""
    validation: Positive | None = None
    """Steps at the end of each series that are kept to see when to stop; about a tenth by default."""

    cell: CellName = "lstm"
    hidden_size: Positive | None = None
    """Units of a layer."""
    num_layers: Positive = 1
    """Layers, one above the other."""
    dropout: Probability = 0.1
    """Probability of dropping a unit."""
    members: Positive | None = None
    """Networks that are trained side by side from other weights, whose forecasts are averaged."""
    batch_size: Positive = 32
    """Windows of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.01
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    optimizer: Annotated[str, AfterValidator(lambda name: name)] = "adamw"
    """The optimiser: adamw, sgd, or muon for the recurrent matrices and AdamW for the rest."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        check_choice("optimizer", self.optimizer, ("muon", "adamw", "sgd"))
        if self.start is not None and self.time_column is not None:
            raise ArgumentError("give one of `start` and `time_column`")
        return self

    @property
    def columns(self) -> SeriesColumns:
        """What the user says of the table's columns."""
        return SeriesColumns(
            self.time_column,
            self.id_column,
            self.target,
            self.past_covariates,
            self.future_covariates,
            self.static_covariates,
            self.frequency,
            self.time_zone,
            self.date_format,
            self.start,
        )

    @property
    def name(self) -> str:
        """The column of the forecasts, such as LSTM."""
        if self.network == "recurrent":
            return "RNN" if self.cell.startswith("rnn") else self.cell.upper()
        return "MLP" if self.network == "feed-forward" else "Linear"

    @property
    def steps_ahead(self) -> int:
        """How many steps the network forecasts at once."""
        return 1 if self.strategy == "recursive" else self.complete("horizon")

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Those of the median and of the ends of the intervals."""
        ends = [(100 + sign * level) / 200 for level in self.level for sign in (-1, 1)]
        return tuple(sorted({0.5, *(round(end, 6) for end in ends)}))

    def complete(self, name: str) -> int:
        """A number that has been filled in."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"`{name}` has not been chosen yet")
        return int(value)

    def new_output(self) -> ForecastOutput:
        """What the scores mean."""
        return build_output(self.distribution, probabilities=self.probabilities, error=self.error)


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

    def lowest(self, series: Series, scale: Scale) -> float:
        """Below what, in its units, a series is not forecast: zero where none of the training part is negative."""
        if not self.is_positive:
            return float("-inf")
        return -scale.offset / scale.unit

    @cached_property
    def is_positive(self) -> bool:
        """Whether no value of the training part is negative."""
        return all(bool(np.nanmin(one.values) >= 0) for one in self.train.series)

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
        raise DataError(f"{table.name}: its longest series has {table.longest} values, at least {FEWEST_STEPS} are needed")
    if settings.distribution == "negative-binomial":
        for one in table.series:
            known = one.values[~np.isnan(one.values)]
            if (known < 0).any() or (known % 1 != 0).any():
                raise DataError(f"{table.name}: {one.unique_id} is no series of counts, which `distribution` negative-binomial needs")
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


def start_linear(data: ForecastData, windows: Sequence[int]) -> LinearForecast:
    """Fit the linear forecast that the networks begin with, for the window among some that serves it best."""
    settings, train = data.settings, data.train
    columns = [one[:, :2] for one in data.columns(train)]
    store = SeriesStore(columns)
    horizon = settings.steps_ahead
    counts = [max(len(one) - horizon - 1, 1) for one in columns]
    series = np.repeat(np.arange(len(columns)), counts)
    origin = np.concatenate([np.arange(1, count + 1) for count in counts])
    share = np.concatenate([np.arange(count) / count for count in counts])
    if len(series) > MOST_EXAMPLES:
        chosen = np.sort(np.random.default_rng(settings.seed).choice(len(series), MOST_EXAMPLES, replace=False))
        series, origin, share = series[chosen], origin[chosen], share[chosen]

    def sample(window: int) -> WindowSample:
        begin = torch.from_numpy(origin - window + 1)
        found = store.windows(torch.from_numpy(series), begin, window + horizon)
        # Before its first value a series is taken to have been what it was then.
        known = (found.values[..., 1] > 0) & (found.valid | (torch.arange(window + horizon) < window).unsqueeze(1))
        return WindowSample(found.values[..., 0].T, known.T, torch.from_numpy((share * BLOCKS).astype(np.int64)))

    return fit_linear(sample, windows, horizon, settings.complete("season"))


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
            data.columns(data.train),
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
    return train_network(
        network,
        ForecastObjective(network),
        batches,
        partial(validate, network, data, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        unit="value",
    )


@torch.inference_mode()
def validate(network: ForecastEnsemble, data: ForecastData, processes: Processes) -> Validation:
    """Judge the networks, averaged, on the steps that were kept."""
    settings = data.settings
    kept = settings.complete("validation")
    total, count = 0.0, 0
    for batch in _last_batches(data, kept):
        loss, some = forecast_loss(network, batch)
        total, count = total + float(loss), count + some
    return Validation(processes.first(total / max(count, 1)))


def _last_batches(data: ForecastData, kept: int) -> Any:
    """Forecasts of the last steps of each series, from every step before and among them."""
    settings = data.settings
    context, window, horizon = settings.complete("context"), settings.complete("window"), settings.steps_ahead
    store = _validation_store(data)
    time = context + kept
    for part in torch.arange(len(store.lengths)).split(max(1, EVALUATION_BATCH * 64 // time)):
        # The first forecast that counts is made from the last step of the training part.
        begin = store.lengths[part] - kept - context - window + 1
        found = store.windows(part, begin, window - 1 + time + horizon)
        yield forecast_batch(data, found, time, first=context - 1)


def _validation_store(data: ForecastData) -> SeriesStore:
    # Kept with the data: validations come often.
    store: SeriesStore | None = data.__dict__.get("_store")
    if store is None:
        store = SeriesStore(data.columns(data.table))
        data.__dict__["_store"] = store
    return store


__all__ = ["TASK", "Covariate", "Locale", "Settings"]
