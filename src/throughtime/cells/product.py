"""What enters the gates by a weight: a matrix product, or a convolution where the weight is a kernel.

All of a cell's weights can be convolutional (Shi et al. 2015, https://arxiv.org/abs/1506.04214): a state is then a
picture, and each place of it has the units of the cell, which see what is around it. The equations stay the same,
since nothing in them but the products looks beyond a place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d, linear

MOST_SPACE = 2
"""Axes of space that a kernel may have."""


def space_of(weight: Tensor) -> int:
    """How many axes of space a weight has: 0 for a matrix, 1 or 2 for a kernel."""
    return weight.ndim - 2


def product(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b, or W * x + b where W is a kernel.

    Args:
        values: shape (..., feature); (..., y, x, feature) for a kernel of two axes, (..., x, feature) for one of one.
        weight: shape (outputs, feature), or (outputs, feature, kernel height, kernel width), odd; beyond the edges
            stand zeros.
        bias: shape (outputs,), or None.

    Returns:
        The same shape, with outputs in place of features.
    """
    space = space_of(weight)
    if not space:
        return linear(values, weight, bias)
    padding = tuple(size // 2 for size in weight.shape[2:])
    pictures = channels_first(values.reshape(-1, *values.shape[-1 - space :]))
    found = (
        conv1d(pictures, weight, bias, padding=padding)
        if space == 1
        else conv2d(pictures, channels_last(weight), bias, padding=padding)
    )
    return found.movedim(1, -1).reshape(*values.shape[:-1], weight.shape[0])


def channels_first(pictures: Tensor) -> Tensor:
    """From (batch, y, x, feature) to (batch, feature, y, x), which torch convolves; nothing is copied."""
    return pictures.movedim(-1, 1)


def channels_last(weight: Tensor) -> Tensor:
    """A kernel of two axes in the order in memory that goes with features last."""
    return weight.contiguous(memory_format=torch.channels_last) if weight.ndim == 4 else weight
