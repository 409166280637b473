"""The page in a browser: each task's main path by clicking and typing. Skipped without Playwright and Chromium."""

from __future__ import annotations

import importlib
import shutil
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from throughtime.studio import Shelf, make_app
from throughtime.studio.server import listen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def address(shelf: Shelf) -> Generator[str]:
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(
            uvicorn.Config(make_app(shelf), log_level="error", ws="none", lifespan="off", timeout_graceful_shutdown=0)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(5)


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


def choose(page: Any, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, level=1).wait_for()


def test_a_language_model_writes_and_is_looked_into(page: Any) -> None:
    choose(page, "lm")
    page.get_by_label("Beginning").fill("(he ")
    page.get_by_label("Tokens").fill("60")
    page.get_by_label("Beginning").press("Control+Enter")
    page.get_by_text("Read again").wait_for()
    text = page.get_by_role("region", name="Text written by lm").text_content()
    assert text.startswith("(he ")
    assert len(text) == 64
    page.get_by_label("Coloured by").select_option(index=2)
    page.get_by_text("Inside: gradient flow").click()
    page.locator("canvas.heat").first.wait_for()
    page.get_by_text("Training", exact=True).click()
    page.get_by_role("img", name="Loss by step").wait_for()


def test_two_models_stand_side_by_side(page: Any) -> None:
    choose(page, "lm")
    page.get_by_role("checkbox", name="lstm").check()
    page.get_by_label("Tokens").fill("20")
    page.get_by_role("button", name="Write").click()
    for name in ("lm", "lstm"):
        page.get_by_role("region", name=f"Text written by {name}").locator("span").nth(5).wait_for()
    page.get_by_text("Read again").last.wait_for()


def test_what_is_typed_is_classified_translated_and_found(page: Any) -> None:
    choose(page, "reviews")
    page.get_by_role("textbox", name="Text").first.fill("a good film")
    page.get_by_text("What each word does").wait_for()
    choose(page, "translator")
    page.get_by_label("Sentence").fill("a b")
    page.locator("table.alignment").wait_for()
    choose(page, "vectors")
    page.get_by_label("Word", exact=True).fill("nothing-like-this")
    page.get_by_role("button", name="Show neighbours").click()
    page.get_by_text("is not among the").wait_for()


def test_the_api_is_described_without_any_other_host(page: Any) -> None:
    page.get_by_role("link", name="API").click()
    page.get_by_role("heading", name="POST /v1/generate").wait_for()
    assert "curl" in page.locator("pre").first.text_content()


def test_files_are_taken_and_wrong_ones_refused(page: Any, tmp_path: Path) -> None:
    picture, noise = tmp_path / "picture.png", tmp_path / "noise.png"
    Image.fromarray(np.full((12, 16, 3), 80, np.uint8)).save(picture)
    noise.write_bytes(b"nothing")
    choose(page, "captions")
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_role("group", name="Words of the caption").or_(page.locator(".result")).first.wait_for()
    choose(page, "questions")
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_label("Question", exact=True).fill("is it white?")
    page.get_by_role("button", name="Ask").click()
    page.locator(".bars").wait_for()
    choose(page, "sales")
    page.get_by_role("img", name="History and forecast").first.wait_for()
