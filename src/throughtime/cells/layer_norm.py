"""LSTM and GRU with layer normalisation: Ba, Kiros and Hinton (2016), https://arxiv.org/abs/1607.06450.

The inputs' and the recurrent products are normalised as ``normalisation.py`` says: the LSTM's four gates together, the
GRU's r and z together and its candidate alone. The equations are those of ``lstm.py`` and ``gru.py``, but that the
LSTM's output looks at the normalised cell state:

h_t = o_t ⊙ tanh(g_c ⊙ norm(c_t) + b_c)
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from throughtime.cells.cell import NO_DROPOUT, State, Step, StepDropout, Weights
from throughtime.cells.gru import GRU
from throughtime.cells.lstm import LSTM
from throughtime.cells.normalisation import normalise


def lstm_step(
    input_gates: Tensor, recurrent_gates: Tensor, state: State, weights: Weights, dropout: StepDropout = NO_DROPOUT
) -> Step:
    """Take one step; ``norm_gain_cell`` and ``norm_bias_cell`` are g_c and b_c, of shape (hidden_size,)."""
    _, cell = state
    i, f, g, o = (input_gates + recurrent_gates).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    cell = f * cell + i * dropout.of_candidate(g)
    hidden = o * torch.tanh(normalise(cell, weights["norm_gain_cell"], weights["norm_bias_cell"]))
    return Step(state=(hidden, cell), gates=(i, f, g, o))


def _gains(gates: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
    return {"norm_gain_ih": (gates * hidden_size,), "norm_gain_hh": (gates * hidden_size,)}


def lstm_weights(hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Name the LSTM's own weights and their shapes."""
    return {**_gains(4, hidden_size), "norm_gain_cell": (hidden_size,), "norm_bias_cell": (hidden_size,)}


def gru_weights(hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Name the GRU's own weights and their shapes."""
    return _gains(3, hidden_size)


LSTM_LAYER_NORM = replace(
    LSTM,
    name="lstm_layer_norm",
    step=lstm_step,
    normalised=(4,),
    own_weights=lstm_weights,
)
GRU_LAYER_NORM = replace(GRU, name="gru_layer_norm", normalised=(2, 1), own_weights=gru_weights)
