"""LSTM whose gates see the cell state: Gers and Schmidhuber (2000), https://doi.org/10.1109/IJCNN.2000.861302.

i_t = sigmoid(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi + P_i c_{t-1})
f_t = sigmoid(W_if x_t + b_if + W_hf h_{t-1} + b_hf + P_f c_{t-1})
g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
o_t = sigmoid(W_io x_t + b_io + W_ho h_{t-1} + b_ho + P_o c_t)
h_t = o_t ⊙ tanh(c_t)

P is diagonal in the paper and in ONNX, and a full matrix where the gates read the concatenation [c; h; x].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights


def diagonal_step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step; weight_peephole, shape (3, hidden_size), holds the diagonals of P_i, P_f, P_o."""
    _, cell = state
    p_i, p_f, p_o = weights["weight_peephole"]
    i, f, g, o = (input_gates + recurrent_gates).chunk(4, dim=-1)
    i, f, g = torch.sigmoid(i + p_i * cell), torch.sigmoid(f + p_f * cell), torch.tanh(g)
    cell = f * cell + i * dropout.of_candidate(g)
    o = torch.sigmoid(o + p_o * cell)
    return Step(state=(o * torch.tanh(cell), cell), gates=(i, f, g, o))


def full_step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step; weight_peephole, shape (3 * hidden_size, hidden_size), holds P_i, P_f, P_o."""
    _, cell = state
    rows_if = 2 * cell.shape[-1]
    p_if, p_o = weights["weight_peephole"][:rows_if], weights["weight_peephole"][rows_if:]
    i, f, g, o = (input_gates + recurrent_gates).chunk(4, dim=-1)
    peek_i, peek_f = linear(cell, p_if).chunk(2, dim=-1)
    i, f, g = torch.sigmoid(i + peek_i), torch.sigmoid(f + peek_f), torch.tanh(g)
    cell = f * cell + i * dropout.of_candidate(g)
    o = torch.sigmoid(o + linear(cell, p_o))
    return Step(state=(o * torch.tanh(cell), cell), gates=(i, f, g, o))


GATES = ("input", "forget", "candidate", "output")
LSTM_PEEPHOLE_DIAGONAL = Cell(
    "lstm_peephole_diagonal",
    gates=GATES,
    states=("hidden", "cell"),
    step=diagonal_step,
    own_weights=lambda hidden_size: {"weight_peephole": (3, hidden_size)},
)
LSTM_PEEPHOLE_FULL = Cell(
    "lstm_peephole_full",
    gates=GATES,
    states=("hidden", "cell"),
    step=full_step,
    own_weights=lambda hidden_size: {"weight_peephole": (3 * hidden_size, hidden_size)},
)
