"""Pictures of attention: which words of the source each word of a translation looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from throughtime.appearance import new_figure, palette, save_figure, styled
from throughtime.errors import ArgumentError
from throughtime.files import check_output_file, write_text
from throughtime.tasks.sequence_search import Alignment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".html", ".png")
MOST_DRAWN = 6
WIDEST = 5.0
"""Inches of an alignment beside which another one can be read."""
COLOUR = "#1f5aa6"
END = "■"


class Aligned(Protocol):
    """A translation with its alignment."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def source_pieces(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def pieces(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def alignment(self) -> Alignment | None: ...  # noqa: D102


def check_alignment_file(path: Path) -> None:
    """Raise ArgumentError unless ``save_alignments`` can write such a file."""
    check_output_file("attention", path, FORMATS)


def save_alignments(translations: Sequence[Aligned], path: Path) -> None:
    """Draw alignments: all of them into a page, or the first six into a PNG file.

    Args:
        translations: with alignments.
        path: ends in .html or .png.

    Raises:
        ArgumentError: where the file ends in something else, or there is nothing to draw.
    """
    check_alignment_file(path)
    if not translations:
        raise ArgumentError("there is no translation whose attention could be drawn")
    if path.suffix.lower() == ".html":
        write_text(path, alignment_page(translations))
        return
    save_figure(plot_alignments(translations[:MOST_DRAWN]), path)


def plot_alignments(translations: Sequence[Aligned], *, dark: bool = False) -> Figure:
    """Draw alignments as matrices, two in a row: a row of colours for each token of a translation.

    Raises:
        ArgumentError: where there is none, or a translation has no alignment.
    """
    if not translations:
        raise ArgumentError("there is no translation whose attention could be drawn")
    colours = palette(dark=dark)
    grids = [weights_of(one) for one in translations]
    widths = max(max(len(grid[0]) for grid in grids) * 0.42 + 1.6, 3.5)
    columns = min(len(translations), 2 if widths <= WIDEST else 1)
    rows = -(-len(translations) // columns)
    heights = max(max(len(grid) for grid in grids) * 0.36 + 1.5, 2.5)
    figure = new_figure(widths * columns, heights * rows, dark=dark)
    for place, (one, grid) in enumerate(zip(translations, grids, strict=True)):
        axes = styled(figure.add_subplot(rows, columns, place + 1), dark=dark, grid=False)
        axes.imshow(grid, cmap=colours.one_sided(), vmin=0, vmax=1, aspect="auto")
        labels = [piece.strip() or "␣" for piece in one.source_pieces]
        axes.set_xticks(range(len(labels)), labels, fontsize=9, parse_math=False)
        if max(map(len, labels)) > 2:
            for label in axes.get_xticklabels():
                label.set(rotation=55, ha="left", rotation_mode="anchor")
        axes.set_yticks(
            range(len(grid)), [*(piece.strip() or "␣" for piece in one.pieces), END], fontsize=9, parse_math=False
        )
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(-0.5, len(labels)), minor=True)
        axes.set_yticks(np.arange(-0.5, len(grid)), minor=True)
        axes.grid(which="minor", color=colours.grid, linewidth=0.8)
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
    return figure


def weights_of(translation: Aligned) -> Alignment:
    """The alignment, (pieces + 1, source pieces).

    Raises:
        ArgumentError: where there is none.
    """
    if translation.alignment is None:
        raise ArgumentError("a translation has no alignment; ask for it with alignment=True")
    return translation.alignment


def alignment_page(translations: Sequence[Aligned]) -> str:
    """A page that needs nothing else: words above words, joined by what was looked at."""
    items = [
        {
            "source": [piece.strip() or "␣" for piece in one.source_pieces],
            "target": [*(piece.strip() or "␣" for piece in one.pieces), END],
            "weights": [[round(float(weight), 3) for weight in row] for row in weights_of(one)],
        }
        for one in translations
    ]
    data = json.dumps(items, ensure_ascii=False).replace("</", "<\\/")
    title = escape(translations[0].text)
    return _PAGE.replace("TITLE", title).replace("COLOUR", COLOUR).replace("DATA", data)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attention: TITLE</title>
