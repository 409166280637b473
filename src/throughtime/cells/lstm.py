"""Long short-term memory with a forget gate: Gers, Schmidhuber and Cummins (2000), as in torch.nn.LSTM.

i_t = sigmoid(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
f_t = sigmoid(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
o_t = sigmoid(W_io x_t + b_io + W_ho h_{t-1} + b_ho)
c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
h_t = o_t ⊙ tanh(c_t)
"""

from __future__ import annotations

import torch
from torch import Tensor

from throughtime.cells.cell import NO_DROPOUT, Cell, State, Step, StepDropout, Weights


def step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, _weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step; the rows of the weights stand in the order i, f, g, o."""
    _, cell = state
    i, f, g, o = (input_gates + recurrent_gates).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    cell = f * cell + i * dropout.of_candidate(g)
    hidden = o * torch.tanh(cell)
    return Step(state=(hidden, cell), gates=(i, f, g, o))


LSTM = Cell("lstm", gates=("input", "forget", "candidate", "output"), states=("hidden", "cell"), step=step)
