"""Pictures: captioned, with where each word looked; asked about; classified."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.studio.requests import PICTURE, Name, picture_of
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import captioning, image_classification, visual_question_answering
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer

router = APIRouter(tags=["pictures"])


class Captioned(BaseModel):
    """What is said about a picture."""

    model: str
    text: str
    log_probability: float
    pieces: list[str]
    attention: list[list[list[float]]] | None = Field(
        description="How much each piece, and the end, looked at each place: (pieces + 1, rows, columns); none "
        "without attention."
    )
    others: list[str] = Field(description="The next best captions.")


class Answered(BaseModel):
    """The answer to a question about a picture."""

    model: str
    answer: str
    probabilities: dict[str, float] = Field(description="Of the likeliest answers, the best first.")
    unknown: list[str] = Field(description="Words of the question that the model doesn't know.")


class Labelled(BaseModel):
    """What a classifier says about a picture."""

    model: str
    labels: list[str]
    probabilities: dict[str, float]


@router.post("/v1/caption", openapi_extra=PICTURE)
async def caption(
    studio: TheStudio, body: Body, model: Name = None, beam_size: Annotated[int, Query(ge=1, le=32)] = 5
) -> Captioned:
    """Say what is in a picture, which is the body of the request, and where the network looked for each word."""
    entry = studio.shelf.entry(model, captioning.TASK)

    def look(loaded: Captioner) -> Captioned:
        pixels = picture_of(body)
        has_attention = loaded.settings.attention != "none"
        (found,) = loaded.caption([pixels], attention=has_attention, beam_size=beam_size, n_best=min(3, beam_size))
        return Captioned(
            model=entry.name,
            text=found.text,
            log_probability=found.log_probability,
            pieces=list(found.pieces),
            attention=None if found.attention is None else np.round(found.attention.astype(np.float64), 4).tolist(),
            others=[one.text for one in found.others],
        )

    return await studio.ask(entry, Captioner, look)


@router.post("/v1/answer", openapi_extra=PICTURE)
async def answer(
    studio: TheStudio,
    body: Body,
    question: Annotated[str, Query(min_length=1, max_length=500)],
    model: Name = None,
) -> Answered:
    """Answer a question about a picture, which is the body of the request."""
    entry = studio.shelf.entry(model, visual_question_answering.TASK)

    def look(loaded: VisualQuestionAnswerer) -> Answered:
        (found,) = loaded.answer(picture_of(body), [question])
        return Answered(
            model=entry.name,
            answer=found.answer,
            probabilities={name: round(value, 6) for name, value in found.probabilities.items()},
            unknown=list(found.unknown),
        )

    return await studio.ask(entry, VisualQuestionAnswerer, look)


@router.post("/v1/label", openapi_extra=PICTURE)
async def label(studio: TheStudio, body: Body, model: Name = None) -> Labelled:
    """Classify a picture, which is the body of the request."""
    entry = studio.shelf.entry(model, image_classification.TASK)

    def look(loaded: ImageClassifier) -> Labelled:
        (found,) = loaded.predict([picture_of(body)])
        probabilities = {name: round(value, 6) for name, value in found.probabilities.items()}
        return Labelled(model=entry.name, labels=list(found.labels), probabilities=probabilities)

    return await studio.ask(entry, ImageClassifier, look)
