"""Requests of all kinds that a studio answers, right ones and wrong ones, for the models that it holds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np

from throughtime.data import animation_of, image_of

DRAW = np.random.default_rng(0)
TEXT = "The value of the first argument is not bad at all."


@dataclass(frozen=True)
class Request:
    """A request; ``arguments`` are its path, its body and the body's type."""

    arguments: tuple[str, bytes, str]
    method: str = "POST"
    is_right: bool = True


def requests_for(models: list[dict[str, Any]]) -> list[Request]:
    """For each model those of its task, then what is asked of any studio."""
    found = [request for model in models for request in KINDS.get(model["task"], nothing)(model["name"])]
    inside = {"language_modelling", "text_classification", "translation", "forecasting", "sequence_classification"}
    found += [as_json("/v1/inspect", model=model["name"]) for model in models if model["task"] in inside]
    found += [got(f"/v1/runs/{model['name']}") for model in models]
    found += [got("/"), got("/docs"), got("/openapi.json"), got("/v1/models")]
    found += [
        as_json("/v1/generate", is_right=False, model="none"),
        as_json("/v1/classify", is_right=False, text=1),
        sent("/v1/caption", b"no picture", is_right=False),
        got("/nowhere", is_right=False),
    ]
    return found


def as_json(path: str, *, is_right: bool = True, **body: Any) -> Request:
    return Request((path, json.dumps(body).encode(), "application/json"), is_right=is_right)


def sent(path: str, content: bytes, *, is_right: bool = True, **options: Any) -> Request:
    return Request((f"{path}?{urlencode(options)}", content, "application/octet-stream"), is_right=is_right)


def got(path: str, *, is_right: bool = True, **options: Any) -> Request:
    return Request((f"{path}?{urlencode(options)}", b"", ""), "GET", is_right)


def nothing(_: str) -> Iterator[Request]:
    yield from ()


def language(name: str) -> Iterator[Request]:
    for number in range(4):
        options = {"model": name, "prompt": TEXT[: 7 * number], "length": 20 + 10 * number, "stop": ["\n\n"]}
        yield as_json("/v1/generate", stream=number % 2 == 0, **options)
    yield as_json("/v1/read", model=name, text=TEXT)
    yield as_json("/v1/generate", model=name, length=0, is_right=False)


def texts(name: str) -> Iterator[Request]:
    yield as_json("/v1/classify", model=name, text=TEXT, explain=True)
    yield as_json("/v1/classify", model=name, text=TEXT, label="no such class", explain=True, is_right=False)


def translation(name: str) -> Iterator[Request]:
    yield as_json("/v1/translate", model=name, text="12 March 1987", n_best=3)


def words(name: str) -> Iterator[Request]:
    yield got("/v1/vectors/words", model=name, prefix="k")
    yield got("/v1/vectors/neighbours", model=name, word="nothing like this", is_right=False)


def series(name: str) -> Iterator[Request]:
    days = np.arange("2024-01-01", "2024-04-01", dtype="datetime64[D]")
    table = "ds,y\n" + "".join(f"{day},{10 + place % 7}\n" for place, day in enumerate(days))
    yield sent("/v1/forecast", table.encode(), model=name)
    yield sent("/v1/forecast", b"a,b\n1\n", model=name, is_right=False)


def own_data(path: str) -> Any:
    """The model's own data, and a file that can't be read."""

    def requests(name: str) -> Iterator[Request]:
        yield sent(path, b"", model=name)
        yield sent(path, b"\x00\x01\x02", model=name, is_right=False)

    return requests


def picture(path: str, **options: Any) -> Any:
    content = io.BytesIO()
    image_of(DRAW.integers(0, 256, (64, 64, 3), np.uint8)).save(content, "PNG")

    def requests(name: str) -> Iterator[Request]:
        yield sent(path, content.getvalue(), model=name, **options)
        yield sent(path, content.getvalue()[:200], model=name, **options, is_right=False)

    return requests


def video(path: str) -> Any:
    content = animation_of(DRAW.integers(0, 256, (8, 32, 32, 1), np.uint8))

    def requests(name: str) -> Iterator[Request]:
        yield sent(path, content, model=name)
        yield from own_data(path)(name)

    return requests


KINDS = {
    "language_modelling": language,
    "text_classification": texts,
    "translation": translation,
    "word2vec": words,
    "forecasting": series,
    "sequence_classification": own_data("/v1/label-sequences"),
    "anomaly_detection": own_data("/v1/detect"),
    "captioning": picture("/v1/caption"),
    "visual_question_answering": picture("/v1/answer", question="what is it?"),
    "image_classification": picture("/v1/label"),
    "video_classification": video("/v1/label-video"),
    "next_frame": video("/v1/next-frames"),
}
