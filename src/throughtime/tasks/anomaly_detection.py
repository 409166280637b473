"""The recurrent autoencoder of series: a window becomes a vector, and what the vector can't tell again is odd.

It learns from a series as it usually is. A window whose steps it tells badly, or better than it ever should, is one
that it hasn't seen the like of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from throughtime.data.recordings import Recording, recordings_of
from throughtime.data.series import SeriesTable
from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import read_series
from throughtime.data.series_windows import SeriesStore, SeriesWindows
from throughtime.errors import DataError
from throughtime.models import RecurrentAutoencoder
from throughtime.tasks.anomaly_scores import Numbers, window_begins
from throughtime.tasks.network_training import CellName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.settings import Duration, Positive, Probability
from throughtime.training import ModelFolder, Position, Processes, Validation, choose_precision
from throughtime.training.reconstruction_objective import ReconstructionObjective, reconstruction_loss

TASK = "anomaly_detection"
STEPS = 1_500
FEWEST_WINDOWS = 3
SHORTEST_WINDOW, LONGEST_WINDOW, USUAL_WINDOW = 16, 128, 48


class Settings(TrainingSettings):
    """Settings of an anomaly detector. What is None is chosen from the data."""

    target: tuple[str, ...] = ()
    """The columns of the values. Recognised by default."""
    time_column: str | None = None
    """The column of the stamps."""
    id_column: str | None = None
    """The column that names the series of each row."""
    label_column: str | None = None
    """A column that says which steps are odd: 0 for those that aren't. It is not learned from."""
    frequency: str | None = None
    """How far apart the values are, such as hourly or 15min; inferred by default."""
    time_zone: str | None = None
    """Where the stamps are from, such as Europe/Berlin, if clocks are set there and the stamps don't say so."""
    date_format: str | None = None
    """How stamps are written, such as %d.%m.%Y; recognised by default."""
    encoding: str | None = None
    """The file's encoding; UTF-8, or else recognised and told, by default."""
    together: bool | None = None
    """Whether the series are channels of one recording; by default, where there are 2 to 64 that begin and end
    together."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share at the end of each series that is kept to see when to stop."""

    window: Annotated[int, Field(ge=4)] | None = None
    """Steps of a window; two seasons of the data's frequency by default, 16 to 128."""
    latent_size: Positive | None = None
    """Features of a window's vector; 8, and 4 more for each further channel, by default."""
    cell: CellName = "lstm"
    hidden_size: Positive = 64
    """Units of a layer."""
    num_layers: Positive = 1
    """Layers of encoder and decoder."""
    dropout: Probability = 0.0
    """Probability of dropping a feature of the vector."""
    smoothing: Positive | None = None
    """Steps around each whose errors are looked at together, beside one and two windows; a quarter of one if open."""
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.995
    """The share of the training steps whose scores are at most the threshold."""
    threshold: Annotated[float, Field(gt=0)] | None = None
    """The score above which a step is odd; from the quantile by default."""

    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m."""
    batch_size: Positive = 32
    """Windows of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    @property
    def columns(self) -> SeriesColumns:
        """What the user says of the table's columns."""
        return SeriesColumns(
            time=self.time_column,
            unique_id=self.id_column,
            target=self.target,
            label=self.label_column,
            frequency=self.frequency,
            time_zone=self.time_zone,
            date_format=self.date_format,
        )

    @property
    def name(self) -> str:
        """The network and its sizes, for people to read."""
        return f"{self.cell.upper()} autoencoder {self.num_layers} x {self.hidden_size}, {self.latent_size} features"

    @property
    def smoothings(self) -> tuple[int, int, int]:
        """How many steps around each are looked at together: a few, a window of them, and two windows."""
        window = self.window or USUAL_WINDOW
        return self.smoothing or 2, window, 2 * window

    @property
    def hop(self) -> int:
        """Steps between the beginnings of two windows that are told."""
        return max(1, (self.window or USUAL_WINDOW) // 4)


@dataclass(frozen=True)
class ChannelScale:
    """What brings the channels of a recording to one scale: (value - mean) / deviation."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def scaled(self, values: Numbers) -> Numbers:
        """Values of shape (time, channel) on that scale."""
        return (values - np.array(self.mean)) / np.array(self.deviation)


@dataclass(frozen=True)
class AnomalyData:
    """Series, and what they mean in numbers.

    Attributes:
        table: as it was read.
        recordings: what is told together.
        scales: of each recording, from its training part, by name.
    """

    table: SeriesTable
    recordings: list[Recording]
    scales: dict[str, ChannelScale]

    @property
    def channels(self) -> int:
        """Numbers of a step."""
        return len(self.recordings[0].channels)

    def scaled(self, recording: Recording) -> Numbers:
        """The values of a recording on its scale."""
        return self.scales[recording.name].scaled(recording.values)


def load_data(source: Any, settings: Settings, run: Run) -> None:
    """Read series, tell what was understood, and write them into the model folder.

    Raises:
        DataError: naming file and row, where they can't be read.
    """
    run.display.update("reading the series", 0.0)
    table = read_series(source, settings.columns, encoding=settings.encoding)
    for line in table.description():
        run.display.line(line)
    recordings = recordings_of(table, together=settings.together)
    if len(recordings[0].channels) > 1:
        names = ", ".join(recordings[0].channels[:8]) + (", ..." if len(recordings[0].channels) > 8 else "")
        run.display.line(f"{len(recordings[0].channels)} channels are read together: {names}")
    table.save(run.folder.tokens)


def open_data(folder: ModelFolder, settings: Settings) -> AnomalyData:
    """Open the series that ``load_data`` wrote.

    Raises:
        ModelFolderError: where they are missing or damaged.
        DataError: where a series is too short.
    """
    table = SeriesTable.load(folder.tokens)
    recordings = recordings_of(table, together=settings.together)
    window = settings.window or usual_window(table)
    for recording in recordings:
        if len(recording) < FEWEST_WINDOWS * window:
            raise DataError(
                f"{table.name}: {recording.name} has {len(recording)} steps, at least {FEWEST_WINDOWS} windows of "
                f"{window} are needed; give a longer series or a smaller --window"
            )
    scales = {one.name: channel_scale(one, training_steps(one, window, settings)) for one in recordings}
    return AnomalyData(table, recordings, scales)


def usual_window(table: SeriesTable) -> int:
    """Two seasons of the table's frequency, 16 to 128 steps; 48 where there is no season."""
    season = table.frequency.season
    return USUAL_WINDOW if season < 2 else int(np.clip(2 * season, SHORTEST_WINDOW, LONGEST_WINDOW))


def training_steps(recording: Recording, window: int, settings: Settings) -> int:
    """The steps that are learned from; those behind them, a window at least, are for validation."""
    kept = max(window, round(settings.validation_fraction * len(recording)))
    return len(recording) - kept


def channel_scale(recording: Recording, steps: int) -> ChannelScale:
    """Mean and deviation of each channel over the first steps, where something was measured."""
    values = np.where(recording.present[:steps], recording.values[:steps], np.nan)
    with np.errstate(invalid="ignore"):
        count = np.maximum((~np.isnan(values)).sum(axis=0), 1)
        mean = np.nansum(values, axis=0) / count
        deviation = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / count)
    deviation = np.where(deviation > 1e-9 * np.maximum(np.abs(mean), 1e-12), deviation, 1.0)
    return ChannelScale(tuple(mean.tolist()), tuple(deviation.tolist()))


