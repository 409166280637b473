"""The equations of one step, one file a cell, and the table of all cells by name."""

from __future__ import annotations

from throughtime.cells.cell import Cell, State, Step, StepDropout, StepFunction, Weights
from throughtime.cells.elman import RNN_LOGISTIC, RNN_RELU, RNN_TANH
from throughtime.cells.gru import GRU
from throughtime.cells.gru_reset_before import GRU_RESET_BEFORE
from throughtime.cells.layer_norm import GRU_LAYER_NORM, LSTM_LAYER_NORM
from throughtime.cells.lstm import LSTM
from throughtime.cells.peephole_lstm import LSTM_PEEPHOLE_DIAGONAL, LSTM_PEEPHOLE_FULL
from throughtime.cells.projection import projected

CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        RNN_TANH,
        RNN_RELU,
        RNN_LOGISTIC,
        LSTM,
        LSTM_PEEPHOLE_DIAGONAL,
        LSTM_PEEPHOLE_FULL,
        LSTM_LAYER_NORM,
        GRU,
        GRU_RESET_BEFORE,
        GRU_LAYER_NORM,
    )
}
"""Every cell by its name; ``throughtime.nn.Recurrent`` makes a layer of any of them."""

__all__ = ["CELLS", "Cell", "State", "Step", "StepDropout", "StepFunction", "Weights", "projected"]
