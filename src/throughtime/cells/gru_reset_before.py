"""The original gated recurrent unit: Cho et al. (2014), https://arxiv.org/abs/1406.1078, version 3.

r_t = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
z_t = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
n_t = tanh(W_in x_t + b_in + W_hn (r_t ⊙ h_{t-1}) + b_hn)
h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

z is the share of the old state that stays, as in torch.nn.GRU. Chung et al. (2014) and many textbooks
write h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ n_t instead; their z is 1 - z of this file, and since
sigmoid(-a) = 1 - sigmoid(a) their weights are these with the rows of z negated: see
``throughtime.nn.negate_update_gate``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights
from throughtime.cells.product import product


def step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step, n's recurrent product included; the rows of the weights stand in the order r, z, n."""
    (hidden,) = state
    bias_hh = weights.get("bias_hh")
    input_r, input_z, input_n = input_gates.chunk(3, dim=-1)
    recurrent_r, recurrent_z = recurrent_gates.chunk(2, dim=-1)
    r, z = torch.sigmoid(input_r + recurrent_r), torch.sigmoid(input_z + recurrent_z)
    weight_n = weights["weight_hh"].chunk(3)[2]
    bias_n = None if bias_hh is None else bias_hh.chunk(3)[2]
    n = torch.tanh(input_n + product(r * dropout.of_hidden(hidden), weight_n, bias_n))
    return Step(state=((1 - z) * dropout.of_candidate(n) + z * hidden,), gates=(r, z, n))


GRU_RESET_BEFORE = Cell(
    "gru_reset_before",
    gates=("reset", "update", "candidate"),
    states=("hidden",),
    step=step,
    recurrent_gates=("reset", "update"),
)
