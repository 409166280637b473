"""Figures on white paper and on dark: any figure in the colours of ``throughtime.appearance`` is drawn on both."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from throughtime.appearance import DARK, LIGHT, as_svg

_SINGLE = ("paper", "ink", "faint", "grid", "low", "high")
_TO_DARK = {
    to_rgba(light)[:3]: to_rgba(dark)[:3]
    for light, dark in [
        *((getattr(LIGHT, name), getattr(DARK, name)) for name in _SINGLE),
        *zip(LIGHT.lines, DARK.lines, strict=True),
    ]
}
_COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


@contextmanager
def white_paper() -> Generator[None]:
    """Let pyplot draw in the colours of the library's own figures; close what it has opened in the end."""
    style: dict[Any, Any] = {
        "figure.facecolor": LIGHT.paper,
        "axes.facecolor": LIGHT.paper,
        "axes.edgecolor": LIGHT.faint,
        "axes.labelcolor": LIGHT.ink,
        "axes.titlecolor": LIGHT.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.prop_cycle": mpl.cycler(color=LIGHT.lines),  # pyright: ignore[reportAttributeAccessIssue]
        "grid.color": LIGHT.grid,
        "legend.frameon": False,
        "legend.labelcolor": LIGHT.ink,
        "legend.fontsize": 9,
        "text.color": LIGHT.ink,
        "xtick.color": LIGHT.faint,
        "ytick.color": LIGHT.faint,
        "xtick.labelcolor": LIGHT.ink,
        "ytick.labelcolor": LIGHT.ink,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "figure.dpi": 150,
        "lines.linewidth": 2,
        "backend": "agg",
    }
    with mpl.rc_context(style):
        yield
        plt.close("all")


@contextmanager
def saved_figures() -> Generator[list[Figure]]:
    """Collect the figures that are saved into the current folder while this is open."""
    saved: list[Figure] = []
    savefig = Figure.savefig

    def noted(figure: Figure, file: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(file, str | Path) and Path(file).resolve().parent == Path.cwd():
            saved.append(figure)
        savefig(figure, file, *arguments, **options)

    with patch.object(Figure, "savefig", noted):
        yield saved


def on_both(figure: Figure) -> tuple[bytes, bytes]:
    """A figure as SVG on white paper and on dark; it is dark afterwards."""
    light = as_svg(figure)
    for artist in figure.findobj():
        _darken(artist)
    return light, as_svg(figure)


def described(figure: Figure) -> str:
    """What a figure shows, in the words of its axes."""
    parts: list[str] = []
    for axes in figure.axes:
        named = [name for name in (axes.get_title() or axes.get_title("left"), axes.get_ylabel()) if name]
        text = ": ".join(named) + (f" against {axes.get_xlabel()}" if axes.get_xlabel() else "")
        text = text or ", ".join(label.get_text() for label in axes.texts)
        if text and text not in parts:
            parts.append(text)
    return "; ".join(parts) or "A figure"


def _darken(artist: Any) -> None:
    for name in _COLOURS:
        get, put = (getattr(artist, f"{verb}_{name}", None) for verb in ("get", "set"))
        if get is None or put is None:
            continue
        value = get()
        if value is None or (isinstance(value, str) and value in ("none", "auto")):
            continue
        if getattr(value, "ndim", 1) == 2:
            if len(value):
                put([_dark(colour) for colour in value])
        else:
            put(_dark(value))
    if isinstance(artist, ScalarMappable) and (chosen := _DARK_MAPS.get(artist.get_cmap().name)):
        artist.set_cmap(chosen)


def _dark(colour: Any) -> tuple[float, ...]:
    red, green, blue, alpha = to_rgba(colour)
    return (*_TO_DARK.get((red, green, blue), (red, green, blue)), alpha)


_DARK_MAPS = {"one-sided": DARK.one_sided(), "two-sided": DARK.two_sided()}
