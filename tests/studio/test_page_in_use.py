"""The page as it is used: by keyboard, in two tabs, with wrong files, in the dark, while the server dies."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from studio.conftest import Serve


def tab_to(page: Any, name: str, most: int = 40) -> None:
    """Press the tab key until the focus is on what has that name."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(NAME) == name:
            assert page.evaluate(OUTLINE) != "none", f"one can't see that the focus is on {name}"
            return
    raise AssertionError(f"{name} can't be reached by the tab key")


NAME = "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
OUTLINE = "getComputedStyle(document.activeElement).outlineStyle"


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    tab_to(page, "lm")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="lm", level=1).wait_for()
    tab_to(page, "Beginning")
    page.keyboard.type("(he ")
    tab_to(page, "Tokens")
    page.keyboard.press("Control+A")
    page.keyboard.type("30")
    tab_to(page, "Write")
    page.keyboard.press("Enter")
    page.get_by_text("Read again").wait_for()
    assert len(page.get_by_role("region", name="Text written by lm").text_content()) == 34
    tab_to(page, "Inside: gradient flow, gates, memory")
    page.keyboard.press("Space")
    page.locator("canvas.heat").first.wait_for()


def test_the_skip_link_leads_past_the_models(page: Any) -> None:
    page.goto(page.url.split("#")[0] + "#lm")
    page.reload()
    page.get_by_role("heading", name="lm", level=1).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(NAME) == "Skip to the model"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate(NAME) == "lstm"  # the first thing after: to show it beside
    assert page.get_by_role("heading", name="lm", level=1).is_visible()


def test_two_tabs_work_at_once(page: Any) -> None:
    other = page.context.new_page()
    other.goto(page.url.split("#")[0] + "#lm")
    page.goto(page.url.split("#")[0] + "#lm")
    for tab, seed in ((page, "1"), (other, "2")):
        tab.get_by_label("Tokens").fill("150")
        tab.get_by_label("Seed").fill(seed)
    for tab in (page, other):
        tab.get_by_role("button", name="Write").click()
    texts: list[str] = []
    for tab in (page, other):
        tab.get_by_text("Read again").wait_for()
        texts.append(tab.get_by_role("region", name="Text written by lm").text_content())
    assert [len(text) for text in texts] == [150, 150]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "name", ["captions", "questions", "pictures", "sales", "gestures", "machine", "videos", "clips", "frames"]
)
def test_a_wrong_file_is_refused_in_words_and_the_page_goes_on(page: Any, tmp_path: Path, name: str) -> None:
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(b"\x00\x01 nothing of the kind\n" * 20)
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, level=1).wait_for()
    if name == "questions":
        page.get_by_label("Question", exact=True).fill("is it white?")
    page.locator("input[type=file]").set_input_files(wrong)
    page.get_by_role("alert").first.wait_for()
    said = page.get_by_role("alert").first.text_content()
    assert said.startswith(("The ", "A "))
    assert said.endswith(".")
    page.get_by_role("link", name="lm", exact=True).click()
    page.get_by_role("heading", name="lm", level=1).wait_for()


def test_the_page_says_that_the_studio_stopped_and_goes_on_when_it_is_back(browser: Any, serve_at: Serve) -> None:
    page = browser.new_page()
    page.set_default_timeout(15_000)
    with contextlib.ExitStack() as first:
        address = first.enter_context(serve_at(0))
        page.goto(f"{address}#lm")
        page.get_by_label("Beginning").fill("(he ")
        page.get_by_label("Tokens").fill("5000")
        page.get_by_role("button", name="Write").click()
        page.get_by_role("region", name="Text written by lm").locator("span").nth(20).wait_for(state="attached")
    page.get_by_text("The studio has stopped.").wait_for()
    page.get_by_role("alert").get_by_text("in the middle of its answer").or_(
        page.get_by_role("alert").get_by_text("is it still running?")
    ).first.wait_for()
    with serve_at(int(address.rsplit(":", 1)[1].strip("/"))):
        page.get_by_text("The studio is back.").wait_for()
        assert page.get_by_label("Beginning").input_value() == "(he "
        assert not page.get_by_role("alert").first.is_visible()
        page.get_by_label("Tokens").fill("20")
        page.get_by_role("button", name="Write").click()
        page.get_by_text("Read again").wait_for()
        page.close()


CONTRAST = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) => [red, green, blue].map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let own = element; own; own = own.parentElement) {
      const colour = numbers(getComputedStyle(own).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const has = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!has || !element.offsetParent || element.disabled || element.closest("svg, option, .text")) continue;
    const both = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const [one, other] = both.sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) low.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(browser: Any, address: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    grounds: set[str] = set()
    for name in ("lm", "reviews", "sales", "vectors", "machine", "frames"):
        page.goto(f"{address}#{name}")
        page.get_by_role("heading", name=name, level=1).wait_for()
        # WCAG 2.2, 1.4.3
        assert page.evaluate(CONTRAST) == []
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {{"light": "rgb(245, 247, 250)", "dark": "rgb(17, 22, 29)"}[scheme]}
    page.close()
