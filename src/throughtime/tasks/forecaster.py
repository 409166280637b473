"""A forecaster to hold in the hand: fit it, backtest it, let it predict, feed it a stream, save it, load it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import torch

from throughtime.data.series import SeriesTable
from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import like_given, read_series
from throughtime.data.series_future import read_future
from throughtime.errors import ArgumentError, DataError, check_positive_integer
from throughtime.models.forecast_network import ForecastEnsemble
from throughtime.tasks.forecast_backtest import Found, Origins, forecast_frame, forecasts, interval_probabilities
from throughtime.tasks.forecast_baselines import MOST_THETA, seasonal_naive, theta
from throughtime.tasks.forecast_evaluation import ForecastEvaluation, evaluate_forecasts
from throughtime.tasks.forecast_stream import ForecastStream
from throughtime.tasks.forecast_windows import new_steps, trained_backtests
from throughtime.tasks.forecaster_runs import begin_run, network_title, new_network
from throughtime.tasks.forecasting import TASK, ForecastData, build_model, fit, fit_linear_part, open_data
from throughtime.tasks.forecasting_settings import Settings
from throughtime.tasks.model_runs import in_model_folder, read_settings, resumed_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.series_cards import forecaster_card
from throughtime.tasks.trained_model import TrainedModel
from throughtime.training import Display, ModelFolder, choose_device

MOST_ORIGINS = 100


class Forecaster(TrainedModel[ForecastEnsemble, Settings]):
    """A trained forecaster.

    Attributes:
        network: the networks, whose forecasts are averaged.
        data: the series that it was trained on, and how they become numbers.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(
        self,
        network: ForecastEnsemble,
        data: ForecastData,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.data = data
        self._given: Any = None

    @classmethod
    def fit(
        cls,
        df: Any,
        *,
        h: int | None = None,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a forecaster on series.

        Args:
            df: a pandas or polars data frame with the columns unique_id, ds and y and, perhaps, covariates; or a file,
                or a ``SeriesTable``; see docs/forecasting.md for other layouts.
            h: the horizon, in steps.
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
        given = settings if h is None else {**settings, "horizon": h}
        model = cls.train(df, Settings.of(given), output=output, resume=resume, display=display)
        model._given = df
        return model

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
                network = new_network(settings, data.encoder, run)
            else:
                data, network = begin_run(source, settings, run)
            settings = data.settings
            fit(network, data, settings, run)
        model = cls(network, data, settings, folder, run.processes.device)
        return model.finish(run, lambda: forecaster_card(folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        data = open_data(place, settings)
        chosen = choose_device(device)
        network = build_model(settings, data.encoder)
        place.load_weights(network, chosen)
        return cls(network, data, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model and the series that it goes on from, without its training state, into a new folder.

        Raises:
            ModelFolderError: where something stands there already, or the model's own folder is gone.
        """
        super().save(folder)
        target = ModelFolder(folder)
        target.tokens.mkdir()
        self.data.table.save(target.tokens)

    @property
    def name(self) -> str:
        """The column of the forecasts, such as LSTM."""
        return self.settings.name

    @property
    def title(self) -> str:
        """What the network is: its size, its window, and how many weights it has."""
        return network_title(self.settings, self.network)

    def predict(
        self, df: Any = None, *, h: int | None = None, level: Sequence[float] | None = None, future: Any = None
    ) -> Any:
        """Forecast the steps after series.

        Args:
            df: the series up to the present, which may be others than those trained on; those if None.
            h: steps; as many as the model was trained for by default.
            level: of the intervals, in per cent; those that it was trained for by default.
            future: the future covariates of these steps, a data frame or a file.

        Returns:
            The columns unique_id, ds, and the model's: its forecast, such as LSTM, and its intervals, such as
            LSTM-lo-90 and LSTM-hi-90. A pandas data frame where pandas was given, else a polars one.

        Raises:
            ArgumentError: where the horizon or a level can't be used.
            DataError: where the series or the covariates can't be used.
        """
        table = self.table_of(df)
        horizon = self.settings.complete("horizon") if h is None else h
        check_positive_integer("h", horizon)
        levels = self._levels(level)
        names = list(self.data.encoder.future)
        ahead = None
        if names or future is not None:
            ahead = read_future(future, table, self.settings.columns, names, horizon)
        origins = Origins.ends(table)
        probabilities = interval_probabilities(levels)
        found = forecasts(self.network, self.data, table, origins, horizon, probabilities, ahead)
        frame = forecast_frame(table, origins, found, name=self.name, level=levels, with_cutoff=False)
        return like_given(frame, self._given if df is None else df)

    def table_of(self, df: Any) -> SeriesTable:
        """The series of a source, checked against those that the model was trained on.

        Raises:
            DataError: where the frequency is another one, a covariate is missing, or a series has no value that the
                model could go on from.
        """
        if df is None:
            return self.data.table
        own = self.data.table
        table = read_series(df, self._columns(), encoding=self.settings.encoding)
        if table.frequency.unit != own.frequency.unit:
            raise DataError(
                f"{table.name}: is {table.frequency.description}, and this model was trained on series that are "
                f"{own.frequency.description}"
            )
        encoder = self.data.encoder
        for name in [*encoder.past, *encoder.future]:
            if name not in table.roles:
                raise DataError(f"{table.name}: has no covariate {name!r}, which this model was trained with")
        if encoder.is_logarithmic:
            for one in table.series:
                if not (one.values > 0).any():
                    raise DataError(f"{table.name}: {one.unique_id} has no value above zero, as this model needs")
        for name in encoder.static:
            if name not in table.series[0].static:
                raise DataError(f"{table.name}: has no static covariate {name!r}, which this model was trained with")
        return table

    def evaluate(
        self, data: Any = None, *, steps: int | None = None, step_size: int | None = None, baselines: bool = True
    ) -> ForecastEvaluation:
        """Backtest the model as it is, without training it again, beside what it has to beat.

        Args:
            data: series; the model's own if None, whose last steps were kept to see when to stop training.
            steps: of each series, at its end, to forecast; by default those that come after what the model was trained
                on, and a tenth of series that are new.
            step_size: between two forecasts; chosen so that there are at most 100 of all series together by default.
            baselines: whether the linear and the Theta forecast stand beside the seasonal naive one, too.

        Raises:
            ArgumentError: where the numbers can't be used.
            DataError: where the data can't be used.
        """
        table = self.table_of(data)
        horizon = self.settings.complete("horizon")
        every = [steps] * len(table) if steps is not None else new_steps(table, self.data.table, self.settings)
        if max(every) < horizon:
            raise ArgumentError(f"`steps` must be at least the horizon, {horizon}, got {max(every)}")
        total = sum(max(0, own - horizon + 1) for own in every)
        between = max(1, -(-total // MOST_ORIGINS)) if step_size is None else step_size
        origins = Origins.rolling(table, horizon, every, between)
        if not len(origins):
            raise DataError(f"{table.name}: no series has {horizon} steps to forecast after some to read")
        ends = {one.unique_id: one.end for one in self.data.table.series}
        known = np.array([ends.get(one.unique_id, one.first) - one.first for one in table.series])
        if (origins.step + 1 >= known[origins.series]).all():
            return self.backtest(table, origins, baselines=baselines)
        remarks = ["these steps were kept from training, which was stopped by the error on them"]
        return self._without_kept().backtest(table, origins, baselines=baselines, remarks=remarks)

    def backtest(
        self,
        table: SeriesTable,
        origins: Origins,
        *,
        baselines: bool = True,
        others: Mapping[str, Forecaster] | None = None,
        remarks: Sequence[str] = (),
    ) -> ForecastEvaluation:
        """Forecast from origins and compare, with the simple models and with other networks.

        Args:
            table: the series.
            origins: from where.
            baselines: whether the linear and the Theta forecast stand beside, too.
            others: more forecasters, by their columns' names.
            remarks: what the reader should know.
        """
        settings, horizon = self.settings, self.settings.complete("horizon")
        level = settings.level if settings.distribution != "point" else ()
        ends = interval_probabilities(level)
        season = settings.complete("season")
        found: dict[str, Found] = {self.name: self.forecasts_from(table, origins, ends)}
        titles = {self.name: self.title, "SeasonalNaive": f"the value a season of {season} before"}
        found["SeasonalNaive"] = seasonal_naive(table, origins, horizon, season, ends)
        told = list(remarks)
        if baselines:
            fitted = theta(table, origins, horizon, season, level)
            if fitted is not None:
                found["Theta"], titles["Theta"] = fitted, "fitted anew at each place"
            elif len(origins) > MOST_THETA:
                told.append(f"Theta is left out: it would be fitted {len(origins):,} times, at most {MOST_THETA} are")
            if settings.network != "linear":
                linear = self.linear()
                found["Linear"], titles["Linear"] = linear.forecasts_from(table, origins, ends), linear.title
        for name, other in (others or {}).items():
            found[name], titles[name] = other.forecasts_from(table, origins, ends), other.title
        return evaluate_forecasts(
            table, origins, found, titles=titles, train=self.data.train, season=season, level=level, remarks=told
        )

    @classmethod
    def cross_validation(
        cls,
        df: Any,
        *,
        h: int | None = None,
        n_windows: int = 1,
        step_size: int | None = None,
        level: Sequence[float] | None = None,
        refit: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Any:
        """Train on all but the last windows of series, and forecast these.

        Args:
            df: as in ``fit``.
            h: the horizon, in steps.
            n_windows: how many forecasts of each series.
            step_size: steps between two of them; the horizon by default.
            level: of the intervals, in per cent.
            refit: whether to train anew before each window, on all that is known by then.
            display: shows progress.
            **settings: see ``Settings``.

        Returns:
            The columns unique_id, ds, cutoff, y, and the model's; pandas for pandas, else polars.
        """
        given = Settings.of(settings if h is None else {**settings, "horizon": h})
        frames: list[pl.DataFrame] = []
        table = read_series(df, given.columns, encoding=given.encoding)

        def train(part: SeriesTable, own: Settings) -> Self:
            return cls.train(part, own, display=display)

        for model, origins in trained_backtests(train, table, given, n_windows, step_size, refit=refit):
            levels = model._levels(level)
            found = model.forecasts_from(table, origins, interval_probabilities(levels))
            frames.append(forecast_frame(table, origins, found, name=model.name, level=levels, with_cutoff=True))
        return like_given(pl.concat(frames).sort("unique_id", "cutoff", "ds", maintain_order=True), df)

    def stream(
        self, series: str | None = None, df: Any = None, *, level: Sequence[float] | None = None
    ) -> ForecastStream:
        """Go on with one series, value by value; see ``ForecastStream``.

        Args:
            series: its name; may be left out where there is only one.
            df: the series so far; as it was trained on if None.
            level: of the intervals, in per cent.

        Raises:
            ArgumentError: where there is no such series.
        """
        table = self.table_of(df)
        names = [one.unique_id for one in table.series]
        if series is None and len(names) > 1:
            raise ArgumentError(f"`series` must name one of the {len(names)} series, such as {names[0]!r}")
        if series is not None and series not in names:
            raise ArgumentError(f"`series` must be one of {', '.join(names[:10])}, got {series!r}")
        one = table.chosen([names.index(series) if series is not None else 0])
        return ForecastStream(self.network, self.data, one, self._levels(level))

    def forecasts_from(self, table: SeriesTable, origins: Origins, probabilities: Sequence[float]) -> Found:
        """What the model forecasts from origins."""
        horizon = self.settings.complete("horizon")
        return forecasts(self.network, self.data, table, origins, horizon, probabilities)

    def linear(self) -> Forecaster:
        """The linear forecast that the network adds to."""
        settings = self.settings.replaced(network="linear", members=1)
        network = build_model(settings, self.data.encoder)
        network.take_linear(self.network.linear_weights())
        return Forecaster(network, replace(self.data, settings=settings), settings, self.folder, self.device)

    def _without_kept(self) -> Forecaster:
        """The model before its linear forecast was fitted on the steps that were kept, too."""
        if self.settings.network == "linear":
            return self
        network = copy.deepcopy(self.network)
        fit_linear_part(network, self.data, self.data.train)
        return Forecaster(network, self.data, self.settings, self.folder, self.device)

    def _levels(self, level: Sequence[float] | None) -> tuple[float, ...]:
        if self.settings.distribution == "point":
            if level:
                raise ArgumentError("a model with `distribution` point has no intervals; leave out `level`")
            return ()
        return self.settings.level if level is None else Settings.of({"level": tuple(level)}).level

    def _columns(self) -> SeriesColumns:
        """What is known of the columns of a table like the one trained on."""
        roles = self.data.table
        return replace(
            self.settings.columns,
            past=tuple(roles.names("past")),
            future=tuple(roles.names("future")),
            static=tuple(roles.series[0].static),
        )
