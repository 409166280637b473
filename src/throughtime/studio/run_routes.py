"""Which models there are, and how their training went or goes: its records, live."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from throughtime.studio.events import ALIVE, event, event_stream
from throughtime.studio.shelf import Entry
from throughtime.studio.work import TheStudio
from throughtime.tasks.loading import AnyModel
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import read_metrics

router = APIRouter(tags=["models"])

PAUSE = 1.0
SILENT_PAUSES = 15


class ModelFacts(BaseModel):
    """A model of the studio."""

    name: str
    task: str
    is_ready: bool = Field(description="Whether it has weights; a run has none before its first validation.")
    about: str = Field(description="What it is, in words.")
    weights: int | None
    classes: list[str] | None = Field(description="Of a classifier.")


class Models(BaseModel):
    """The models of the studio."""

    models: list[ModelFacts]


class Records(BaseModel):
    """What training logged."""

    model: str
    records: list[dict[str, Any]] = Field(description="The lines of metrics.jsonl, from the one asked for.")
    next: int = Field(description="How many there are: what to ask for next.")


@router.get("/v1/models")
async def models(studio: TheStudio) -> Models:
    """The models that the studio holds."""
    entries = list(studio.shelf.entries.values())
    return Models(models=[await anyio.to_thread.run_sync(_facts, entry) for entry in entries])


@router.get("/v1/runs/{name}")
async def records(name: str, studio: TheStudio, start: Annotated[int, Query(ge=0)] = 0) -> Records:
    """What the training of a model logged: losses, gradient norms, speed."""
    entry = studio.shelf.entry(name)
    found = await anyio.to_thread.run_sync(_records, entry)
    return Records(model=name, records=found[start:], next=len(found))


@router.get("/v1/runs/{name}/events", response_class=StreamingResponse)
async def follow(name: str, studio: TheStudio, start: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
    """Follow the training of a model: an event called `records` for what is new in its log, for as long as one listens.

    An event called `weights` says that better weights were written, which requests use from then on.
    """
    return event_stream(run_events(studio.shelf.entry(name), start))


async def run_events(entry: Entry, start: int = 0) -> AsyncGenerator[str]:
    """What comes of a run, as events, without end: its log from a record on, and that weights were written."""
    weights, silence, written = entry.weights_written, 0, -1
    found: list[dict[str, Any]] = []
    while True:
        if (size := _log_size(entry)) != written:
            found, written = await anyio.to_thread.run_sync(_records, entry), size
        start = min(start, len(found))  # a run that was resumed has cut its log
        newest = entry.weights_written
        if len(found) > start:
            yield event("records", {"records": found[start:], "next": len(found)})
            start, silence = len(found), 0
        if newest != weights:
            yield event("weights", {"is_ready": newest is not None})
            weights, silence = newest, 0
        silence += 1
        if silence % SILENT_PAUSES == 0:
            yield ALIVE
        await asyncio.sleep(PAUSE)


def _log_size(entry: Entry) -> int:
    file = entry.folder.metrics_file
    return file.stat().st_size if file.exists() else 0


def _records(entry: Entry) -> list[dict[str, Any]]:
    """JSON has neither NaN nor infinity."""
    return [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in one.items()}
        for one in read_metrics(entry.folder.metrics_file)
    ]


def _facts(entry: Entry) -> ModelFacts:
    if not entry.is_ready:
        return ModelFacts(
            name=entry.name, task=entry.task, is_ready=False, about="in training", weights=None, classes=None
        )
    model = entry.model()
    if isinstance(model, Word2Vec):
        words, size = model.vectors.vectors.shape
        about, weights = f"{words:,} words, {size} features", words * size
    else:
        about = _about(model)
        weights = sum(weight.numel() for weight in model.network.parameters())
    targets = getattr(model, "targets", None)
    classes = None if targets is None else list(targets.classes)
    return ModelFacts(name=entry.name, task=entry.task, is_ready=True, about=about, weights=weights, classes=classes)


def _about(model: AnyModel) -> str:
    for place, name in ((model, "title"), (model, "name"), (getattr(model, "settings", None), "network_name")):
        found = getattr(place, name, None)
        if isinstance(found, str):
            return found
    return type(model).__name__
