from __future__ import annotations

import importlib
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import uvicorn
from starlette.testclient import TestClient

from throughtime import (
    AnomalyDetector,
    Captioner,
    Forecaster,
    ImageClassifier,
    LanguageModel,
    SequenceClassifier,
    TextClassifier,
    TextInMemory,
    Translator,
    VideoCaptioner,
    VideoClassifier,
    VideoPredictor,
    VisualQuestionAnswerer,
    Word2Vec,
)
from throughtime.data import (
    CaptionedImages,
    LabelledImages,
    ParallelText,
    VisualQuestions,
    gliding_digits,
    little_world,
    moving_digits,
    moving_shapes,
    sample_gestures,
    sample_reviews,
)
from throughtime.data.sample_signals import sample_signals
from throughtime.studio import Shelf, make_app
from throughtime.studio.server import listen

QUICK: dict[str, Any] = {"hidden_size": 16, "steps": 4, "device": "cpu", "precision": "32"}
TEXT = TextInMemory('"Yes" (he said) twice,\nand\n\n"no" (she said) 3 times.\n' * 60, "a talk")
PAIRS = ParallelText.of(["a b c", "b c", "c a", "a"] * 10, ["x y z", "y z", "z x", "x"] * 10)
PIXELS = [np.full((12, 16, 3), 20 * number, np.uint8) for number in range(12)]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each task that has a view, hardly trained."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    small: dict[str, Any] = {**QUICK, "embedding_size": 8}
    LanguageModel.fit(TEXT, output=place / "lm", batch_size=4, bptt=16, num_layers=2, cell="gru", **small)
    LanguageModel.fit(TEXT, output=place / "lstm", batch_size=4, bptt=16, num_layers=1, tokens="byte", **small)
    TextClassifier.fit(sample_reviews(60), output=place / "reviews", **small)
    Translator.fit(PAIRS, output=place / "translator", tokens="word", **small)
    Translator.fit(PAIRS, output=place / "plain", tokens="word", attention="none", **small)
    Word2Vec(size=8, epochs=1, threads=1).fit(little_world(300), output=place / "vectors")
    Forecaster.fit(_sales(), h=7, output=place / "sales", window=15, context=8, members=1, **QUICK)
    captions = CaptionedImages.of(PIXELS, [["it is grey"], ["a grey wall"]] * 6)
    pictured: dict[str, Any] = {**small, "channels": (4, 4)}
    Captioner.fit(captions, output=place / "captions", **pictured)
    alone: dict[str, Any] = {**pictured, "channels": [4]}
    asked = [(number, "is it white?", "yes" if number > 5 else "no") for number in range(12)]
    VisualQuestionAnswerer.fit(VisualQuestions.of(PIXELS, asked), output=place / "questions", joint_size=8, **alone)
    kinds = LabelledImages.of(PIXELS, ["dark" if number < 6 else "light" for number in range(12)])
    ImageClassifier.fit(kinds, output=place / "pictures", steps=4, device="cpu", precision="32", channels=(4, 4))
    SequenceClassifier.fit(sample_gestures(40), output=place / "gestures", **QUICK)
    AnomalyDetector.fit(sample_signals(300), output=place / "machine", window=12, **QUICK)
    filmed: dict[str, Any] = {"num_layers": 1, "steps": 4, "device": "cpu", "precision": "32"}
    VideoClassifier.fit(gliding_digits(20, frames=3), output=place / "videos", channels=[4], hidden_size=8, **filmed)
    clips = moving_shapes(20, frames=3, side=16)
    VideoCaptioner.fit(clips, output=place / "clips", channels=[4], hidden_size=8, embedding_size=8, **filmed)
    VideoPredictor.fit(moving_digits(20, frames=4, side=16), output=place / "frames", hidden_channels=4, **filmed)
    return {path.name: path for path in place.iterdir()}


def _sales() -> pl.DataFrame:
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2023, 4, 30), eager=True)
    rows = [
        pl.DataFrame({"unique_id": name, "ds": days, "y": np.sin(np.arange(120.0)) + 9}) for name in ("east", "west")
    ]
    return pl.concat(rows)


@pytest.fixture(scope="session")
def shelf(folders: dict[str, Path]) -> Shelf:
    return Shelf(list(folders.values()), device="cpu")


@pytest.fixture
def client(shelf: Shelf) -> Generator[TestClient]:
    with TestClient(make_app(shelf), base_url="http://127.0.0.1:8765") as client:
        yield client


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Serve = Callable[[int], AbstractContextManager[str]]
"""At a port, or any that is free for 0, as long as a ``with`` lasts; gives the address."""


@pytest.fixture(scope="session")
def browser() -> Generator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with importlib.import_module(playwright.__name__).sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve_at(shelf: Shelf) -> Serve:
    @contextmanager
    def serving(port: int) -> Generator[str]:
        with listen("127.0.0.1", port) as listener:
            app = make_app(shelf)
            server = uvicorn.Server(
                uvicorn.Config(app, log_level="critical", ws="none", lifespan="off", timeout_graceful_shutdown=0)
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            server.should_exit = True
            thread.join(5)

    return serving


@pytest.fixture(scope="module")
def address(serve_at: Serve) -> Generator[str]:
    with serve_at(0) as address:
        yield address


@pytest.fixture
def page(browser: Any, address: str) -> Generator[Any]:
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(10_000)
    problems: list[str] = []

    def note(message: Any) -> None:
        if is_problem(message):
            problems.append(message.text)

    def note_error(error: Any) -> None:
        problems.append(str(error))

    page.on("pageerror", note_error)
    page.on("console", note)
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    yield page
    assert not problems
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    context.close()


def is_problem(message: Any) -> bool:
    """Answers that refuse something are on the page; a browser calls them errors as well."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")
