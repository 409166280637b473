"""An anomaly detector to hold in the hand: fit it, let it find what is odd, judge it, encode, follow a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.recordings import Recording, recordings_of
from throughtime.data.series import SeriesTable
from throughtime.data.series_files import read_series
from throughtime.errors import ArgumentError, DataError, ModelFolderError, check_range
from throughtime.models import RecurrentAutoencoder
from throughtime.tasks.anomaly_baselines import PrincipalComponents, rolling_z_scores, root_mean_square
from throughtime.tasks.anomaly_detection import (
    TASK,
    USUAL_WINDOW,
    AnomalyData,
    ChannelScale,
    Settings,
    build_model,
    fit,
    latent_vectors,
    load_data,
    open_data,
    scale_for,
    size_settings,
    told_again,
    training_steps,
)
from throughtime.tasks.anomaly_evaluation import DetectionRow, detection_row
from throughtime.tasks.anomaly_scores import Numbers, ScoreScale, Span, spans_of, step_errors, window_begins
from throughtime.tasks.model_runs import in_model_folder, new_folder, read_settings, resumed_settings, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.series_cards import anomaly_detector_card
from throughtime.tasks.trained_model import TrainedModel
from throughtime.training import Display, ModelFolder, choose_device

MOST_WINDOWS = 5_000


@dataclass(frozen=True)
class Detected:
    """What was found in one recording.

    Attributes:
        recording: which.
        scores: of each step, shape (time,).
        channels: the one that is furthest off at each step, shape (time,).
        spans: what is odd.
    """

    recording: Recording
    scores: Numbers
    channels: NDArray[np.int64]
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Detection:
    """What was found in a table of series.

    Attributes:
        table: which.
        found: in each recording.
        threshold: above which a score is odd.
        rows: the model's, then those of the rolling z-score and of principal components, each at the threshold that the
            same share of the training steps is below.
    """

    table: SeriesTable
    found: tuple[Detected, ...]
    threshold: float
    rows: tuple[DetectionRow, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """All that is odd, the oddest first."""
        return tuple(sorted((span for one in self.found for span in one.spans), key=lambda span: -span.peak))


class AnomalyDetector(TrainedModel[RecurrentAutoencoder, Settings]):
    """A trained anomaly detector.

    Attributes:
        network: tells windows again.
        channels: the names of the numbers of a step.
        scales: of each recording that was learned from.
        normal: what errors are like where nothing is wrong.
        thresholds: of the model and of what stands beside it, by name.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(
        self,
        network: RecurrentAutoencoder,
        channels: Sequence[str],
        scales: Mapping[str, ChannelScale],
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.channels = tuple(channels)
        self.scales = dict(scales)
        self.normal = ScoreScale.plain((1.0,) * len(self.channels), settings.smoothings)
        self.thresholds: dict[str, float] = {}

    @classmethod
    def fit(
        cls,
        data: Any = None,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Learn what series are usually like.

        Args:
            data: a file, a pandas or polars data frame, or a ``SeriesTable``; see ``data.series_files.read_series``.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the data is then not needed.
            display: shows progress; nothing is shown if None.
            **settings: see ``Settings``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the data can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(data, Settings.of(settings), output=output, resume=resume, display=display)

    @classmethod
    def train(
        cls,
        data: Any,
        settings: Settings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(data, settings, folder, resume, display))

    @classmethod
    def _train(
        cls, source: Any, settings: Settings, folder: ModelFolder, resume: bool, display: Display | None
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                if source is not None:
                    run.display.line(f"going on with the series that were prepared in {folder.tokens}")
                settings = resumed_settings(folder, TASK, settings)
                data = open_data(folder, settings)
                network = _network(settings, data, run)
            else:
                settings, data, network = _begin(source, settings, run)
            fit(network, data, settings, run)
            folder.load_weights(network, run.processes.device)
            model = cls(network, data.recordings[0].channels, data.scales, settings, folder, run.processes.device)
            run.display.update("looking at what is normal", 1.0)
            model._learn_normal(data)
        return model.finish(run, lambda: model._finished(data))

    def _finished(self, data: AnomalyData) -> None:
        write_settings(self.folder, TASK, self.settings, **self._config())
        anomaly_detector_card(self.folder, self.settings, data, self.network)

    def _learn_normal(self, data: AnomalyData) -> None:
        """Measure errors, and the thresholds of all methods, on the training series."""
        scaled = [data.scaled(one) for one in data.recordings]
        errors = [self.errors_of(values) for values in scaled]
        self.normal = ScoreScale.of(errors, self.settings.smoothings)
        own = self.settings.threshold
        scores = {"model": [self.normal.scores(one) for one in errors]}
        scores |= self._beside(scaled, _Beside.of(data, self.settings))
        self.thresholds = {
            name: float(np.quantile(np.concatenate(each), self.settings.quantile)) for name, each in scores.items()
        }
        if own is not None:
            self.thresholds["model"] = own

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        config = place.read_config()
        chosen = choose_device(device)
        try:
            scales = {name: ChannelScale(*map(tuple, both)) for name, both in config["scales"].items()}
            parts: dict[str, Any] = {
                name: tuple(part) if isinstance(part, list) else part for name, part in config["normal"].items()
            }
            normal = ScoreScale(**parts)
            channels: list[str] = config["channels"]
            thresholds = {str(name): float(value) for name, value in config["thresholds"].items()}
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFolderError(
                f"{place.config_file}: doesn't say what is normal; go on with its run by --resume, or train it anew"
            ) from error
        network = build_model(settings, len(channels))
        place.load_weights(network, chosen)
        model = cls(network, channels, scales, settings, place, chosen)
        model.normal, model.thresholds = normal, thresholds
        return model

    def _config(self) -> dict[str, object]:
        return {
            "channels": self.channels,
            "scales": {name: (scale.mean, scale.deviation) for name, scale in self.scales.items()},
            "normal": asdict(self.normal),
            "thresholds": self.thresholds,
        }

    @property
    def window(self) -> int:
        """Steps of a window."""
        return self.settings.window or USUAL_WINDOW

    @property
    def name(self) -> str:
        """The network and its sizes, for tables."""
        return self.settings.name

    def detect(
        self, data: Any = None, *, threshold: float | None = None, label: str | None = None, baselines: bool = True
    ) -> Detection:
        """Find what is odd in series.

        Args:
            data: as of ``fit``; the model's own series if None.
            threshold: the score above which a step is odd; the model's by default.
            label: a column that says which steps are odd; the rows then have AUROC and F1.
            baselines: whether a rolling z-score and principal components stand beside, which need the model's own data.

        Raises:
            DataError: where the data can't be read, is shorter than a window, or has other channels.
        """
        if threshold is not None:
            check_range("threshold", threshold)
        table = self._read(data, label)
        recordings = recordings_of(table, together=self.settings.together, label=label)
        scaled = [self.scaled(one) for one in recordings]
        limit = self.thresholds["model"] if threshold is None else threshold
        found: list[Detected] = []
        for recording, values in zip(recordings, scaled, strict=True):
            errors = self.errors_of(values)
            scores, channels = self.normal.scores(errors), self.normal.blame(errors)
            spans = spans_of(recording, scores, channels, limit, gap=self.settings.smoothing or 2, stamp=table.stamp)
            found.append(Detected(recording, scores, channels, tuple(spans)))
        labels = [one.labels for one in recordings if one.labels is not None] or None
        rows = [detection_row(self.name, limit, [one.scores for one in found], labels)]
        if baselines and (self.folder.tokens / "series.json").exists():
            beside = self._beside(scaled, _Beside.of(open_data(self.folder, self.settings), self.settings))
            rows += [detection_row(name, self.thresholds[name], scores, labels) for name, scores in beside.items()]
        return Detection(table, tuple(found), limit, tuple(rows))

    def encode(self, data: Any = None, *, hop: int | None = None) -> tuple[list[str], NDArray[np.float32]]:
        """The latent vectors of windows.

        Args:
            data: as of ``fit``; the model's own series if None.
            hop: steps between the beginnings of two windows; a window by default.

        Returns:
            For each window the name of the recording and the stamp of its first step; and the vectors, shape
            (windows, latent_size).

        Raises:
            DataError: as ``detect``.
        """
        table = self._read(data, None)
        places: list[str] = []
        vectors: list[NDArray[np.float32]] = []
        for recording in recordings_of(table, together=self.settings.together):
            values = self.scaled(recording)
            begins = window_begins(len(values), self.window, hop or self.window)
            windows = np.stack([values[begin : begin + self.window] for begin in begins])
            places += [f"{recording.name}, {table.stamp(recording.first + int(begin))}" for begin in begins]
            vectors.append(latent_vectors(self.network, windows))
        return places, np.concatenate(vectors)

    def _read(self, data: Any, label: str | None) -> SeriesTable:
        if data is None:
            return SeriesTable.load(self.folder.tokens)
        settings = self.settings if label is None else self.settings.replaced(label_column=label)
        table = read_series(data, settings.columns, encoding=settings.encoding)
        if label is not None and label not in table.roles:
            raise DataError(f"{table.name}: has no column {label!r} of labels")
        names = [one.unique_id for one in table.series]
        if 1 < len(self.channels) < len(names) and set(self.channels) <= set(names):
            return table.chosen(names.index(channel) for channel in self.channels)  # other columns are not read
        return table

    def scaled(self, recording: Recording) -> Numbers:
        """A recording as the network reads it, (time, channel); DataError where it is shorter than a window."""
        scale = scale_for(self.scales, recording, len(self.channels))
        if len(recording) < self.window:
            raise DataError(
                f"{recording.name}: has {len(recording)} steps, a window of the model has {self.window}; give more"
            )
        return scale.scaled(recording.values)

    def errors_of(self, scaled: Numbers) -> Numbers:
        """How far the network is off at each step and channel of what ``scaled`` gives, shape (time, channel)."""
        return step_errors(scaled, lambda windows: told_again(self.network, windows), self.window, self.settings.hop)

    def _beside(self, scaled: Sequence[Numbers], beside: _Beside) -> dict[str, list[Numbers]]:
        window, hop = self.window, self.settings.hop
        errors = [step_errors(values, beside.components, window, hop) for values in scaled]
        return {
            f"rolling z-score of {window} steps": [rolling_z_scores(values, window) for values in scaled],
            f"principal components ({beside.components.components})": [
                root_mean_square(one, beside.deviations) for one in errors
            ],
        }


@dataclass(frozen=True)
class _Beside:
    """Principal components of the training windows, and how far their errors are off there."""

    components: PrincipalComponents
    deviations: tuple[float, ...]

    @classmethod
    def of(cls, data: AnomalyData, settings: Settings) -> _Beside:
        window = settings.window or USUAL_WINDOW
        windows: list[Numbers] = []
        for recording in data.recordings:
            values = data.scaled(recording)[: training_steps(recording, window, settings)]
            begins = window_begins(len(values), window, max(1, window // 8))
            windows += [values[begin : begin + window] for begin in begins]
        if len(windows) > MOST_WINDOWS:
            chosen = np.random.default_rng(0).choice(len(windows), MOST_WINDOWS, replace=False)
            windows = [windows[place] for place in sorted(chosen.tolist())]
        stacked = np.stack(windows)
        components = PrincipalComponents(stacked)
        deviation = np.maximum((stacked - components(stacked)).std(axis=(0, 1)), 1e-6)
        return cls(components, tuple(deviation.tolist()))


def _begin(source: Any, settings: Settings, run: Run) -> tuple[Settings, AnomalyData, RecurrentAutoencoder]:
    """Prepare a new run: its folder, data, settings and network."""
    if source is None:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there is nothing to learn from"
        raise ArgumentError(f"{missing}; give a file of series, or --sample")
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        if run.processes.is_main:
            load_data(source, settings, run)
        run.processes.wait()
        data = open_data(run.folder, settings)
        settings = size_settings(settings, data, run.processes)
        network = _network(settings, data, run)
    if run.processes.is_main:
        write_settings(run.folder, TASK, settings)
    run.processes.wait()
    weights = sum(weight.numel() for weight in network.parameters())
    run.display.line(f"{settings.name}, windows of {settings.window} steps; {weights:,} weights")
    return settings, data, network


def _network(settings: Settings, data: AnomalyData, run: Run) -> RecurrentAutoencoder:
    torch.manual_seed(settings.seed)
    return build_model(settings, data.channels).to(run.processes.device)
