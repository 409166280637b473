"""Gated recurrent unit with the reset gate after the recurrent product, as in torch.nn.GRU and cuDNN.

r_t = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
z_t = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
n_t = tanh(W_in x_t + b_in + r_t ⊙ (W_hn h_{t-1} + b_hn))
h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}
"""

from __future__ import annotations

import torch
from torch import Tensor

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights


def step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, _weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step; the rows of the weights stand in the order r, z, n."""
    (hidden,) = state
    input_r, input_z, input_n = input_gates.chunk(3, dim=-1)
    recurrent_r, recurrent_z, recurrent_n = recurrent_gates.chunk(3, dim=-1)
    r, z = torch.sigmoid(input_r + recurrent_r), torch.sigmoid(input_z + recurrent_z)
    n = torch.tanh(input_n + r * recurrent_n)
    return Step(state=((1 - z) * dropout.of_candidate(n) + z * hidden,), gates=(r, z, n))


GRU = Cell("gru", gates=("reset", "update", "candidate"), states=("hidden",), step=step)
