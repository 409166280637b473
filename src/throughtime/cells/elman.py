"""The simple recurrent network of Elman (1990), https://doi.org/10.1207/s15516709cog1402_1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights


def elman(name: str, activation: Callable[[Tensor], Tensor]) -> Cell:
    """Make the cell h_t = activation(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh); it has no gates."""

    def step(
        input_gates: Tensor,
        recurrent_gates: Tensor,
        _state: State,
        _weights: Weights,
        _dropout: StepDropout = NO_DROPOUT,
    ) -> Step:
        hidden = activation(input_gates + recurrent_gates)
        return Step(state=(hidden,), gates=(hidden,))

    return Cell(name, gates=("candidate",), states=("hidden",), step=step)


RNN_TANH = elman("rnn_tanh", torch.tanh)
RNN_RELU = elman("rnn_relu", torch.relu)
RNN_LOGISTIC = elman("rnn_logistic", torch.sigmoid)
