"""Anomalies: a table of series in, a score for each step and the spans that are odd out."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from throughtime.data.series import SeriesTable
from throughtime.studio.limits import MOST_POINTS, MOST_SERIES_SHOWN, MOST_SPANS
from throughtime.studio.requests import Name
from throughtime.studio.series_routes import TABLE, numbers, stamps
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import anomaly_detection
from throughtime.tasks.anomaly_detector import AnomalyDetector, Detected

router = APIRouter(tags=["time series"])


class OddSpan(BaseModel):
    """Steps one after the other that are odd."""

    recording: str
    begin: int = Field(description="Its first step, from 0.")
    end: int = Field(description="The step after its last.")
    first: str = Field(description="When it begins.")
    last: str
    peak: float = Field(description="The largest score.")
    channel: str = Field(description="Which is furthest off there.")


class ScoredRecording(BaseModel):
    """What was measured together, and the score of each step.

    Where there are more steps than points, a point stands for several: it has the value that is furthest from the
    middle, and the highest score.
    """

    name: str
    channels: list[str]
    steps: int
    steps_per_point: int
    ds: list[str] = Field(description="When each point begins.")
    values: list[list[float | None]] = Field(description="A list for each channel.")
    scores: list[float | None]


class Anomalies(BaseModel):
    """What is odd in series."""

    model: str
    threshold: float = Field(description="A step whose score is above it is odd.")
    frequency: str
    recordings: list[ScoredRecording]
    spans: list[OddSpan] = Field(description="The oddest first.")
    left_out: int = Field(description="Recordings that are too many to show; their spans are there.")
    remarks: list[str] = Field(description="What was understood of the table.")


@router.post("/v1/detect", openapi_extra=TABLE)
async def detect(
    studio: TheStudio,
    body: Body,
    model: Name = None,
    threshold: Annotated[float | None, Query(gt=0, allow_inf_nan=False, description="The model's by default.")] = None,
    points: Annotated[int, Query(ge=2, le=MOST_POINTS, description="Of a recording to give at most.")] = 2_000,
) -> Anomalies:
    """Find what is odd in series, which are the body of the request as CSV; in the model's own without a body."""
    entry = studio.shelf.entry(model, anomaly_detection.TASK)

    def look(loaded: AnomalyDetector) -> Anomalies:
        found = loaded.detect(body or None, threshold=threshold, baselines=False)
        spans = found.spans[:MOST_SPANS]
        ends = stamps(end for span in spans for end in (span.first, span.last))
        return Anomalies(
            model=entry.name,
            threshold=found.threshold,
            frequency=found.table.frequency.description,
            recordings=[_recording(found.table, one, points) for one in found.found[:MOST_SERIES_SHOWN]],
            spans=[
                OddSpan(
                    recording=span.recording,
                    begin=span.begin,
                    end=span.end,
                    first=first,
                    last=last,
                    peak=round(span.peak, 3),
                    channel=span.channel,
                )
                for span, first, last in zip(spans, ends[::2], ends[1::2], strict=True)
            ],
            left_out=max(len(found.found) - MOST_SERIES_SHOWN, 0),
            remarks=list(found.table.remarks) if body else [],
        )

    return await studio.ask(entry, AnomalyDetector, look)


def _recording(table: SeriesTable, found: Detected, points: int) -> ScoredRecording:
    own = found.recording
    each = -(-len(own) // points)
    present = np.where(own.present, own.values, np.nan)
    return ScoredRecording(
        name=own.name,
        channels=list(own.channels),
        steps=len(own),
        steps_per_point=each,
        ds=stamps(table.stamps(own.first + np.arange(0, len(own), each))),
        values=[numbers(_furthest(channel, each)) for channel in present.T],
        scores=numbers(_furthest(found.scores, each, middle=-np.inf)),
    )


def _furthest(values: NDArray[np.float64], each: int, middle: float | None = None) -> NDArray[np.float64]:
    """Of each so many values the one that is furthest from the middle, by default the median of all."""
    if each == 1:
        return values
    padded = np.concatenate([values, np.full(-len(values) % each, np.nan)]).reshape(-1, each)
    if middle is None:
        middle = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    distances = padded if middle == -np.inf else np.abs(padded - middle)
    best = np.where(np.isnan(distances), -np.inf, distances).argmax(axis=1)
    return padded[np.arange(len(padded)), best]
