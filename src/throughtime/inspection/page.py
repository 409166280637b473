"""A page that needs nothing but itself: sections of text, tables and figures, on white or on dark paper."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

from throughtime.appearance import as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Draw(Protocol):
    """Makes a figure for dark paper or for white."""

    def __call__(self, *, dark: bool) -> Figure: ...  # noqa: D102


@dataclass(frozen=True)
class Picture:
    """A figure on both papers.

    Attributes:
        name: of its file, without the ending.
        light, dark: as SVG.
        description: what is to be seen, for those who don't see it.
    """

    name: str
    light: bytes
    dark: bytes
    description: str

    @classmethod
    def of(cls, name: str, draw: Draw, description: str) -> Picture:
        """Draw a figure twice."""
        return cls(name, as_svg(draw(dark=False)), as_svg(draw(dark=True)), description)

    def html(self) -> str:
        """An element that shows it, on the paper that the reader's system asks for."""
        light, dark = (f"data:image/svg+xml;base64,{b64encode(own).decode()}" for own in (self.light, self.dark))
        return (
            f'<figure><picture><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
            f'<img src="{light}" alt="{escape(self.description)}"></picture></figure>'
        )


@dataclass
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        parts: HTML.
        pictures: those that are among the parts.
    """

    title: str
    parts: list[str] = field(default_factory=list[str])
    pictures: list[Picture] = field(default_factory=list[Picture])

    @property
    def anchor(self) -> str:
        """What a link to it ends in."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def say(self, text: str, *, faint: bool = False) -> None:
        """Add a paragraph of plain text."""
        self.parts.append(f"<p{' class=faint' if faint else ''}>{escape(text)}</p>")

    def list(self, lines: Sequence[str]) -> None:
        """Add a list of plain texts."""
        self.parts.append("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")

    def show(self, name: str, draw: Draw, description: str) -> None:
        """Add a figure, and its description below it."""
        picture = Picture.of(name, draw, description)
        self.pictures.append(picture)
        self.parts.append(picture.html() + f'<p class="faint caption">{escape(description)}</p>')

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; numbers stand to the right."""
        head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
        body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
        self.parts.append(f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>')


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(str(value))}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f'<td class="number">{value:.3f}</td>'


def page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section], *, style: str = "") -> str:
    """The whole page.

    Args:
        title: its heading.
        facts: names and values that stand below it.
        sections: what follows.
        style: more CSS that the sections need.
    """
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    links = "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections)
    body = "".join(
        f'<section id="{section.anchor}"><h2>{escape(section.title)}</h2>{"".join(section.parts)}</section>'
        for section in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><dl>{listed}</dl><nav>{links}</nav>{body}</main></body></html>\n"
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #667080; --line: #e3e7ed; --paper: #f5f7fa;
  --card: #ffffff; --accent: #0b5a9c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf4; --faint: #93a0b2; --line: #2f3946; --paper: #11161d;
  --card: #1a212b; --accent: #6fb4f2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2.2rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
ul { margin: 0 0 1rem; padding-left: 1.2rem; max-width: 46rem; }
dl { display: flex; flex-wrap: wrap; gap: .7rem 2rem; margin: 0 0 1.2rem; }
dt { color: var(--faint); font-size: .8rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 0 0 1.4rem; font-size: .92rem; }
a { color: var(--accent); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.3rem 1.4rem;
  margin-bottom: 1.2rem; }
figure { margin: 1rem 0 .4rem; overflow-x: auto; }
figure img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.faint { color: var(--faint); font-size: .9rem; }
.caption { margin: 0 auto 1.2rem; text-align: center; max-width: 44rem; }
.wide { overflow-x: auto; margin: .4rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-weight: 600; color: var(--faint); }
th, td { padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
label { font-size: .92rem; color: var(--faint); }
select { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: .25rem .5rem; max-width: 100%; }
.coloured { margin: .8rem 0; padding: .8rem 1rem; background: var(--paper); border-radius: 8px; font-size: .95rem; }
.coloured.letters { max-height: 34rem; overflow-y: auto; font-size: .86rem;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media (max-width: 40rem) { figure img { min-width: 34rem; } section { padding: 1.1rem .9rem; } }
@media print { body { background: none; } section { border: 0; break-inside: avoid; } nav { display: none; } }
"""
