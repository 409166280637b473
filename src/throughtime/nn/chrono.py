"""Chrono initialisation: gates that remember, from the first step of training on, as long as the task asks."""

from __future__ import annotations

import torch
from torch import nn

from throughtime.errors import ArgumentError, check_range
from throughtime.nn.initialization import gate_rows
from throughtime.nn.recurrent import CANDIDATE, Recurrent

KEEPING = {"forget": "input", "update": None}
"""The gates that say how much of the old state stays, and the gate that lets new content in where that is another."""


@torch.no_grad()
def chrono_biases_(module: nn.Module, longest: int) -> None:
    """Set the gates' biases of every recurrent layer in ``module`` so that it forgets after 1 to ``longest`` steps.

    A unit whose gate keeps sigmoid(b) of its state at each step remembers for about 1 + exp(b) steps. With
    b = log(u), u drawn uniformly from [1, longest - 1] for each unit, there are units for each length, and gradients
    come back over all of it: Tallec and Ollivier (2018), https://arxiv.org/abs/1804.11188. An LSTM's forget gate
    begins at b and its input gate at -b; a GRU's update gate, which is here the share of the old state that stays,
    at b. Cells that have no such gate are left as they are.

    Args:
        module: a recurrent layer, or a network with some in it.
        longest: the number of steps over which something is to be remembered, at least 2.

    Raises:
        ArgumentError: for a smaller number, or where the layers have no biases.

    >>> layer = Recurrent("lstm", 3, 5)
    >>> chrono_biases_(layer, 100)
    >>> bool((layer.bias_ih_l0[:5] == -layer.bias_ih_l0[5:10]).all())
    True
    """
    check_range("longest", longest, low=2)
    for layer in module.modules():
        if not isinstance(layer, Recurrent):
            continue
        gates = layer.cell.gates
        for keeping in (gate for gate in gates if gate in KEEPING):
            if not layer.bias:
                raise ArgumentError("chrono initialisation sets biases, and `bias` is False")
            opening = KEEPING[keeping]
            for index in range(layer.num_layers * layer.num_directions):
                weights = layer.weights(*divmod(index, layer.num_directions))
                bias = weights["bias_ih"].new_empty(layer.hidden_size).uniform_(1, longest - 1).log()
                for gate, value in ((keeping, bias), (opening, -bias)):
                    if gate is not None and gate != CANDIDATE:
                        rows = slice(*gate_rows(gates, gate, layer.hidden_size))
                        weights["bias_ih"][rows] = value
                        weights["bias_hh"][rows] = 0
