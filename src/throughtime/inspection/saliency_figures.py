"""Pictures of what each input adds to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from throughtime.appearance import legend, new_figure, palette, styled
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PIECES = 60


def plot_contributions(
    pieces: Sequence[str],
    contributions: Mapping[str, npt.ArrayLike],
    *,
    label: str = "contribution",
    dark: bool = False,
) -> Figure:
    """Draw what each piece of a text adds to a score, a bar a piece, by one method or several side by side.

    Args:
        pieces: in the order of the text; of more than 60, the last.
        contributions: by the method's name, a number for each piece.
        label: of the axis.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is nothing to draw, or a method's numbers are not as many as the pieces.
    """
    if not pieces or not contributions:
        raise ArgumentError("`pieces` and `contributions` must not be empty")
    colours = palette(dark=dark)
    shown = list(pieces)[-MOST_PIECES:]
    width = float(np.clip(0.3 * len(shown) * max(1, len(contributions) ** 0.5) + 1.5, 5, 12))
    figure = new_figure(width, 3.2, dark=dark)
    axes = styled(figure.add_subplot(), dark=dark)
    axes.grid(visible=False, axis="x")
    places, breadth = np.arange(len(shown)), 0.8 / len(contributions)
    for number, (name, values) in enumerate(contributions.items()):
        own = np.asarray(values, dtype=np.float64)
        if own.shape != (len(pieces),):
            raise ArgumentError(f"`contributions[{name!r}]` must have shape ({len(pieces)},), got {own.shape}")
        offset = (number - (len(contributions) - 1) / 2) * breadth
        axes.bar(places + offset, own[-MOST_PIECES:], breadth, label=name)
    axes.axhline(0, color=colours.faint, linewidth=1)
    long = max(map(len, shown)) > 2
    labels = [piece.replace("\n", "↵").strip(" ") or "␣" for piece in shown]
    axes.set_xticks(places, labels, rotation=60 if long else 0, fontsize=9, parse_math=False)
    if long:
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.7, len(shown) - 0.3)
    axes.set_ylabel(label)
    if len(contributions) > 1:
        legend(axes, dark=dark)
    return figure
