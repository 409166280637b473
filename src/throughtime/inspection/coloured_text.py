"""A text in colours, as HTML: what a neuron does at each character, or what each word adds to a score."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError
from throughtime.files import write_text

STYLE = """
.coloured { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.75; --above: 11 98 168; --below: 214 94 0; }
@media (prefers-color-scheme: dark) { .coloured { --above: 60 150 235; --below: 235 120 30; } }
.coloured span { border-radius: 2px; padding: .12em 0; }
.coloured .a { background: rgb(var(--above) / var(--o)); }
.coloured .b { background: rgb(var(--below) / var(--o)); }
"""
"""What ``coloured_text`` needs once in a page: blue is above zero, orange below."""


def coloured_text(pieces: Sequence[str], values: npt.ArrayLike, *, scale: float | None = None) -> str:
    """The pieces, each on a background that shows its value, as an element that ``STYLE`` belongs to.

    Args:
        pieces: characters, words or tokens, which are written one behind the other.
        values: one for each.
        scale: the magnitude that has the full colour; the largest there is if None.

    Raises:
        ArgumentError: where they are not equally many.

    >>> coloured_text(["a", "<"], [1.0, -0.5])
    '<div class="coloured"><span class="a" style="--o:0.80" title="1">a</span><span class="b" ...&lt;</span></div>'
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(pieces),):
        raise ArgumentError(f"`values` must have shape ({len(pieces)},), one for each piece, got {numbers.shape}")
    finite = np.abs(numbers[np.isfinite(numbers)])
    most = scale or float(finite.max(initial=0.0)) or 1.0
    spans = [_span(piece, value, most) for piece, value in zip(pieces, numbers.tolist(), strict=True)]
    return f'<div class="coloured">{"".join(spans)}</div>'


def save_coloured_text(pieces: Sequence[str], values: npt.ArrayLike, path: Path | str, *, title: str = "") -> None:
    """Write a page of ``coloured_text`` that needs nothing else.

    Raises:
        ArgumentError: where pieces and values are not equally many.
    """
    body = coloured_text(pieces, values)
    heading = f"<h1>{escape(title)}</h1>" if title else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title or "Coloured text")}</title><style>'
        ":root { color-scheme: light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; "
        f"margin: 2rem auto; padding: 0 1rem; }} h1 {{ font-size: 1.1rem; }}{STYLE}</style></head>"
        f"<body>{heading}{body}</body></html>\n"
    )
    write_text(Path(path), page)


def _span(piece: str, value: float, most: float) -> str:
    shown = escape(piece)
    if not np.isfinite(value) or abs(value) / most < 0.02:
        return f"<span>{shown}</span>"
    opacity = 0.8 * min(abs(value) / most, 1.0)
    side = "a" if value > 0 else "b"
    return f'<span class="{side}" style="--o:{opacity:.2f}" title="{value:.3g}">{shown}</span>'
