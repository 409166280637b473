"""Pictures: captioned, with where each word looked; asked about; classified."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.data import Pixels
from throughtime.studio.requests import PICTURE, Beam, Name, picture_of
from throughtime.studio.work import Body, TheStudio
from throughtime.tasks import captioning, image_classification, visual_question_answering
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer

router = APIRouter(tags=["pictures"])


class Said(BaseModel):
    """A caption."""

    model: str
    text: str
    log_probability: float
    pieces: list[str]
    others: list[str] = Field(description="The next best captions.")


class Captioned(Said):
    """What is said about a picture."""

    attention: list[list[list[float]]] | None = Field(
        description="How much each piece, and the end, looked at each place: (pieces + 1, rows, columns); none "
        "without attention."
    )


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
async def caption(studio: TheStudio, body: Body, model: Name = None, beam_size: Beam = 5) -> Captioned:
    """Say what is in a picture, which is the body of the request, and where the network looked for each word."""
    entry = studio.shelf.entry(model, captioning.TASK)

    def look(loaded: Captioner) -> Captioned:
        return Captioned(**captioned(entry.name, loaded, picture_of(body), beam_size))

    return await studio.ask(entry, Captioner, look)


def captioned(name: str, model: Captioner | VideoCaptioner, pixels: Pixels, beam_size: int) -> dict[str, Any]:
    """What a captioner says about a picture or a video, as the fields of an answer."""
    has_attention = model.settings.attention != "none"
    (found,) = model.caption([pixels], attention=has_attention, beam_size=beam_size, n_best=min(3, beam_size))
    return {
        "model": name,
        "text": found.text,
        "log_probability": found.log_probability,
        "pieces": list(found.pieces),
        "attention": None if found.attention is None else np.round(found.attention.astype(np.float64), 4).tolist(),
        "others": [one.text for one in found.others],
    }


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
