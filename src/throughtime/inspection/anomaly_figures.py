"""Pictures of what an anomaly detector's scores are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from throughtime.appearance import legend, level_line, new_figure, palette, styled
from throughtime.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = npt.NDArray[np.float64]

MOST_CHANNELS, MOST_LAGS, FELT = 6, 64, 0.01


def plot_score_parts(
    values: Numbers,
    errors: Numbers,
    parts: Mapping[str, Numbers],
    channels: Sequence[str],
    *,
    threshold: float,
    first: int = 0,
    dark: bool = False,
) -> Figure:
    """Draw some steps of a recording, the error of each channel there, and the parts of the score.

    Args:
        values: on the scale that the network reads, shape (time, channel).
        errors: in units of what is usual for the channel, shape (time, channel).
        parts: of the score by their names, shape (time,) each; the largest is the score.
        channels: their names.
        threshold: above which a score is odd.
        first: the number of the first step.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there are not as many errors as values.
    """
    if values.shape != errors.shape or not len(values):
        raise ArgumentError(f"`errors` must have the shape of the values, {values.shape}, got {errors.shape}")
    colours = palette(dark=dark)
    largest = np.sort(np.argsort(-np.abs(errors).max(0), kind="stable")[:MOST_CHANNELS])
    names = [channels[place] for place in largest]
    tall = 0.8 + 0.22 * len(names)
    figure = new_figure(9.2, 3.4 + tall, dark=dark)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(1.7, tall, 1.7))
    steps = np.arange(first, first + len(values))
    styled(above, dark=dark)
    for place, name in zip(largest, names, strict=True):
        above.plot(steps, values[:, place], linewidth=1.3, label=name)
    above.set_ylabel("deviations")
    legend(above, dark=dark, ncols=min(len(names), MOST_CHANNELS), loc="lower right", bbox_to_anchor=(1, 1))
    styled(middle, dark=dark, grid=False)
    shown = np.abs(errors[:, largest]).T
    reach = max(float(shown.max()), 1e-9)
    image = middle.imshow(
        shown,
        aspect="auto",
        cmap=colours.one_sided(),
        vmin=0,
        vmax=reach,
        interpolation="nearest",
        extent=(first - 0.5, first + len(values) - 0.5, len(names) - 0.5, -0.5),
    )
    middle.set_yticks(range(len(names)), names)
    middle.set_ylabel("error")
    bar = figure.colorbar(image, ax=middle, pad=0.01, aspect=9, ticks=[0, reach])
    bar.ax.set_yticklabels(["0", f"{reach:.2g}"])
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=colours.faint)
    bar.outline.set_visible(False)
    styled(below, dark=dark)
    for name, part in parts.items():
        below.plot(steps, part, linewidth=1.4, label=name)
    level_line(below, threshold, "threshold", dark=dark)
    below.set_ylim(bottom=max(float(min(part.min() for part in parts.values())), -1.0))
    below.set_xlabel("step")
    below.set_ylabel("score")
    legend(below, dark=dark, ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def plot_reconstruction_lags(sensitivity: Tensor, channels: Sequence[str], *, dark: bool = False) -> Figure:
    """Draw what each step of a window that is told rests on, a curve for each channel.

    Args:
        sensitivity: shape (channels, 2 * window - 1); see ``reconstruction_lags``.
        channels: their names.
        dark: whether for dark paper.
    """
    colours = palette(dark=dark)
    window = (sensitivity.shape[1] + 1) // 2
    own = sensitivity.numpy()
    strongest = np.sort(np.argsort(-np.abs(own).max(1), kind="stable")[:MOST_CHANNELS])
    felt = np.flatnonzero((np.abs(own) > FELT * np.abs(own).max()).any(0)) - (window - 1)
    reach = min(max(int(np.abs(felt).max(initial=1)), 4), MOST_LAGS, window - 1)
    lags = np.arange(-reach, reach + 1)
    figure = new_figure(7.2, 3.4, dark=dark)
    axes: Any = styled(figure.add_subplot(), dark=dark)
    for place in strongest:
        axes.plot(lags, own[place, window - 1 - reach : window + reach], linewidth=1.8, label=channels[place])
    axes.axhline(0, color=colours.faint, linewidth=1)
    axes.set_xlabel("lag $k$ (steps before the step that is told; after it below zero)")
    axes.set_ylabel("change of what is told")
    if len(strongest) > 1:
        legend(axes, dark=dark)
    return figure


def plot_latent_map(
    vectors: npt.ArrayLike, scores: npt.ArrayLike, places: Sequence[str], *, threshold: float, dark: bool = False
) -> Figure:
    """Draw windows at the first two principal components of their vectors; those with an odd step stand out.

    Args:
        vectors: shape (windows, features).
        scores: the largest of each window, shape (windows,).
        places: where each window begins; of the oddest three it is written beside them.
        threshold: above which a score is odd.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there are fewer than three windows.
    """
    own, largest = np.asarray(vectors, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if len(own) < 3:
        raise ArgumentError(f"`vectors` must be of at least three windows, got {len(own)}")
    centred = own - own.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    shares = np.append(sizes**2 / max(float((sizes**2).sum()), 1e-30), 0.0)
    colours = palette(dark=dark)
    figure = new_figure(6.8, 4.6, dark=dark)
    axes = styled(figure.add_subplot(), dark=dark)
    is_odd = largest > threshold
    axes.scatter(*points[~is_odd].T, s=14, color=colours.lines[0], alpha=0.6, linewidth=0, label="as usual")
    axes.scatter(*points[is_odd].T, s=34, color=colours.lines[1], marker="D", linewidth=0, label="with an odd step")
    for row in np.argsort(-largest, kind="stable")[:3]:
        if is_odd[row]:
            axes.annotate(
                str(places[row]),
                (float(points[row, 0]), float(points[row, 1])),
                xytext=(6, 5),
                textcoords="offset points",
                fontsize=8,
                color=colours.ink,
            )
    axes.set_xlabel(f"first principal component ({100 * shares[0]:.0f} %)")
    axes.set_ylabel(f"second ({100 * shares[1]:.0f} %)")
    legend(axes, dark=dark)
    return figure
