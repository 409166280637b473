"""Pictures of gates and states over time, and of how long units remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from throughtime.appearance import Palette, legend, new_figure, palette, styled
from throughtime.errors import ArgumentError
from throughtime.inspection.gates import Activations
from throughtime.inspection.memory import MemorySpan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_UNITS = 24
MOST_STEPS = 90
LABELLED_STEPS = 60
LEAST_REACH = 3
"""Of an axis of half-lives, as a factor to either side of its middle, so that several have their numbers."""


def plot_gates(
    activations: Activations,
    pieces: Sequence[str] | None = None,
    *,
    row: int = 0,
    units: Sequence[int] | None = None,
    dark: bool = False,
) -> Figure:
    """Draw every gate and state over time, a panel each, a line of colour for each unit.

    Args:
        activations: of one layer and direction.
        pieces: what was read at each step, for the axis; steps are numbered if None.
        row: of the batch.
        units: which; by default the 24 whose hidden state varies most, those that keep longest at the top.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where pieces and steps are not equally many, or a unit is not there.
    """
    own = activations.row(row)
    hidden = own.states["hidden"][:, 0]
    time = len(hidden)
    if pieces is not None and len(pieces) != time:
        raise ArgumentError(f"`pieces` must be as many as the steps, {time}, got {len(pieces)}")
    chosen = _chosen_units(own) if units is None else list(units)
    if not chosen or min(chosen) < 0 or max(chosen) >= hidden.shape[-1]:
        raise ArgumentError(f"`units` must lie in [0, {hidden.shape[-1] - 1}], got {list(units or [])}")
    steps = min(time, MOST_STEPS)
    panels = {**own.gates, **{name: values for name, values in own.states.items() if name not in own.gates}}
    if list(own.gates) == ["candidate"]:
        panels.pop("candidate")  # it is the hidden state
    colours = palette(dark=dark)
    width = float(np.clip(0.16 * steps + 1.8, 5.5, 12.0))
    height = float(np.clip(0.055 * len(chosen), 0.7, 1.4))
    figure = new_figure(width, (height + 0.12) * len(panels) + 0.7, dark=dark)
    stack: Any = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(stack, panels.items(), strict=True):
        kept = [unit for unit in chosen if unit < values.shape[-1]]
        shown = values[:steps, 0, kept].T.float().cpu().numpy()
        _heat(axes, shown, name, is_gate=name in own.gates and name != "candidate", colours=colours)
    _label_steps(stack[-1], None if pieces is None else pieces[:steps], steps)
    return figure


def plot_memory_spans(spans: Sequence[MemorySpan], *, dark: bool = False) -> Figure:
    """Draw which share of the units of each layer loses half of what it holds within how many steps.

    Raises:
        ArgumentError: where there is nothing to draw.
    """
    if not spans:
        raise ArgumentError("`spans` must have at least one layer's, got none")
    from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415 - slow to import

    figure = new_figure(6.4, 3.4, dark=dark)
    axes = styled(figure.add_subplot(), dark=dark)
    finite = torch.cat([span.half_lives[span.half_lives.isfinite()] for span in spans])
    longest = float(finite.max()) if len(finite) else 1.0
    for span in spans:
        ordered = span.half_lives.clamp(max=10 * longest).sort().values.numpy()
        axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", linewidth=2, label=span.name)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    middle = (low * high) ** 0.5
    axes.set_xlim(min(low, middle / LEAST_REACH), max(high, middle * LEAST_REACH))
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("half-life of what a unit holds (steps)")
    axes.set_ylabel("units")
    if len(spans) > 1:
        legend(axes, dark=dark)
    return figure


def _chosen_units(own: Activations) -> list[int]:
    """The units that vary most, the longest memory first."""
    hidden = own.states["hidden"][:, 0]
    varied = hidden.std(dim=0, correction=0).argsort(descending=True)[:MOST_UNITS]
    if own.keeps is None or own.keeps.shape[-1] != hidden.shape[-1]:
        return varied.tolist()
    kept = own.keeps[:, 0].mean(0)[varied]
    return varied[kept.argsort(descending=True)].tolist()


def _heat(axes: Axes, values: np.ndarray[Any, Any], name: str, *, is_gate: bool, colours: Palette) -> None:
    if is_gate:
        limits, colour_map = (0.0, 1.0), colours.one_sided()
    else:
        # A few units of a cell state can be far above the others.
        reach = float(np.quantile(np.abs(values), 0.99)) or 1.0
        limits, colour_map = (-reach, reach), colours.two_sided()
    image = axes.imshow(values, aspect="auto", cmap=colour_map, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axes.set_facecolor(colours.paper)
    axes.set_yticks([])
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=colours.ink)
    axes.tick_params(colors=colours.faint, labelcolor=colours.ink, length=0)
    for spine in axes.spines.values():
        spine.set_color(colours.grid)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, aspect=9, ticks=[limits[0], limits[1]])
    bar.ax.set_yticklabels([f"{limit:.2g}" for limit in limits])
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=colours.faint)
    bar.outline.set_visible(False)


def _label_steps(axes: Axes, pieces: Sequence[str] | None, steps: int) -> None:
    if pieces is None or (steps > LABELLED_STEPS and max(map(len, pieces)) > 1):
        axes.set_xlabel("step", color=axes.yaxis.label.get_color())
        return
    labels = [visible(piece) for piece in pieces]
    long = max(map(len, labels)) > 2
    size = 9 if steps <= LABELLED_STEPS else 7.5
    axes.set_xticks(range(steps), labels, fontsize=size, rotation=60 if long else 0, parse_math=False)
    if long:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def visible(piece: str) -> str:
    """A piece with something to be seen in it where it is white space."""
    return piece.replace("\n", "↵").replace("\t", "⇥").strip(" ") or "␣"
