"""Sequences of numbers: a file's content in, a label for each sequence out, and what each step adds to it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.data import LabelledSequences, read_sequences
from throughtime.inspection import sequence_saliency
from throughtime.studio.limits import MOST_SEQUENCES, MOST_STEPS_EXPLAINED, MOST_UNPACKED
from throughtime.studio.refusals import RefusedError
from throughtime.studio.requests import Name, content_of
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import sequence_classification
from throughtime.tasks.sequence_classifier import SequenceClassifier

router = APIRouter(tags=["classification"])

SEQUENCES = content_of(
    "application/octet-stream",
    "NPZ, JSON lines with values, or a CSV: a row for each step and a column id, a row for each sequence, or one "
    "sequence with the model's channels as columns. The model's own validation sequences if empty.",
    required=False,
)


class SequenceLabel(BaseModel):
    """What a classifier says about a sequence."""

    place: str = Field(description="Where it stands in the file.")
    labels: list[str] = Field(description="The likeliest; several where an example may have several.")
    probabilities: dict[str, float]
    known: list[str] = Field(description="Its true labels, where it is one of the model's own.")


class LookedAt(BaseModel):
    """One of the sequences, and what each step does."""

    number: int
    steps: int
    values: list[list[float]] = Field(description="A list for each channel; the first steps of a long sequence.")
    explained: str = Field(description="The class that is explained.")
    added: list[float] | None = Field(
        description="What each step adds to the score of the class, by integrated gradients; none where it is long."
    )


class SequenceLabels(BaseModel):
    """What a classifier says about sequences."""

    model: str
    channels: list[str]
    sequences: list[SequenceLabel]
    looked_at: LookedAt
    left_out: int = Field(description="Sequences that are too many.")
    remarks: list[str] = Field(description="What was understood of the file.")


@router.post("/v1/label-sequences", openapi_extra=SEQUENCES)
async def label_sequences(
    studio: TheStudio,
    body: Body,
    model: Name = None,
    look: Annotated[int, Query(ge=0, lt=MOST_SEQUENCES, description="Which sequence to look at, from 0.")] = 0,
) -> SequenceLabels:
    """Classify sequences of numbers, which are the body of the request, and look at one of them step by step."""
    entry = studio.shelf.entry(model, sequence_classification.TASK)

    def answer(loaded: SequenceClassifier) -> SequenceLabels:
        examples = _read(loaded, body) if body else loaded.own_examples()
        shown = examples.chosen(range(min(len(examples), MOST_SEQUENCES)))
        if look >= len(shown):
            raise RefusedError(400, f"`look` must be below {len(shown)}, the number of sequences, got {look}")
        predictions = loaded.predictions(loaded.probabilities(shown))
        return SequenceLabels(
            model=entry.name,
            channels=list(loaded.channels),
            sequences=[
                SequenceLabel(
                    place=example.place,
                    labels=list(found.labels),
                    probabilities={name: round(value, 6) for name, value in found.probabilities.items()},
                    known=list(example.labels),
                )
                for example, found in zip(shown.examples, predictions, strict=True)
            ],
            looked_at=_look(loaded, shown, look),
            left_out=len(examples) - len(shown),
            remarks=list(examples.remarks) if body else [],
        )

    return await studio.ask(entry, SequenceClassifier, answer)


def _read(model: SequenceClassifier, content: bytes) -> LabelledSequences:
    settings = model.settings
    return read_sequences(
        content,
        settings.sequence_columns,
        channels=model.channels,
        encoding=settings.encoding,
        most_bytes=MOST_UNPACKED,
    )


def _look(model: SequenceClassifier, examples: LabelledSequences, number: int) -> LookedAt:
    values = examples.examples[number].values
    shown = np.asarray(values[:MOST_STEPS_EXPLAINED], dtype=np.float64)
    label, added = sequence_saliency(model, shown)
    is_whole = len(values) <= MOST_STEPS_EXPLAINED
    return LookedAt(
        number=number,
        steps=len(values),
        values=[[float(f"{value:.5g}") for value in channel] for channel in shown.T.tolist()],
        explained=label,
        added=[float(f"{value:.4g}") for value in added.tolist()] if is_whole else None,
    )
