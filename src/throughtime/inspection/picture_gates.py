"""Gates and states of convolutional layers, which are pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from throughtime.appearance import Palette, new_figure, palette
from throughtime.data import Pixels
from throughtime.errors import ArgumentError
from throughtime.inspection.gates import Activations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FRAMES = 10
SIDE = 0.92
"""Inches of a picture."""


def most_varied_units(activations: Activations, *, row: int = 0) -> list[int]:
    """The units of a layer, those first whose hidden state varies most over steps and places."""
    hidden = activations.row(row).states["hidden"]
    return hidden.flatten(0, -2).std(dim=0, correction=0).argsort(descending=True).tolist()


def plot_picture_gates(
    activations: Activations, frames: Sequence[Pixels] = (), *, unit: int, row: int = 0, dark: bool = False
) -> Figure:
    """Draw what every gate and state of a unit of a convolutional layer is, a row each, at some steps, a column each.

    Args:
        activations: of one layer and direction, shape (time, batch, height, width, units) each.
        frames: what was read at each step, shape (height, width, channel), for the first row; none leaves it out.
        unit: which.
        row: of the batch.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where the layer isn't convolutional, the unit isn't there, or there are fewer frames than steps.
    """
    own = activations.row(row)
    hidden = own.states["hidden"]
    _check(hidden, frames, unit)
    steps = np.unique(np.linspace(0, len(hidden) - 1, min(MOST_FRAMES, len(hidden))).astype(int)).tolist()
    panels = {**own.gates, **{name: values for name, values in own.states.items() if name not in own.gates}}
    colours = palette(dark=dark)
    rows = len(panels) + bool(len(frames))
    height, width = hidden.shape[2:4]
    figure = new_figure(1.1 + SIDE * len(steps), 0.35 + (SIDE * height / width + 0.06) * rows, dark=dark)
    grid = figure.subplots(rows, len(steps), squeeze=False)
    for axes, step in zip(grid[0], steps, strict=True):
        axes.set_title(str(step + 1), fontsize=9, color=colours.faint, pad=3)
    if len(frames):
        shown = [np.broadcast_to(frames[step], (*frames[step].shape[:2], 3)) for step in steps]
        draw_strip(grid[0], "frame", shown, colours)
    for line, (name, values) in zip(grid[-len(panels) :], panels.items(), strict=True):
        own_unit = values[steps, 0, ..., unit].float().cpu().numpy()
        is_gate = name in own.gates and name != "candidate"
        reach = 1.0 if is_gate else float(np.quantile(np.abs(own_unit), 0.995)) or 1.0
        colour_map = colours.one_sided() if is_gate else colours.two_sided()
        limits = {"cmap": colour_map, "vmin": 0.0 if is_gate else -reach, "vmax": reach}
        draw_strip(line, name, list(own_unit), colours, **limits)
    return figure


def draw_strip(line: Sequence[Axes], name: str, pictures: Sequence[Any], colours: Palette, **options: Any) -> None:
    """Draw pictures side by side, one in each axes, and a name before them; None leaves a place empty."""
    line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=colours.ink)
    for axes, picture in zip(line, pictures, strict=True):
        axes.set_facecolor(colours.paper)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(colours.grid)
        if picture is not None:
            axes.imshow(picture, interpolation="nearest", **options)


def _check(hidden: Tensor, frames: Sequence[Pixels], unit: int) -> None:
    if hidden.ndim != 5:
        raise ArgumentError("`activations` must be of a convolutional layer over pictures")
    if not 0 <= unit < hidden.shape[-1]:
        raise ArgumentError(f"`unit` must lie in [0, {hidden.shape[-1] - 1}], got {unit}")
    if len(frames) and len(frames) < len(hidden):
        raise ArgumentError(f"`frames` must be as many as the steps, {len(hidden)}, got {len(frames)}")
