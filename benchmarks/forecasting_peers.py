"""Who forecasts in `forecasting.py`: throughtime's networks, and neuralforecast's where it is installed."""

from __future__ import annotations

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from throughtime.data.series import ID, TARGET, TIME, SeriesTable
from throughtime.tasks.forecast_backtest import CUTOFF, Found, Origins, forecast_frame
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.forecasting_settings import Settings

EVERY = 10
"""Updates between two looks at the clock."""


@dataclass(frozen=True)
class Work:
    """What is learned and judged.

    Attributes:
        table: the series.
        horizon: steps to forecast.
        read: values that a network reads before it forecasts.
        test: the last steps of each series, which are forecast.
        validation: the steps before them, which nobody learns from.
        stride: steps between two forecasts.
        hidden_size: units of the one recurrent layer.
        batch: windows of an update.
        updates: how many.
    """

    table: SeriesTable
    horizon: int
    read: int
    test: int
    validation: int
    stride: int
    hidden_size: int
    batch: int
    updates: int

    @property
    def learned(self) -> int:
        """Steps of all series that are learned from."""
        return sum(max(0, len(one) - self.test - self.validation) for one in self.table.series)


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        seconds: of an update.
        origins: steps from which forecasts were learned, of one update.
        frame: unique_id, ds, cutoff, y, and the forecast.
    """

    seconds: float
    origins: int
    frame: pl.DataFrame


def ours(work: Work, cell: str, seed: int) -> Outcome:
    """Half of what is read is the window of each step, the other half the steps before the last."""
    window = work.read // 2
    settings = Settings.of(
        {
            "horizon": work.horizon,
            "cell": cell,
            "hidden_size": work.hidden_size,
            "members": 1,
            "window": window,
            "context": work.read - window + 1,
            "batch_size": work.batch,
            "steps": work.updates,
            "validations": 1,
            "validation": work.validation,
            "distribution": "point",
            "calendar": False,
            "seed": seed,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        model = Forecaster.train(work.table.without_last(work.test), settings, output=Path(folder) / "model")
        lines = map(json.loads, model.folder.metrics_file.read_text(encoding="utf-8").splitlines())
        stamps = [(line["step"], line["seconds"]) for line in lines if "loss" in line]
        origins = Origins.rolling(work.table, work.horizon, [work.test] * len(work.table), work.stride)
        found = model.forecasts_from(work.table, origins, [])
    frame = forecast_frame(work.table, origins, found, name="forecast", level=(), with_cutoff=True)
    return Outcome(_pace(stamps), work.batch * (work.read - window + 1), frame)


def _pace(stamps: Sequence[tuple[int, float]]) -> float:
    """Seconds of an update, from the first stamp to the last: without beginnings and endings."""
    (first, begun), (last, ended) = stamps[0], stamps[-1]
    return (ended - begun) / (last - first)


def neuralforecast(work: Work, cell: str, seed: int) -> Outcome:
    """One layer of the same size and its decoder of the same; each update reads as many windows of as many values."""
    from neuralforecast import NeuralForecast, models  # noqa: PLC0415 - a peer that need not be there
    from neuralforecast.losses.pytorch import MAE  # noqa: PLC0415
    from pytorch_lightning.callbacks import LambdaCallback  # noqa: PLC0415

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    stamps: list[tuple[int, float]] = []

    def note(trainer: Any, *_: Any) -> None:
        if trainer.global_step % EVERY == 0:
            stamps.append((trainer.global_step, time.perf_counter()))

    quiet = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
    network: Any = getattr(models, cell.upper())(
        h=work.horizon,
        input_size=work.read,
        encoder_n_layers=1,
        encoder_hidden_size=work.hidden_size,
        decoder_hidden_size=work.hidden_size,
        loss=MAE(),
        max_steps=work.updates,
        windows_batch_size=work.batch,
        batch_size=min(work.batch, len(work.table)),
        random_seed=seed,
        alias="forecast",
        callbacks=[LambdaCallback(on_train_batch_end=note)],
        val_check_steps=work.updates,
        accelerator="cpu",
        enable_model_summary=False,
        **quiet,
    )
    frame = numbered(work.table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crossed: Any = NeuralForecast([network], freq=1).cross_validation(
            frame, n_windows=None, test_size=work.test, val_size=work.validation, step_size=work.stride
        )
    return Outcome(_pace(stamps), work.batch, pl.DataFrame(crossed))


def seasonal(work: Work, season: int) -> pl.DataFrame:
    """The value of a season before, for the same steps."""
    origins = Origins.rolling(work.table, work.horizon, [work.test] * len(work.table), work.stride)
    ahead = np.arange(work.horizon) % season - season + 1
    points = np.stack(
        [
            work.table.series[number].values[step + ahead]
            for number, step in zip(origins.series.tolist(), origins.step.tolist(), strict=True)
        ]
    )
    found = Found(points, np.zeros((*points.shape, 0)))
    return forecast_frame(work.table, origins, found, name="forecast", level=(), with_cutoff=True)


def numbered(table: SeriesTable) -> pl.DataFrame:
    """The series with their steps numbered, as anybody reads them."""
    steps = [np.arange(one.first, one.end) for one in table.series]
    names = [[one.unique_id] * len(one) for one in table.series]
    values = np.concatenate([one.values for one in table.series])
    columns = {ID: [name for own in names for name in own], TIME: np.concatenate(steps), TARGET: values}
    return pl.DataFrame(columns)


Contestant = Callable[[Work, str, int], Outcome]
CONTESTANTS: dict[str, Contestant] = {"throughtime": ours, "neuralforecast": neuralforecast}


def present() -> list[str]:
    """Who is installed."""
    return [name for name in CONTESTANTS if find_spec(name) is not None]


def errors(frame: pl.DataFrame, unit: dict[str, float]) -> tuple[float, float, float]:
    """Mean absolute and mean squared error, and the first in each series' unit (MASE), over all forecasts."""
    off = frame.select(pl.col(ID), CUTOFF, (pl.col("forecast") - pl.col(TARGET)).alias("off")).drop_nulls()
    scaled = off.select((pl.col("off").abs() / pl.col(ID).cast(pl.String).replace_strict(unit)).mean()).item()
    return off["off"].abs().mean(), (off["off"] ** 2).mean(), float(scaled)  # pyright: ignore[reportReturnType]
