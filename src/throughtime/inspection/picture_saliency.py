"""Which places of a picture a score depends on."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from throughtime.appearance import new_figure, palette
from throughtime.data import Pixels
from throughtime.errors import ArgumentError
from throughtime.inspection.saliency import Score, integrated_gradients
from throughtime.models import ImageEncoder
from throughtime.models.image_encoder import PixelEncoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAIRS = 3
TITLE_WIDTH = 24
STEPS = 24


def picture_saliency(images: ImageEncoder, score: Score, pictures: Tensor, *, steps: int = STEPS) -> Tensor:
    """What each place of pictures adds to a score, by integrated gradients.

    Args:
        images: what looks at the pictures.
        score: of pictures, shape (time, batch, ...), float; the pixels go from 0 to 255.
        pictures: shape (time, batch, ...), as the network gets them.
        steps: points at which the gradient is taken.

    Returns:
        Shape (time, batch, rows, columns): of pixels, which sum to the score less that of pictures that are all of the
        mean colour; of features of a frozen backbone, of its places, beside features that are zero.
    """
    values = pictures.float()
    if isinstance(images, PixelEncoder):
        mean = (255 * images.mean).to(values.device).expand_as(values)
        return integrated_gradients(score, values, mean, steps=steps)
    return integrated_gradients(score, values, steps=steps).unflatten(-1, images.grid)


def plot_picture_saliency(
    pictures: Sequence[Pixels], maps: Sequence[npt.ArrayLike], titles: Sequence[str], *, dark: bool = False
) -> Figure:
    """Draw pictures, and beside each what its places add to a score: blue more, orange less.

    Args:
        pictures: shape (height, width, channel), uint8.
        maps: for each picture, shape (rows, columns).
        titles: one for each.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is nothing to draw, or not one of each.
    """
    if not pictures or not len(pictures) == len(maps) == len(titles):
        raise ArgumentError("`pictures`, `maps` and `titles` must be equally many, and at least one")
    colours = palette(dark=dark)
    pairs = min(PAIRS, len(pictures))
    rows = -(-len(pictures) // pairs)
    # A title as wide as its picture; a caption takes several lines.
    wrapped = [fill(title, TITLE_WIDTH) for title in titles]
    lines = max(title.count("\n") for title in wrapped)
    figure = new_figure(3.1 * pairs, (1.85 + 0.15 * lines) * rows, dark=dark)
    grid = figure.subplots(rows, 2 * pairs, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (pixels, values, title) in enumerate(zip(pictures, maps, wrapped, strict=True)):
        row, pair = divmod(place, pairs)
        left, right = grid[row, 2 * pair : 2 * pair + 2]
        left.imshow(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), interpolation="nearest")
        shown = fitted(values, pixels.shape[:2])
        reach = reach_of(shown)
        right.imshow(shown, cmap=colours.two_sided(), vmin=-reach, vmax=reach, interpolation="nearest")
        left.set_title(title, fontsize=9, loc="left", color=colours.ink, parse_math=False)
    return figure


def fitted(values: npt.ArrayLike, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """A map of places over a picture of that height and width."""
    own = torch.as_tensor(np.asarray(values, dtype=np.float64))[None, None]
    return interpolate(own, tuple(shape), mode="nearest-exact")[0, 0].numpy()


def reach_of(values: npt.NDArray[np.float64]) -> float:
    """What has the full colour: a few pixels can be far above the others."""
    return float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0
