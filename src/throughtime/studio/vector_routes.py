"""Word vectors: words that begin alike, neighbours with their map, analogies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from throughtime.studio.limits import MOST_ANSWERS
from throughtime.studio.requests import Name
from throughtime.studio.shelf import Entry
from throughtime.studio.work import Result, Studio, TheStudio
from throughtime.tasks import word2vec
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.word2vec import WordVectors, word_map

router = APIRouter(prefix="/v1/vectors", tags=["word vectors"])

Word = Annotated[str, Query(min_length=1, max_length=200)]
Count = Annotated[int, Query(ge=1, le=MOST_ANSWERS)]


class Neighbour(BaseModel):
    """A word that was found."""

    word: str
    score: float = Field(description="The cosine, or the score of the analogy.")
    x: float = Field(description="Its place on the map: the first principal component of the words shown.")
    y: float


class Neighbours(BaseModel):
    """Words that were found, best first; a map of them holds the words that were asked about as well."""

    model: str
    asked: list[Neighbour]
    found: list[Neighbour]


class Words(BaseModel):
    """Words, the most frequent first."""

    model: str
    words: list[str]


@router.get("/words")
async def words(studio: TheStudio, model: Name = None, prefix: Annotated[str, Query(max_length=200)] = "") -> Words:
    """The most frequent words that begin with some letters."""

    def look(vectors: WordVectors, entry: Entry) -> Words:
        matching = (word for word in vectors.words if word.startswith(prefix))
        return Words(model=entry.name, words=list(islice(matching, MOST_ANSWERS)))

    return await _ask(studio, model, look)


@router.get("/neighbours")
async def neighbours(studio: TheStudio, word: Word, model: Name = None, count: Count = 15) -> Neighbours:
    """The words nearest to a word, by the cosine."""

    def look(vectors: WordVectors, entry: Entry) -> Neighbours:
        return _mapped(vectors, entry, [word], vectors.most_similar(word, count))

    return await _ask(studio, model, look)


@router.get("/analogy")
async def analogy(
    studio: TheStudio,
    a: Word,
    b: Word,
    c: Word,
    model: Name = None,
    count: Count = 5,
    method: Literal["3cosadd", "3cosmul"] = "3cosadd",
) -> Neighbours:
    """What is to `c` as `b` is to `a`: man, king, woman gives queen."""

    def look(vectors: WordVectors, entry: Entry) -> Neighbours:
        return _mapped(vectors, entry, [a, b, c], vectors.analogies([(a, b, c)], count, method=method)[0])

    return await _ask(studio, model, look)


async def _ask(studio: Studio, name: str | None, look: Callable[[WordVectors, Entry], Result]) -> Result:
    entry = studio.shelf.entry(name, word2vec.TASK)
    return await studio.ask(entry, Word2Vec, lambda model: look(model.vectors, entry))


def _mapped(vectors: WordVectors, entry: Entry, asked: list[str], found: list[tuple[str, float]]) -> Neighbours:
    every = [*asked, *(word for word, _ in found)]
    points = np.round(word_map(vectors, every), 4).tolist()
    scores = [*[1.0] * len(asked), *(round(float(score), 4) for _, score in found)]
    rows = [
        Neighbour(word=word, score=score, x=x, y=y) for word, score, (x, y) in zip(every, scores, points, strict=True)
    ]
    return Neighbours(model=entry.name, asked=rows[: len(asked)], found=rows[len(asked) :])
