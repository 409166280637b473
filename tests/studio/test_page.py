"""The page in a browser: each task's main path by clicking and typing. Skipped without Playwright and Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from throughtime.data import animation_of


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
        page.get_by_role("region", name=f"Text written by {name}").locator("span").nth(5).wait_for(state="attached")
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


def test_pictures_and_tables_are_taken(page: Any, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(np.full((12, 16, 3), 80, np.uint8)).save(picture)
    choose(page, "captions")
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_role("group", name="Words of the caption").or_(page.locator(".result")).first.wait_for()
    choose(page, "questions")
    page.locator("input[type=file]").set_input_files(picture)
    page.get_by_label("Question", exact=True).fill("is it white?")
    page.get_by_role("button", name="Ask").click()
    page.locator(".bars").wait_for()
    choose(page, "pictures")
    page.locator("input[type=file]").set_input_files(picture)
    page.locator(".result").get_by_text(re.compile("dark|light")).wait_for()
    choose(page, "sales")
    page.get_by_role("img", name="History and forecast").first.wait_for()


def test_numbers_and_videos_are_taken(page: Any, tmp_path: Path) -> None:
    choose(page, "gestures")
    page.get_by_text("That is what it is").or_(page.get_by_text("It is ")).first.wait_for()
    page.get_by_label("Sequence", exact=True).select_option(index=2)
    sequence, table, film = tmp_path / "waved.csv", tmp_path / "hours.csv", tmp_path / "film.gif"
    sequence.write_text("x,y\n" + "".join(f"{step},{step % 7}\n" for step in range(30)), encoding="utf-8")
    page.locator("input[type=file]").set_input_files(sequence)
    page.get_by_text("The sequence, 30 steps").wait_for()
    page.get_by_role("img", name="What each step adds to the score of the class").wait_for()
    choose(page, "machine")
    rows = [(step, 100 if step == 40 else step % 5, step % 7) for step in range(60)]
    table.write_text("t,current,temperature\n" + "".join(f"{t},{a},{b}\n" for t, a, b in rows), encoding="utf-8")
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_text("Shown: hours.csv").wait_for()
    page.get_by_role("img", name="Score over time").wait_for()
    before = page.locator(".result").text_content()
    page.get_by_label("Threshold of the score").fill("1000000")
    page.get_by_label("Threshold of the score").press("Enter")
    page.get_by_text("No odd spans").wait_for()
    assert "odd span" in before
    assert not before.startswith("No")
    film.write_bytes(animation_of(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1), np.uint8)))
    choose(page, "videos")
    page.locator("input[type=file]").set_input_files(film)
    page.get_by_text("Shown: film.gif").wait_for()
    page.get_by_role("button", name="Frame 4").click()
    page.get_by_text("Frame 4 of 4").wait_for()
    choose(page, "clips")
    page.get_by_text("People said: ").wait_for()
    page.locator("input[type=file]").set_input_files(film)
    page.get_by_text("Shown: film.gif").wait_for()
    page.get_by_role("group", name="Frames").wait_for()
    words = page.get_by_role("group", name="Words of the caption").get_by_role("button")
    if words.count():  # hardly trained, it may say nothing
        words.last.click()
        assert words.last.get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Play").wait_for()
    choose(page, "frames")
    page.locator("input[type=file]").set_input_files(film)
    page.get_by_label("Frames ahead").fill("3")
    page.get_by_label("Frames ahead").press("Enter")
    page.get_by_role("button", name="Frame 7, predicted").click()
    page.get_by_text("Frame 7 of 7, predicted").wait_for()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Save as GIF").click()
    with Image.open(coming.value.path()) as saved:
        assert len(list(ImageSequence.Iterator(saved))) == 7
