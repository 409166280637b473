"""Recurrent layers as torch.nn's; the other way is ``throughtime.nn.from_torch``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.nn import Recurrent

MODULES: dict[str, tuple[Callable[..., nn.RNNBase], dict[str, Any]]] = {
    "rnn_tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
}
"""The cells that torch.nn has."""


@torch.no_grad()
def to_torch(layer: Recurrent) -> nn.RNNBase:
    """Make torch.nn's RNN, LSTM or GRU with the same weights, for code that knows nothing of this library.

    Names and layout of the weights are the same, so that ``state_dict`` goes in both directions as well. What torch.nn
    hasn't acts in training alone (dropout of other kinds, gradient clipping) and is left out.

    Raises:
        ArgumentError: where torch.nn has no such layer.

    >>> from throughtime.nn import GRU, from_torch
    >>> layer = GRU(3, 5, 2)
    >>> copy = from_torch(to_torch(layer))
    >>> all(torch.equal(own, copy.state_dict()[name]) for name, own in layer.state_dict().items())
    True
    """
    if layer.cell_name not in MODULES:
        raise ArgumentError(f"torch.nn has no layer of the cell {layer.cell_name!r}; it has {', '.join(MODULES)}")
    if layer.zoneout:
        raise ArgumentError("torch.nn's layers have no zoneout, which moves the states in evaluation as well")
    kind, given = MODULES[layer.cell_name]
    options: dict[str, Any] = dict(given)
    if layer.proj_size:
        options = {**options, "proj_size": layer.proj_size}
    module = kind(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        batch_first=layer.batch_first,
        dropout=layer.dropout,
        bidirectional=layer.bidirectional,
        device=layer.weight_ih_l0.device,
        dtype=layer.weight_ih_l0.dtype,
        **options,
    )
    module.load_state_dict(layer.state_dict())
    return module.train(layer.training)
