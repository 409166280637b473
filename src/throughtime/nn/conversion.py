"""Conversion between conventions for the weights of one cell."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.nn.initialization import gate_rows


def negate_update_gate(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn a GRU's weights from the one meaning of its update gate z to the other, in both directions.

    In torch.nn, in ONNX and here z is the share of the old state: h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}.
    In Chung et al. (2014), https://arxiv.org/abs/1412.3555, and in many lectures it is the share of the new:
    h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ n_t. Since sigmoid(-a) = 1 - sigmoid(a), the two networks are the same
    if the rows that make z have opposite signs. The original unit also resets before the product
    (``reset="before"``), which no sign can change.

    Args:
        weights: a GRU layer's state_dict, or some of its tensors: rows in the order r, z, n.

    Returns:
        The same names, with new tensors.

    Raises:
        ArgumentError: if a tensor's rows can't be three blocks of a GRU.

    >>> from throughtime.nn import GRU
    >>> layer = GRU(3, 5, reset="before", bias=False)
    >>> weights_of_the_lecture = negate_update_gate(layer.state_dict())
    >>> _ = layer.load_state_dict(negate_update_gate(weights_of_the_lecture))
    """
    return {name: _negated(name, value) for name, value in weights.items()}


def _negated(name: str, value: Tensor) -> Tensor:
    hidden_size, remainder = divmod(value.shape[0], 3)
    if remainder:
        raise ArgumentError(f"`{name}` must have three blocks of rows (r, z, n), got {value.shape[0]} rows")
    start, stop = gate_rows(CELLS["gru"].gates, "update", hidden_size)
    converted = value.clone()
    converted[start:stop].neg_()
    return converted