<style>
:root { --ink: #1c2430; --faint: #8a94a3; --line: #e4e8ee; --paper: #fbfcfe; --card: #ffffff; --accent: COLOUR; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf4; --faint: #8b97a8; --line: #2a3340; --paper: #12171e; --card: #1a212b; --accent: #6fa8ee; } }
body { margin: 0; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.4 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 72rem; margin: 0 auto; }
h1 { font-size: 1.2rem; font-weight: 600; margin: 0 0 .2rem; }
p { color: var(--faint); margin: 0 0 1.5rem; font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.2rem;
  margin-bottom: 1.2rem; overflow-x: auto; }
svg { display: block; margin: 0 auto; }
text { fill: var(--ink); font-size: 15px; text-anchor: middle; cursor: default; }
text.end { fill: var(--faint); font-size: 11px; }
path { fill: none; stroke: var(--accent); stroke-linecap: round; transition: opacity .12s; }
text { transition: opacity .12s; }
.some path, .some text { opacity: .08; }
.some text.on, .some path.on { opacity: 1; }
.amount { font-size: 11px; fill: var(--accent); opacity: 0; }
.some text.amount.on { opacity: 1; }
</style></head><body><main>
<h1>Where the translation looked</h1>
<p>The source above, its translation below; a thicker line is more attention, ■ is the sentence's end.
Point at a word to see its own.</p>
<div id="all"></div></main>
<script>
const data = DATA;
const ns = "http://www.w3.org/2000/svg";
const ruler = document.createElement("canvas").getContext("2d");
ruler.font = "15px system-ui, -apple-system, 'Segoe UI', sans-serif";
function add(parent, name, attributes, content) {
  const node = document.createElementNS(ns, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (content !== undefined) node.textContent = content;
  parent.appendChild(node);
  return node;
}
function places(words) {
  let at = 0;
  const centres = words.map(word => {
    const width = ruler.measureText(word).width + 20;
    at += width;
    return at - width / 2;
  });
  return { centres, width: at };
}
for (const item of data) {
  const section = document.createElement("section");
  document.getElementById("all").appendChild(section);
  const above = places(item.source), below = places(item.target);
  const width = Math.max(above.width, below.width, 200), height = 190, top = 44, bottom = 140;
  const svg = add(section, "svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const from = above.centres.map(x => x + (width - above.width) / 2);
  const to = below.centres.map(x => x + (width - below.width) / 2);
  const marks = [];
  item.weights.forEach((row, t) => row.forEach((weight, s) => {
    if (weight < 0.02) return;
    const middle = (top + bottom) / 2;
    const path = add(svg, "path", { d: `M${from[s]},${top} C${from[s]},${middle} ${to[t]},${middle} ${to[t]},${bottom}`,
      "stroke-width": (0.5 + 5.5 * weight).toFixed(2), "stroke-opacity": Math.min(1, 0.15 + weight).toFixed(2) });
    marks.push({ node: path, s, t, weight });
  }));
  const words = [[item.source, from, top - 10, "s"], [item.target, to, bottom + 22, "t"]];
  const nodes = { s: [], t: [] }, amounts = { s: [], t: [] };
  for (const [list, xs, y, side] of words) list.forEach((word, index) => {
    const node = add(svg, "text", { x: xs[index], y }, word);
    if (side === "t" && index === list.length - 1) node.classList.add("end");
    nodes[side].push(node);
    amounts[side].push(add(svg, "text", { x: xs[index], y: side === "s" ? y - 18 : y + 17, class: "amount" }));
    node.addEventListener("mouseenter", () => {
      svg.classList.add("some");
      node.classList.add("on");
      const other = side === "s" ? "t" : "s";
      for (const mark of marks) if (mark[side] === index) {
        mark.node.classList.add("on");
        nodes[other][mark[other]].classList.add("on");
        amounts[other][mark[other]].textContent = `${Math.round(100 * mark.weight)} %`;
        amounts[other][mark[other]].classList.add("on");
      }
    });
    node.addEventListener("mouseleave", () => {
      svg.classList.remove("some");
      svg.querySelectorAll(".on").forEach(one => one.classList.remove("on"));
    });
  });
}
</script></body></html>
"""
