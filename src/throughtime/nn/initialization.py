"""Initial values for recurrent weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import init

Bounds = tuple[int, int]
"""The first row of a gate's block, and the row after its last."""


def draw_weights_(module: nn.Module, hidden_size: int) -> None:
    """Draw a recurrent module's parameters uniformly from ±1/√hidden_size, as torch.nn does, in their order.

    Gains of a normalisation become 1, and its own biases 0.
    """
    bound = 1 / math.sqrt(hidden_size)
    for name, weight in module.named_parameters():
        if name.startswith("norm_gain"):
            init.ones_(weight)
        elif name.startswith("norm_bias"):
            init.zeros_(weight)
        else:
            init.uniform_(weight, -bound, bound)


def gate_rows(gates: tuple[str, ...], gate: str, hidden_size: int) -> Bounds:
    """Find the rows that belong to ``gate`` in a weight or bias whose blocks are ``gates``.

    >>> gate_rows(("reset", "update", "candidate"), "update", 5)
    (5, 10)
    """
    start = gates.index(gate) * hidden_size
    return start, start + hidden_size


def orthogonal_blocks_(weight: Tensor, blocks: int) -> Tensor:
    """Fill each of the equal blocks of rows of ``weight`` with a random orthogonal matrix, in place.

    A square block keeps the norm of the state that it multiplies, so that gradients neither vanish nor
    explode at the first steps of training: Saxe et al. (2014), https://arxiv.org/abs/1312.6120. A block with
    more rows than columns gets orthonormal columns. Drawn in float32 at least, since bfloat16 has no QR.
    """
    with torch.no_grad():
        for block in weight.chunk(blocks):
            dtype = torch.promote_types(block.dtype, torch.float32)
            block.copy_(init.orthogonal_(torch.empty_like(block, dtype=dtype)))
    return weight
