"""Layer normalisation inside recurrent cells: Ba, Kiros and Hinton (2016), https://arxiv.org/abs/1607.06450.

norm(a)_k = (a_k - mean(a)) / sqrt(variance(a) + 1e-5), over the values that belong together.

What W_ih x_t and W_hh h_{t-1} give is normalised before it enters the cell's equations, each by itself and over the
gates of one group together, then scaled by a gain g and shifted by the bias:

g_ih ⊙ norm(W_ih x_t) + b_ih,  g_hh ⊙ norm(W_hh h_{t-1}) + b_hh
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

EPSILON = 1e-5


def normalise(values: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    """Normalise the last axis, shape (…, size); ``gain`` and ``bias`` have shape (size,)."""
    return layer_norm(values, values.shape[-1:], gain, bias, EPSILON)


def normalise_groups(values: Tensor, gates: Sequence[int], gain: Tensor, bias: Tensor | None) -> Tensor:
    """Normalise groups of gates each by itself.

    Args:
        values: shape (…, sum of gates * hidden_size).
        gates: how many gates each group has.
        gain: shape (sum of gates * hidden_size,).
        bias: the same, or None.
    """
    hidden_size = values.shape[-1] // sum(gates)
    sizes = [count * hidden_size for count in gates]
    biases = [None] * len(sizes) if bias is None else bias.split(sizes)
    parts = zip(values.split(sizes, dim=-1), gain.split(sizes), biases, strict=True)
    return torch.cat([normalise(*part) for part in parts], dim=-1)
