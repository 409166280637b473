"""Time series: a table's content in, forecasts with intervals out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import numpy as np
import polars as pl
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.data.series import ID, TIME, SeriesTable
from throughtime.studio.limits import MOST_HORIZON, MOST_SERIES_SHOWN
from throughtime.studio.requests import Name, content_of
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import forecasting
from throughtime.tasks.forecaster import Forecaster

router = APIRouter(tags=["time series"])

TABLE = content_of(
    "text/csv", "A CSV: unique_id, ds, y; or a series in each column. The model's own if empty.", required=False
)
HISTORIES = 4
"""Horizons of history that come along."""


class Interval(BaseModel):
    """In which the value lies with a probability."""

    level: float = Field(description="In per cent.")
    low: list[float | None]
    high: list[float | None]


class SeriesForecast(BaseModel):
    """One series, its last steps, and its forecast."""

    unique_id: str
    history_ds: list[str]
    history: list[float | None]
    ds: list[str]
    forecast: list[float | None]
    intervals: list[Interval] = Field(description="The widest first.")


class Forecast(BaseModel):
    """Forecasts of some series."""

    model: str
    frequency: str
    series: list[SeriesForecast]
    left_out: int = Field(description="Series that are too many to show.")
    remarks: list[str] = Field(description="What was understood of the table.")


@router.post("/v1/forecast", openapi_extra=TABLE)
async def forecast(
    studio: TheStudio,
    body: Body,
    model: Name = None,
    horizon: Annotated[int | None, Query(ge=1, le=MOST_HORIZON, description="Steps; as trained by default.")] = None,
) -> Forecast:
    """Forecast the steps after series, which are the body of the request as CSV; the model's own without a body."""
    entry = studio.shelf.entry(model, forecasting.TASK)

    def look(loaded: Forecaster) -> Forecast:
        table = loaded.table_of(body or None)
        shown = table.chosen(list(range(min(len(table), MOST_SERIES_SHOWN))))
        frame: pl.DataFrame = loaded.predict(shown, h=horizon)
        return Forecast(
            model=entry.name,
            frequency=table.frequency.description,
            series=[_series(shown, row, frame, loaded) for row in range(len(shown))],
            left_out=len(table) - len(shown),
            remarks=list(table.remarks) if body else [],
        )

    return await studio.ask(entry, Forecaster, look)


def _series(table: SeriesTable, row: int, frame: pl.DataFrame, model: Forecaster) -> SeriesForecast:
    series = table.series[row]
    own = frame.filter(pl.col(ID) == series.unique_id)
    recent = series.between(series.end - max(HISTORIES * len(own), 30), series.end)
    levels = sorted(model.settings.level, reverse=True) if model.settings.distribution != "point" else []
    return SeriesForecast(
        unique_id=series.unique_id,
        history_ds=stamps(table.stamps(np.arange(recent.first, recent.end))),
        history=numbers(recent.values),
        ds=stamps(own[TIME].to_list()),
        forecast=numbers(own[model.name].to_numpy()),
        intervals=[
            Interval(
                level=level,
                low=numbers(own[f"{model.name}-lo-{level:g}"].to_numpy()),
                high=numbers(own[f"{model.name}-hi-{level:g}"].to_numpy()),
            )
            for level in levels
        ],
    )


def numbers(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON has them, which has no NaN."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values.tolist()]


def stamps(moments: Iterable[object]) -> list[str]:
    """Stamps as people write them: without seconds where all are 0, without times of day where all are midnight."""
    texts = [str(moment).replace("T", " ").removesuffix(".000000") for moment in moments]
    if all(text.endswith(":00") and text.count(":") == 2 for text in texts):
        texts = [text.removesuffix(":00") for text in texts]
    if all(text.endswith(" 00:00") for text in texts):
        texts = [text.removesuffix(" 00:00") for text in texts]
    return texts
