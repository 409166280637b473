"""Pictures of attention: where a network looked for each word that it wrote, or before it answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from throughtime.appearance import new_figure, palette
from throughtime.data import Pixels
from throughtime.errors import ArgumentError
from throughtime.files import check_output_file, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST_COLUMNS, MOST_COLUMNS = 4, 6
"""Panels side by side; few are as wide as a question."""
END = "■"


class Looked(Protocol):
    """A caption or an answer with its attention."""

    @property
    def pieces(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def attention(self) -> npt.NDArray[np.float32] | None: ...  # noqa: D102


def check_overlay_file(path: Path) -> None:
    """Raise ArgumentError unless ``save_overlays`` can write such a file."""
    check_output_file("attention", path, (".png",))


def save_overlays(pictures: Sequence[Pixels], captions: Sequence[Looked], path: Path) -> None:
    """Draw each picture, and once more for each word, bright where the network looked, into a PNG file.

    Args:
        pictures: as the network saw them, shape (height, width, channel).
        captions: of the pictures, with attention.
        path: ends in .png.

    Raises:
        ArgumentError: where the file ends in something else, or a caption has no attention.
    """
    check_overlay_file(path)
    figure = plot_overlays(pictures, captions)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def plot_overlays(pictures: Sequence[Pixels], captions: Sequence[Looked], *, dark: bool = False) -> Figure:
    """Draw each picture, and once more for each word, bright where the network looked.

    Args:
        pictures: as the network saw them, shape (height, width, channel).
        captions: of the pictures, with attention.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where a caption has no attention.
    """
    panels = [len(caption.pieces) + 1 for caption in captions]
    columns = min(MOST_COLUMNS, max(FEWEST_COLUMNS, *panels))
    heights = [-(-count // columns) for count in panels]
    figure = new_figure(1.55 * columns, sum(1.75 * rows + 0.35 for rows in heights), dark=dark)
    colours = palette(dark=dark)
    parts: Any = figure.subfigures(len(captions), 1, height_ratios=heights, squeeze=False)
    for part, pixels, caption, rows in zip(parts[:, 0], pictures, captions, heights, strict=True):
        if caption.attention is None:
            raise ArgumentError("a caption has no attention; ask for it with attention=True, of a model that has it")
        part.set_facecolor(colours.paper)
        part.suptitle(caption.text, fontsize=10, x=0.01, ha="left", color=colours.ink)
        axes: list[Axes] = list(part.subplots(rows, columns, squeeze=False).flat)
        for one in axes:
            one.set_axis_off()
        _show(axes[0], pixels)
        for one, word, weights in zip(axes[1:], caption.pieces, caption.attention, strict=False):
            _show(one, brightened(pixels, weights))
            one.set_title(word.strip() or END, fontsize=9, pad=2, color=colours.ink)
    return figure


def brightened(pixels: Pixels, weights: npt.NDArray[np.float32]) -> Pixels:
    """The picture, dark where the weights are small; shape (height, width, 3).

    Args:
        pixels: shape (height, width, channel).
        weights: shape (rows, columns), of places that cover the picture.
    """
    height, width = pixels.shape[:2]
    grid = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))[None, None]
    light = interpolate(grid / grid.max().clamp(min=1e-9), (height, width), mode="bilinear")[0, 0, :, :, None].numpy()
    colour = np.broadcast_to(pixels, (height, width, 3)).astype(np.float32)
    return (colour * (0.2 + 0.8 * light)).astype(np.uint8)


def _show(axes: Axes, pixels: Pixels) -> None:
    axes.imshow(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), interpolation="nearest")