def size_settings(settings: Settings, data: AnomalyData, processes: Processes) -> Settings:
    """Fill in what the user left open."""
    window = settings.window or usual_window(data.table)
    changes: dict[str, object] = {
        "precision": choose_precision(settings.precision, processes.device),
        "window": window,
        "latent_size": settings.latent_size or 8 + 4 * (data.channels - 1),
        "smoothing": settings.smoothing or max(2, window // 4),
        "together": data.channels > 1 if settings.together is None else settings.together,
    }
    if settings.is_open_ended:
        changes["steps"] = STEPS
    return settings.replaced(**changes)


def build_model(settings: Settings, channels: int) -> RecurrentAutoencoder:
    """Make the network, with fresh weights, from settings that are complete."""
    return RecurrentAutoencoder(
        channels,
        settings.latent_size or 1,
        cell=settings.cell,
        hidden_size=settings.hidden_size,
        num_layers=settings.num_layers,
        dropout=settings.dropout,
    )


def fit(network: RecurrentAutoencoder, data: AnomalyData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    window = settings.window or USUAL_WINDOW
    parts: list[NDArray[np.float32]] = []
    for recording in data.recordings:
        steps = training_steps(recording, window, settings)
        both = np.concatenate([data.scaled(recording), recording.present], axis=1)
        parts.append(both[:steps].astype(np.float32))
    batches = SeriesWindows(
        SeriesStore(parts),
        length=window,
        stride=max(1, window // 8),
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    return train_network(
        network,
        ReconstructionObjective(network),
        batches,
        partial(validate, network, data, settings, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        unit="window",
        loss_unit="squared deviations",
    )


@torch.inference_mode()
def validate(network: RecurrentAutoencoder, data: AnomalyData, settings: Settings, processes: Processes) -> Validation:
    """Judge the network on windows at the end of each series: the mean squared error, in deviations."""
    device = next(network.parameters()).device
    _, windows, present = kept_windows(data, settings)
    values = torch.from_numpy(windows).to(device)
    loss = float(reconstruction_loss(network(values), values, torch.from_numpy(present).to(device)))
    return Validation(processes.first(loss))


def kept_windows(data: AnomalyData, settings: Settings) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """The windows at the ends of the recordings, which aren't learned from.

    Returns:
        The name of each window's recording; its values, scaled, shape (time, windows, channel); and where something was
        measured, 1 or 0, of the same shape.
    """
    window = settings.window or USUAL_WINDOW
    names: list[str] = []
    windows: list[NDArray[Any]] = []
    for recording in data.recordings:
        both = np.concatenate([data.scaled(recording), recording.present], axis=1)
        both = both[training_steps(recording, window, settings) :]
        begins = window_begins(len(both), window, max(1, window // 2))
        windows += [both[begin : begin + window] for begin in begins]
        names += [recording.name] * len(begins)
    values, present = np.split(np.stack(windows, axis=1).astype(np.float32), 2, axis=2)
    return names, values, present


@torch.inference_mode()
def told_again(network: RecurrentAutoencoder, windows: Numbers) -> Numbers:
    """Windows of shape (windows, time, channel) as the network tells them."""
    device = next(network.parameters()).device
    values = torch.from_numpy(windows.astype(np.float32)).transpose(0, 1).to(device)
    return network(values).transpose(0, 1).cpu().double().numpy()


@torch.inference_mode()
def latent_vectors(network: RecurrentAutoencoder, windows: Numbers) -> NDArray[np.float32]:
    """The vectors of windows of shape (windows, time, channel), shape (windows, latent_size)."""
    device = next(network.parameters()).device
    values = torch.from_numpy(windows.astype(np.float32)).transpose(0, 1).to(device)
    return network.encode(values).cpu().numpy()


def scale_for(scales: Mapping[str, ChannelScale], recording: Recording, channels: int) -> ChannelScale:
    """The scale of a recording of new data: that of the same name, or the only one there is.

    Raises:
        DataError: where the model knows no such recording, or one of other channels.
    """
    if len(recording.channels) != channels:
        raise DataError(
            f"{recording.name}: has {len(recording.channels)} channels, the model reads {channels}; "
            "--target says which columns they are"
        )
    if recording.name in scales:
        return scales[recording.name]
    if len(scales) == 1:
        return next(iter(scales.values()))
    known: Sequence[str] = list(scales)
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    raise DataError(f"{recording.name}: is not among the series that the model learned from: {shown}")
