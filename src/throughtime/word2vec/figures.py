"""Maps of word vectors: their principal components in the plane, arrows between words that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from throughtime.appearance import palette, save_figure
from throughtime.errors import ArgumentError
from throughtime.word2vec.vectors import WordVectors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points: TypeAlias = npt.NDArray[np.float64]

LABEL_SIZE = 10
POINT_PIXELS = 9
# Around a point, where a label may stand: to the right, the left, above, below, and between.
SIDES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], dtype=np.float64)


def plot_analogies(
    vectors: WordVectors, pairs: Sequence[tuple[str, str]], path: Path | str | None = None, *, dark: bool = False
) -> Figure:
    """Draw pairs of words, man and woman, king and queen, and an arrow from the first to the second of each.

    The map's horizontal axis is the mean direction from first to second word, so that a relation that the vectors
    share shows as arrows side by side; the vertical axis is the principal component of what is left.

    Args:
        vectors: the words' vectors, which are drawn at length 1.
        pairs: two words each.
        path: a file to write, in the format that its ending names; none by default.
        dark: whether for dark paper.

    Returns:
        The figure.

    Raises:
        ArgumentError: where there is no pair, or a word has no vector.
    """
    if not pairs:
        raise ArgumentError("`pairs` must have at least one pair of words, got none")
    words = list(dict.fromkeys(word for pair in pairs for word in pair))
    units = _units(vectors, words)
    place = {word: row for row, word in enumerate(words)}
    firsts, seconds = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    points = _plane(units, (units[seconds] - units[firsts]).mean(axis=0))
    paper = palette(dark=dark)
    figure, axes = _empty_map(dark=dark)
    for first, second in zip(firsts, seconds, strict=True):
        axes.annotate(
            "",
            xy=tuple(points[second]),
            xytext=tuple(points[first]),
            arrowprops={"arrowstyle": "-|>", "color": paper.faint, "linewidth": 1.6, "shrinkA": 5, "shrinkB": 5},
        )
    aims = {second for _, second in pairs}
    colours = [paper.lines[1 if word in aims else 0] for word in words]
    _draw_points(figure, axes, points, words, colours, np.stack([points[firsts], points[seconds]], axis=1))
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_words(
    vectors: WordVectors, words: Sequence[str], path: Path | str | None = None, *, dark: bool = False
) -> Figure:
    """Draw words at the first two principal components of their vectors at length 1: like words stand together.

    Args:
        vectors: the words' vectors.
        words: what to draw.
        path: a file to write, in the format that its ending names; none by default.
        dark: whether for dark paper.

    Returns:
        The figure.

    Raises:
        ArgumentError: where there is no word, or one has no vector.
    """
    if isinstance(words, str) or not words:
        raise ArgumentError(f"`words` must be at least one word, got {words!r}")
    names = list(dict.fromkeys(words))
    points = word_map(vectors, names)
    figure, axes = _empty_map(dark=dark)
    axes.set_aspect("equal", adjustable="datalim")  # as far apart on paper as in the plane
    _draw_points(figure, axes, points, names, [palette(dark=dark).lines[0]] * len(names), np.empty((0, 2, 2)))
    if path is not None:
        save_figure(figure, path)
    return figure


def word_map(vectors: WordVectors, words: Sequence[str]) -> Points:
    """Where ``plot_words`` draws words: their first two principal components at length 1, shape (words, 2)."""
    return _plane(_units(vectors, words))


def _units(vectors: WordVectors, words: Sequence[str]) -> Points:
    matrix = np.stack([vectors[word] for word in words]).astype(np.float64)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1)


def _plane(units: Points, direction: Points | None = None) -> Points:
    """Coordinates, shape (words, 2), along two principal components, or along a direction and one component."""
    centred = units - units.mean(axis=0)
    if direction is None or not direction.any():
        return _components(centred, 2)
    direction = direction / np.linalg.norm(direction)
    along = centred @ direction
    return np.column_stack([along, _components(centred - np.outer(along, direction), 1)])


def _components(centred: Points, count: int) -> Points:
    """The principal components' coordinates; their signs, which are free, make the largest positive."""
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(centred), count))
    found = min(count, len(sizes))
    coordinates[:, :found] = left[:, :found] * sizes[:found]
    largest = coordinates[np.abs(coordinates).argmax(axis=0), np.arange(count)]
    return coordinates * np.where(largest < 0, -1, 1)


def _empty_map(*, dark: bool) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and needed once, at the end

    figure = Figure(figsize=(8, 6), dpi=120, facecolor=palette(dark=dark).paper)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_axis_off()
    axes.margins(0.1)
    return figure, axes


def _draw_points(
    figure: Figure, axes: Axes, points: Points, words: Sequence[str], colours: Sequence[str], arrows: Points
) -> None:
    """Draw points and their labels; ``arrows``, shape (arrows, ends, 2), are kept free of labels where that can be."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above

    axes.scatter(points[:, 0], points[:, 1], c=list(colours), s=30, zorder=3)
    axes.autoscale_view()
    axes.apply_aspect()
    renderer = FigureCanvasAgg(figure).get_renderer()
    labels = [
        axes.annotate(
            word,
            (float(x), float(y)),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=LABEL_SIZE,
            color=colour,
            parse_math=False,
            zorder=4,
        )
        for word, (x, y), colour in zip(words, points, colours, strict=True)
    ]
    sizes = np.array([label.get_window_extent(renderer).size for label in labels])
    window = axes.get_window_extent(renderer)
    offsets = _label_offsets(
        axes.transData.transform(points),
        sizes,
        arrows=axes.transData.transform(arrows.reshape(-1, 2)).reshape(-1, 2, 2),
        window=np.array([window.min, window.max]),
    )
    for label, (x, y) in zip(labels, offsets.tolist(), strict=True):
        # In points, of which there are as many to the inch whatever the file's resolution.
        label.set_position((x * 72 / figure.dpi, y * 72 / figure.dpi))


def _label_offsets(points: Points, sizes: Points, *, arrows: Points, window: Points) -> Points:
    """Where the middle of each label stands from its point, in pixels, so that it hides as little as can be.

    Args:
        points: shape (words, 2).
        sizes: width and height of the labels, shape (words, 2).
        arrows: their ends, shape (arrows, 2, 2).
        window: the lower left and the upper right corner of what is seen.
    """
    along = np.linspace(0, 1, 40)[:, None, None]
    on_arrows = (arrows[:, 0] * (1 - along) + arrows[:, 1] * along).reshape(-1, 2)
    centres = np.full_like(points, np.inf)
    for row, (point, size) in enumerate(zip(points, sizes, strict=True)):
        candidates = point + SIDES * (size / 2 + POINT_PIXELS)
        reach = (size[None] + sizes) / 2
        hidden = [
            (centres, reach, 10.0),
            (points, size / 2 + POINT_PIXELS - 1, 10.0),
            (on_arrows, size / 2, 0.5),
        ]
        cost = 0.01 * np.arange(len(candidates))
        for others, near, weight in hidden:
            distance = np.abs(candidates[:, None] - others[None])
            cost += weight * (distance < near).all(axis=2).sum(axis=1)
        cost += 20.0 * ((candidates - size / 2 < window[0]) | (candidates + size / 2 > window[1])).any(axis=1)
        centres[row] = candidates[cost.argmin()]
    return centres - points
