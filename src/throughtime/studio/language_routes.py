"""Language models: write as one watches, and read a text: each token's surprise, and what neurons do at it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import numpy as np
import torch
from fastapi import APIRouter
from pydantic import BaseModel, Field

from throughtime.errors import ThroughTimeError
from throughtime.inspection import language_reading, most_varied, pieces_of, rank_by_features, record_gates, surprises
from throughtime.inspection.neurons import values_of
from throughtime.studio.events import event, event_stream
from throughtime.studio.limits import LONGEST_STOP, MOST_CHARACTERS, MOST_STOPS, MOST_TOKENS
from throughtime.studio.requests import Asked, Text
from throughtime.studio.work import TheStudio
from throughtime.studio.written_text import Piece, WriteRequest
from throughtime.tasks import language_modelling
from throughtime.tasks.language_model import LanguageModel

router = APIRouter(tags=["language models"])

MOST_TOKENS_READ = 3_000
VARIED, RANKED = 8, 2

StopString = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]


class Generate(Asked):
    """What is to be written."""

    prompt: Text = Field("", description="What the text begins with.")
    length: int = Field(400, ge=1, le=MOST_TOKENS, description="Tokens to write.")
    temperature: float = Field(0.8, ge=0, le=10, description="0 always takes the likeliest token.")
    top_k: int | None = Field(None, ge=1, description="Draw from so many of the likeliest tokens.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the fewest tokens with this probability.")
    min_p: float | None = Field(None, ge=0, le=1, description="Draw from tokens this times as likely as the likeliest.")
    repetition_penalty: float | None = Field(None, gt=0, le=100, description="Above 1, tokens come again less.")
    stop: list[StopString] = Field([], max_length=MOST_STOPS, description="The text ends before the first of these.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="The same seed writes the same text.")
    stream: bool = Field(False, description="Send pieces as they come, as server-sent events.")


class Generated(BaseModel):
    """A text that was written."""

    model: str
    prompt: str
    text: str = Field(description="What comes after the prompt.")
    pieces: list[str] = Field(description="The same, token by token.")
    surprise: list[float] = Field(description="Of each piece: -log of its probability, in nats.")
    ended: str = Field(description='"length"; "stop" at one of the strings; "time" where it took too long.')


class Read(Asked):
    """A text to read."""

    text: Annotated[str, Field(min_length=2, max_length=MOST_CHARACTERS)]
    neurons: bool = Field(True, description="Whether to tell what neurons do.")


class NeuronValues(BaseModel):
    """What a neuron does at each piece."""

    name: str
    follows: str | None = Field(description="What in the text it follows, of all neurons among the best.")
    score: float | None = Field(description="How well: AUROC for what is there or isn't, else the correlation.")
    values: list[float]


class ReadText(BaseModel):
    """How a model read a text."""

    model: str
    pieces: list[str]
    surprise: list[float | None] = Field(description="Of each piece, in nats; the first has none.")
    bits_per_character: float
    neurons: list[NeuronValues]


@router.post(
    "/v1/generate",
    response_model=Generated,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def generate(asked: Generate, studio: TheStudio) -> object:
    """Let a language model write.

    With `stream`, events called `piece` carry `text` and `surprise`, and one called `end` says why it ended.
    Texts that are asked for at the same time are written side by side, a step of the network for all of them.
    """
    entry = studio.shelf.entry(asked.model, language_modelling.TASK)
    sampling = asked.model_dump(include={"temperature", "top_k", "top_p", "min_p", "repetition_penalty"})
    request = WriteRequest(asked.prompt, asked.length, sampling, tuple(asked.stop), asked.seed, studio.limits.seconds)
    written = await studio.write(entry, request)
    if asked.stream:
        return event_stream(_events(written))
    pieces: list[Piece] = []
    ended = "length"
    async for several in written:
        for piece in several:
            if isinstance(piece, str):
                ended = piece
            else:
                pieces.append(piece)
    return Generated(
        model=entry.name,
        prompt=asked.prompt,
        text="".join(piece.text for piece in pieces),
        pieces=[piece.text for piece in pieces],
        surprise=[round(piece.surprise, 4) for piece in pieces],
        ended=ended,
    )


async def _events(written: AsyncGenerator[list[Piece | str]]) -> AsyncGenerator[str]:
    try:
        async for several in written:
            yield "".join(map(_event, several))
    except ThroughTimeError as error:
        yield event("error", {"error": str(error)})
    finally:
        await written.aclose()


def _event(piece: Piece | str) -> str:
    if isinstance(piece, str):
        return event("end", {"ended": piece})
    return event("piece", {"text": piece.text, "surprise": round(piece.surprise, 4)})


@router.post("/v1/read")
async def read(asked: Read, studio: TheStudio) -> ReadText:
    """Let a language model read a text: how much each token surprises it, and what its neurons do meanwhile."""
    entry = studio.shelf.entry(asked.model, language_modelling.TASK)

    def look(model: LanguageModel) -> ReadText:
        tokens = model.tokenizer.encode(asked.text)[:MOST_TOKENS_READ]
        pieces = pieces_of(model.tokenizer, tokens)
        found = surprises(model, tokens).double() if len(tokens) > 1 else torch.zeros(0, dtype=torch.float64)
        nats = found.tolist()
        characters = max(len("".join(pieces[1:])), 1)
        return ReadText(
            model=entry.name,
            pieces=pieces,
            surprise=[None, *(round(own, 4) for own in nats)],
            bits_per_character=sum(nats) / characters / float(np.log(2)),
            neurons=_neurons(model, tokens, pieces) if asked.neurons and len(tokens) > 3 else [],
        )

    return await studio.ask(entry, LanguageModel, look)


def _neurons(model: LanguageModel, tokens: np.ndarray, pieces: list[str]) -> list[NeuronValues]:
    ids = torch.from_numpy(tokens).unsqueeze(1)
    # The last token is read as well, so it is given something to predict.
    reading = language_reading(model.network, torch.cat([ids, ids[-1:]]), [pieces])
    activations = record_gates(reading.layer, reading.inputs, reading.state)
    found: list[NeuronValues] = []
    for feature, best in rank_by_features(pieces, activations).items():
        for one in best[:RANKED]:
            values = values_of(activations, one.neuron)
            found.append(
                NeuronValues(name=str(one.neuron), follows=feature, score=round(one.score, 3), values=_centred(values))
            )
    for neuron in most_varied(activations, VARIED):
        values = _centred(values_of(activations, neuron))
        found.append(NeuronValues(name=str(neuron), follows=None, score=None, values=values))
    return found


def _centred(values: np.ndarray) -> list[float]:
    return np.round(values - np.median(values), 4).tolist()
