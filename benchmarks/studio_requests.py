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

TEXT = "The value of the first argument is not bad at all , and nobody who saw it was sorry for that ."


@dataclass(frozen=True)
class Request:
    """A request; ``arguments`` are its path, its body and the body's type."""

    arguments: tuple[str, bytes, str]
    method: str = "POST"
    is_right: bool = True


def requests_for(models: list[dict[str, Any]], draw: np.random.Generator) -> list[Request]:
    """For each model those of its task, then what is asked of any studio; texts, series and videos of any lengths."""
    found = [request for model in models for request in KINDS.get(model["task"], nothing)(model["name"], draw)]
    no_inside = {"image_classification", "word2vec"}
    found += [as_json("/v1/inspect", model=model["name"]) for model in models if model["task"] not in no_inside]
    found += [got(f"/v1/runs/{model['name']}") for model in models]
    found += [got("/"), got("/docs"), got("/openapi.json"), got("/v1/models")]
    found += [
        as_json("/v1/generate", is_right=False, model="none"),
        as_json("/v1/classify", is_right=False, text=1),
        sent("/v1/caption", b"no picture", is_right=False),
        got("/nowhere", is_right=False),
    ]
    return found


def text(draw: np.random.Generator, most: int) -> str:
    """From two words to so many."""
    return " ".join(draw.choice(TEXT.split(), draw.integers(2, most, endpoint=True)))


def as_json(path: str, *, is_right: bool = True, **body: Any) -> Request:
    return Request((path, json.dumps(body).encode(), "application/json"), is_right=is_right)


def sent(path: str, content: bytes, *, is_right: bool = True, **options: Any) -> Request:
    return Request((f"{path}?{urlencode(options)}", content, "application/octet-stream"), is_right=is_right)


def got(path: str, *, is_right: bool = True, **options: Any) -> Request:
    return Request((f"{path}?{urlencode(options)}", b"", ""), "GET", is_right)


def nothing(_: str, __: np.random.Generator) -> Iterator[Request]:
    yield from ()


def language(name: str, draw: np.random.Generator) -> Iterator[Request]:
    for number in range(4):
        options: dict[str, Any] = {"prompt": text(draw, 40), "length": int(draw.integers(1, 100)), "stop": ["\n\n"]}
        yield as_json("/v1/generate", model=name, stream=number % 2 == 0, **options)
    yield as_json("/v1/read", model=name, text=text(draw, 60))
    yield as_json("/v1/generate", model=name, length=0, is_right=False)


def texts(name: str, draw: np.random.Generator) -> Iterator[Request]:
    yield as_json("/v1/classify", model=name, text=text(draw, 60), explain=True)
    yield as_json("/v1/classify", model=name, text="bad", label="no such class", explain=True, is_right=False)


def translation(name: str, draw: np.random.Generator) -> Iterator[Request]:
    yield as_json("/v1/translate", model=name, text=text(draw, 30), n_best=3)


def words(name: str, _: np.random.Generator) -> Iterator[Request]:
    yield got("/v1/vectors/words", model=name, prefix="k")
    yield got("/v1/vectors/neighbours", model=name, word="nothing like this", is_right=False)


def series(name: str, draw: np.random.Generator) -> Iterator[Request]:
    days = np.datetime64("2024-01-01") + np.arange(draw.integers(60, 400))
    # The kind is that of the generated series of `forecast train --sample`.
    table = "ds,y,kind\n" + "".join(f"{day},{10 + place % 7},market\n" for place, day in enumerate(days))
    yield sent("/v1/forecast", table.encode(), model=name)
    yield sent("/v1/forecast", b"a,b\n1\n", model=name, is_right=False)


def own_data(path: str) -> Any:
    """The model's own data, and a file that can't be read."""

    def requests(name: str, _: np.random.Generator) -> Iterator[Request]:
        yield sent(path, b"", model=name)
        yield sent(path, b"\x00\x01\x02", model=name, is_right=False)

    return requests


def picture(path: str, **options: Any) -> Any:
    def requests(name: str, draw: np.random.Generator) -> Iterator[Request]:
        content = io.BytesIO()
        height, width = draw.integers(20, 200, 2)
        image_of(draw.integers(0, 256, (height, width, 3), np.uint8)).save(content, "PNG")
        yield sent(path, content.getvalue(), model=name, **options)
        yield sent(path, content.getvalue()[:200], model=name, **options, is_right=False)

    return requests


def video(path: str) -> Any:
    def requests(name: str, draw: np.random.Generator) -> Iterator[Request]:
        frames = draw.integers(0, 256, (draw.integers(2, 20), 32, 32, 1), np.uint8)
        yield sent(path, animation_of(frames), model=name)
        yield from own_data(path)(name, draw)

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
    "video_captioning": video("/v1/caption-video"),
    "next_frame": video("/v1/next-frames"),
}
