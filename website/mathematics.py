"""Equations in LaTeX become MathML while the site is built, so that pages need no script and no other host for them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import ziamath
from fontTools import subset
from fontTools.ttLib import TTFont
from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor
from math_core import LatexToMathML

ARITHMATEX = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
STIX = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
CHARACTERS = (
    *range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x370, 0x400), *range(0x2010, 0x2070), *range(0x2100, 0x2300),
    *range(0x2308, 0x230C), *range(0x27E6, 0x27EC), *range(0x1D400, 0x1D504), *range(0x1D6A8, 0x1D71C),
)  # fmt: skip

_converter = LatexToMathML()


class Mathematics(Extension):
    """Markdown extension: MathML in place of what pymdownx.arithmatex has marked as LaTeX."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: D102, N802 - Markdown's name
        md.postprocessors.register(_ToMathML(md), "mathematics", -100)


class _ToMathML(Postprocessor):
    def run(self, text: str) -> str:
        return ARITHMATEX.sub(_mathml, text)


def makeExtension(**options: Any) -> Mathematics:  # noqa: N802 - Markdown's name
    """Make the extension, for Markdown."""
    return Mathematics(**options)


def write_font(file: Path) -> None:
    """Write STIX Two Math with the characters that equations are made of, as WOFF."""
    font = TTFont(STIX)
    options = subset.Options(layout_features=["ssty"], hinting=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(file)


def _mathml(found: re.Match[str]) -> str:
    mathml = _converter.convert_with_local_state(html.unescape(found[2]), displaystyle=found[1] == "div")
    return f'<div class="equation">{mathml}</div>' if found[1] == "div" else mathml
