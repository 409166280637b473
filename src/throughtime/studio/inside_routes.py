"""A look inside any model: gradient flow, gates and states over time, memory, recurrent matrices, as numbers."""

from __future__ import annotations

import math

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from throughtime.errors import ArgumentError
from throughtime.inspection import (
    Activations,
    flow_numbers,
    flow_of,
    flow_reading,
    memory_spans,
    record_gates,
    recurrent_matrices,
)
from throughtime.studio.requests import Asked
from throughtime.studio.work import TheStudio
from throughtime.tasks.loading import AnyModel
from throughtime.tasks.reading import Reading
from throughtime.tasks.word2vec_model import Word2Vec

router = APIRouter(tags=["inside"])

MOST_STEPS, MOST_UNITS = 120, 24


class Inspect(Asked):
    """What to look at a model with."""

    text: str | None = Field(None, max_length=4_000, description="What it reads; some of its own data by default.")


class LayerFlow(BaseModel):
    """How far the gradient of a loss flows back through a layer."""

    layer: str
    verdict: str = Field(description="vanishes, explodes, or reaches the first step.")
    horizon: int | None = Field(description="The lag at which it falls below 1 %; none if it doesn't.")
    factor_per_step: float | None
    relative_norm: list[float | None] = Field(description="By lag, as a share of that at lag 0.")


class Heatmap(BaseModel):
    """What a gate or a state does."""

    name: str
    low: float
    high: float
    units: list[int] = Field(description="Those that vary most.")
    values: list[list[float]] = Field(description="A row for each unit, a number for each step.")


class LayerActivity(BaseModel):
    """What a layer does, in one direction."""

    layer: str
    maps: list[Heatmap]


class Matrix(BaseModel):
    """A recurrent matrix."""

    layer: int
    gate: str
    spectral_radius: float
    norm: float


class Inside(BaseModel):
    """What is to be seen in a model."""

    model: str
    reads: str = Field(description="Which of its layers.")
    said: list[str] = Field(description="The findings in words.")
    flow: list[LayerFlow]
    pieces: list[str] = Field(description="What is read at each step, where there are texts.")
    layers: list[LayerActivity]
    matrices: list[Matrix]


@router.post("/v1/inspect")
async def inspect(asked: Inspect, studio: TheStudio) -> Inside:
    """Look inside a model while it reads."""
    entry = studio.shelf.entry(asked.model)

    def look(model: AnyModel) -> Inside:
        reading = None
        if not isinstance(model, Word2Vec):
            reading = flow_reading(model, [asked.text] if asked.text and asked.text.strip() else [])
        if reading is None:
            raise ArgumentError(f"{entry.name!r} has no recurrent layers that can be looked into")
        return _inside(entry.name, reading)

    return await studio.ask(entry, object, look)  # pyright: ignore[reportArgumentType, reportReturnType]


def _inside(name: str, reading: Reading) -> Inside:
    flow = flow_of(reading)
    activations = [one.row(0).over_places() for one in record_gates(reading.layer, reading.inputs, reading.state)]
    said = [*flow.describe(), *(span.describe() for span in memory_spans(activations))]
    if reading.loss is None:
        said.append("There is no loss at a single step here, so the gradient is that of random directions.")
    return Inside(
        model=name,
        reads=reading.name,
        said=said,
        flow=[
            LayerFlow(
                layer=row["layer"],
                verdict=row["verdict"],
                horizon=row["horizon"],
                factor_per_step=_finite(row["factor_per_step"]),
                relative_norm=[_finite(value) for value in row["relative_norm"]],
            )
            for row in flow_numbers(flow)
        ],
        pieces=list(reading.pieces[0][:MOST_STEPS]) if reading.pieces else [],
        layers=[LayerActivity(layer=one.name, maps=_maps(one)) for one in activations],
        matrices=[
            Matrix(layer=one.layer + 1, gate=one.gate, spectral_radius=one.spectral_radius, norm=one.norm)
            for one in recurrent_matrices(reading.layer)
        ],
    )


def _maps(activations: Activations) -> list[Heatmap]:
    found: list[Heatmap] = []
    for name, values in (*activations.gates.items(), *activations.states.items()):
        matrix = values[:MOST_STEPS, 0].double().cpu().numpy().T
        units = np.sort(np.argsort(-matrix.std(axis=1), kind="stable")[:MOST_UNITS])
        shown = matrix[units]
        is_gate = name in activations.gates and name != "candidate"
        reach = 1.0 if is_gate else float(np.abs(shown).max(initial=0.0)) or 1.0
        found.append(
            Heatmap(
                name=name,
                low=0.0 if is_gate else -reach,
                high=reach,
                units=units.tolist(),
                values=np.round(shown, 3).tolist(),
            )
        )
    return found


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
