"""Texts and sentences: classified, with what each word does to it, and translated, with the alignment."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from throughtime.studio.limits import MOST_CHARACTERS, MOST_WORDS_EXPLAINED
from throughtime.studio.refusals import RefusedError
from throughtime.studio.requests import Asked
from throughtime.studio.work import TheStudio
from throughtime.tasks import text_classification, translation
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator

router = APIRouter()


class Classify(Asked):
    """A text to classify."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    explain: bool = Field(False, description="Whether to tell what each word does to the log-odds of the class.")
    label: str | None = Field(None, description="The class to explain; the likeliest by default.")


class WordEffect(BaseModel):
    """What a word does."""

    word: str
    change: float = Field(description="By how much it raises the log-odds of the explained class.")


class Classified(BaseModel):
    """What a classifier says about a text."""

    model: str
    labels: list[str] = Field(description="The likeliest; several where an example may have several.")
    probabilities: dict[str, float]
    explained: str | None = Field(description="The class that is explained.")
    words: list[WordEffect] | None


class Translate(Asked):
    """A sentence to translate."""

    text: Annotated[str, Field(max_length=2_000)]
    beam_size: int = Field(5, ge=1, le=32)
    n_best: int = Field(1, ge=1, le=32, description="Translations to give, at most `beam_size`.")


class TranslatedText(BaseModel):
    """One translation."""

    text: str
    log_probability: float


class Translated(BaseModel):
    """What a translator makes of a sentence."""

    model: str
    text: str
    log_probability: float
    source_pieces: list[str]
    pieces: list[str]
    alignment: list[list[float]] | None = Field(
        description="How much each piece of the translation, and its end, looked at each piece of the source; "
        "none without attention."
    )
    others: list[TranslatedText]


@router.post("/v1/classify", tags=["classification"])
async def classify(asked: Classify, studio: TheStudio) -> Classified:
    """Give the label and the probabilities of a text, and, if asked, what each word does to them."""
    entry = studio.shelf.entry(asked.model, text_classification.TASK)
    if asked.explain and len(asked.text.split()) > MOST_WORDS_EXPLAINED:
        raise RefusedError(400, f"a text of at most {MOST_WORDS_EXPLAINED} words can be explained; leave out `explain`")

    def look(model: TextClassifier) -> Classified:
        (found,) = model.predict([asked.text])
        explanation = model.explain(asked.text, asked.label) if asked.explain and asked.text.split() else None
        words = None
        if explanation is not None:
            words = [WordEffect(word=one.word, change=round(one.change, 4)) for one in explanation.contributions]
        return Classified(
            model=entry.name,
            labels=list(found.labels),
            probabilities={label: round(value, 6) for label, value in found.probabilities.items()},
            explained=None if explanation is None else explanation.label,
            words=words,
        )

    return await studio.ask(entry, TextClassifier, look)


@router.post("/v1/translate", tags=["translation"])
async def translate(asked: Translate, studio: TheStudio) -> Translated:
    """Translate a sentence, and tell where the network looked for each word."""
    entry = studio.shelf.entry(asked.model, translation.TASK)

    def look(model: Translator) -> Translated:
        has_attention = model.network.decoder.attention is not None
        (found,) = model.translate(
            [asked.text], alignment=has_attention, beam_size=asked.beam_size, n_best=asked.n_best, max_length=400
        )
        return Translated(
            model=entry.name,
            text=found.text,
            log_probability=found.log_probability,
            source_pieces=list(found.source_pieces),
            pieces=list(found.pieces),
            alignment=None if found.alignment is None else np.round(found.alignment.astype(np.float64), 4).tolist(),
            others=[TranslatedText(text=one.text, log_probability=one.log_probability) for one in found.others],
        )

    return await studio.ask(entry, Translator, look)
