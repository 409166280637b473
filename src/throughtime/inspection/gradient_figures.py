"""Pictures of gradients on their way back in time, and of the matrices that they pass through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.appearance import legend, level_line, new_figure, palette, styled
from throughtime.errors import ArgumentError
from throughtime.inspection.recurrent_matrices import RecurrentMatrix
from throughtime.nn.gradient_flow import THRESHOLD, GradientFlow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_SHOWN = 1e-12


def plot_gradient_flow(flows: GradientFlow | Mapping[str, GradientFlow], *, dark: bool = False) -> Figure:
    """Draw how much of a gradient is left against the lag, on a logarithmic scale.

    Args:
        flows: of one network, each layer and direction a curve; or of several by their names, side by side: a panel for
            each layer and direction, each network a curve.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is nothing to draw.
    """
    if isinstance(flows, GradientFlow):
        curves = dict(zip(flows.names, flows.relative.numpy(), strict=True))
        panels = {"": curves if len(curves) > 1 else {"": next(iter(curves.values()))}}
    else:
        if not flows:
            raise ArgumentError("`flows` must have at least one network's gradient flow, got none")
        names = list(dict.fromkeys(name for flow in flows.values() for name in flow.names))
        panels = {
            panel: {
                name: flow.relative[flow.names.index(panel)].numpy()
                for name, flow in flows.items()
                if panel in flow.names
            }
            for panel in names
        }
    colours = palette(dark=dark)
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = new_figure(6.4 if columns == 1 else 9.6, 3.7 * rows, dark=dark)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    lowest = min(
        float(np.min(curve, where=curve > 0, initial=1.0)) for curves in panels.values() for curve in curves.values()
    )
    highest = max(float(curve.max()) for curves in panels.values() for curve in curves.values())
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (panel, curves) in zip(grid.flat, panels.items(), strict=False):
        styled(axes, dark=dark)
        axes.set_yscale("log")
        axes.set_ylim(max(min(lowest, THRESHOLD / 2) / 2, LEAST_SHOWN), max(highest, 1.0) * 2)
        for name, curve in curves.items():
            axes.plot(np.where(curve > 0, curve, np.nan), linewidth=2, label=name or None)
        level_line(axes, THRESHOLD, "1 %", dark=dark)
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("lag $k$ (steps back)")
        if len(panels) > 1:
            axes.set_title(panel, fontsize=10, loc="left", color=colours.ink)
        if len(curves) > 1:
            legend(axes, dark=dark)
    for axes in grid[:, 0]:
        axes.set_ylabel(r"$\|\partial L_t/\partial h_{t-k}\|$, share of that at $k = 0$")
    return figure


def plot_horizons(records: Sequence[Mapping[str, Any]], *, dark: bool = False) -> Figure:
    """Draw the effective horizon of each layer along a training run, from the records of its metrics.jsonl.

    Where it lies beyond the lags that were looked at, a triangle stands at the last of those that were logged.

    Args:
        records: those of a run with ``watch_gradients``; others are passed over.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is nothing to draw.
    """
    watched = [(record["step"], record["gradient_flow"]) for record in records if record.get("gradient_flow")]
    if not watched:
        raise ArgumentError("`records` must be of a run that watched its gradients, with watch_gradients")
    figure = new_figure(6.4, 3.4, dark=dark)
    axes = styled(figure.add_subplot(), dark=dark)
    for place, name in enumerate(row["layer"] for row in watched[0][1]):
        rows = [(step, flow[place]) for step, flow in watched]
        values = [
            max(map(int, row["relative_norm"]), default=0) if row["horizon"] is None else row["horizon"]
            for _, row in rows
        ]
        (line,) = axes.plot([step for step, _ in rows], values, linewidth=2, label=name)
        beyond = [(step, value) for (step, row), value in zip(rows, values, strict=True) if row["horizon"] is None]
        if beyond:
            axes.plot(*zip(*beyond, strict=True), linestyle="", marker="^", color=line.get_color())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step of the training")
    axes.set_ylabel("effective horizon (steps)")
    if len(watched[0][1]) > 1:
        legend(axes, dark=dark)
    return figure


def plot_eigenvalues(matrices: Sequence[RecurrentMatrix], *, dark: bool = False) -> Figure:
    """Draw the eigenvalues of recurrent matrices beside the unit circle: a column a gate, a row a layer and direction.

    Raises:
        ArgumentError: where there is nothing to draw.
    """
    if not matrices:
        raise ArgumentError("`matrices` must have at least one matrix, got none")
    places = list(dict.fromkeys((one.layer, one.reverse) for one in matrices))
    gates = list(dict.fromkeys(one.gate for one in matrices))
    colours = palette(dark=dark)
    figure = new_figure(2.3 * len(gates) + 0.6, 2.5 * len(places) + 0.3, dark=dark)
    grid = figure.subplots(len(places), len(gates), sharex=True, sharey=True, squeeze=False)
    reach = 1.1 * max(1.0, *(one.spectral_radius for one in matrices))
    angle = np.linspace(0, 2 * np.pi, 200)
    for one in matrices:
        row, column = places.index((one.layer, one.reverse)), gates.index(one.gate)
        axes = styled(grid[row, column], dark=dark, grid=False)
        axes.plot(np.cos(angle), np.sin(angle), color=colours.faint, linewidth=1)
        values: Any = one.eigenvalues.numpy()
        axes.scatter(values.real, values.imag, s=9, color=colours.lines[column % len(colours.lines)], alpha=0.7, lw=0)
        axes.set_aspect("equal")
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_title(f"{one.gate}: radius {one.spectral_radius:.2f}", fontsize=9, color=colours.ink)
        if column == 0 and len(places) > 1:
            axes.set_ylabel(f"layer {one.layer + 1}{', reverse' if one.reverse else ''}", fontsize=9)
    return figure
