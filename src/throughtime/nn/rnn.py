"""RNN, LSTM and GRU: torch.nn's signatures, and what torch.nn has not."""

from __future__ import annotations

from typing import Literal, Unpack

import torch

from throughtime.errors import ArgumentError, check_choice
from throughtime.nn.recurrent import LayerOptions, Recurrent

LSTM_CELLS = {None: "lstm", "diagonal": "lstm_peephole_diagonal", "full": "lstm_peephole_full"}
GRU_CELLS = {"after": "gru", "before": "gru_reset_before"}
RNN_CELLS = {"tanh": "rnn_tanh", "relu": "rnn_relu", "logistic": "rnn_logistic"}


class LSTMOptions(LayerOptions, total=False):
    """What an LSTM takes by keyword beyond torch.nn's arguments; see ``LSTM``."""

    peephole: Literal["diagonal", "full"] | None
    layer_norm: bool
    forget_bias: float | None


class GRUOptions(LayerOptions, total=False):
    """What a GRU takes by keyword beyond torch.nn's arguments and ``reset``; see ``GRU``."""

    layer_norm: bool


def lstm_cell_name(peephole: str | None, *, layer_norm: bool) -> str:
    """Find the cell of an LSTM with these peepholes or with normalisation, or raise ArgumentError."""
    if peephole is not None:
        check_choice("peephole", peephole, [name for name in LSTM_CELLS if name])
        if layer_norm:
            raise ArgumentError("`layer_norm` and `peephole` don't go together; give one of them")
    return "lstm_layer_norm" if layer_norm else LSTM_CELLS[peephole]


def gru_cell_name(reset: str, *, layer_norm: bool) -> str:
    """Find the cell of a GRU with this place of the reset gate or with normalisation, or raise ArgumentError."""
    check_choice("reset", reset, GRU_CELLS)
    if layer_norm and reset != "after":
        raise ArgumentError(f"`layer_norm` needs `reset` to be 'after', got {reset!r}")
    return "gru_layer_norm" if layer_norm else GRU_CELLS[reset]


def rnn_cell_name(nonlinearity: str) -> str:
    """Find the cell of an Elman network with this nonlinearity, or raise ArgumentError."""
    check_choice("nonlinearity", nonlinearity, RNN_CELLS)
    return RNN_CELLS[nonlinearity]


class RNN(Recurrent):
    """Elman's recurrent network: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    A replacement for torch.nn.RNN: the same arguments, parameters, initial values, inputs and outputs.

    Args:
        input_size: features of the input.
        hidden_size: units of a layer.
        num_layers: layers above each other.
        nonlinearity: "tanh", "relu", or "logistic" (1 / (1 + exp(-a)), which torch.nn has not).
        bias: whether there are biases.
        batch_first: whether tensors are (batch, time, feature) instead of (time, batch, feature).
        dropout: probability of dropout between layers.
        bidirectional: whether to run in both directions.
        device: where the parameters live.
        dtype: the parameters' dtype.
        **options: those of ``Recurrent``, without what acts on gates: gate_biases, freeze_gate_biases,
            candidate_dropout.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.

    >>> output, hidden = RNN(10, 20, 2)(torch.randn(5, 3, 10))
    >>> output.shape, hidden.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu", "logistic"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            rnn_cell_name(nonlinearity),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **options,
        )
        self.nonlinearity = nonlinearity


class LSTM(Recurrent):
    """Long short-term memory; the equations stand in ``throughtime.cells.lstm``.

    A replacement for torch.nn.LSTM: the same arguments, parameters, initial values, inputs and outputs. The
    state is the pair (hidden, cell), each of shape (num_layers * directions, batch, size).

    Args:
        input_size: features of the input.
        hidden_size: units of a layer.
        num_layers: layers above each other.
        bias: whether there are biases.
        batch_first: whether tensors are (batch, time, feature) instead of (time, batch, feature).
        dropout: probability of dropout between layers.
        bidirectional: whether to run in both directions.
        proj_size: size to which the output is projected (Sak et al., 2014); 0 for none.
        device: where the parameters live.
        dtype: the parameters' dtype.
        **options: those of ``Recurrent``, and
            peephole: None, or "diagonal" (Gers and Schmidhuber, 2000; ``weight_peephole_l{k}`` of shape
                (3, hidden_size), rows i, f, o), or "full" (the gates read the concatenation [c; h; x];
                ``weight_peephole_l{k}`` of shape (3 * hidden_size, hidden_size), row blocks i, f, o).
                i and f see c_{t-1}, o sees c_t, the candidate neither.
            layer_norm: normalise both products and the cell state (Ba et al., 2016; the equations stand in
                ``throughtime.cells.layer_norm``), with the gains ``norm_gain_ih_l{k}``, ``norm_gain_hh_l{k}`` and
                ``norm_gain_cell_l{k}``, and ``norm_bias_cell_l{k}``; bias_ih and bias_hh come after normalisation.
            forget_bias: total bias of the forget gate; 1.0 keeps memory at first (Jozefowicz et al., 2015).

    Raises:
        ArgumentError: if an argument has a value that cannot be used.

    >>> output, (hidden, cell) = LSTM(10, 20, 2, peephole="diagonal", forget_bias=1.0)(torch.randn(5, 3, 10))
    >>> output.shape, cell.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LSTMOptions],
    ) -> None:
        peephole, forget_bias = options.pop("peephole", None), options.pop("forget_bias", None)
        layer_norm = options.pop("layer_norm", False)
        if forget_bias is not None:
            gate_biases = options.get("gate_biases") or {}
            if "forget" in gate_biases:
                raise ArgumentError("`forget_bias` and `gate_biases['forget']` say the same thing; give one of them")
            options["gate_biases"] = {**gate_biases, "forget": forget_bias}
        super().__init__(
            lstm_cell_name(peephole, layer_norm=layer_norm),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            **options,
        )
        self.peephole = peephole
        self.layer_norm = layer_norm


class GRU(Recurrent):
    """Gated recurrent unit; the equations stand in ``throughtime.cells.gru`` and ``gru_reset_before``.

    A replacement for torch.nn.GRU: the same arguments, parameters, initial values, inputs and outputs. The
    update gate is the share of the old state that stays; for the other convention see ``negate_update_gate``.

    Args:
        input_size: features of the input.
        hidden_size: units of a layer.
        num_layers: layers above each other.
        bias: whether there are biases.
        batch_first: whether tensors are (batch, time, feature) instead of (time, batch, feature).
        dropout: probability of dropout between layers.
        bidirectional: whether to run in both directions.
        device: where the parameters live.
        dtype: the parameters' dtype.
        reset: "after" the candidate's recurrent product, as in torch.nn, or "before" it, as in the original
            unit (Cho et al., 2014).
        **options: those of ``Recurrent``, and
            layer_norm: normalise both products (Ba et al., 2016; see ``throughtime.cells.layer_norm``), with the gains
                ``norm_gain_ih_l{k}`` and ``norm_gain_hh_l{k}``.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.

    >>> output, hidden = GRU(10, 20, reset="before", bias=False)(torch.randn(5, 3, 10))
    >>> output.shape, hidden.shape
    (torch.Size([5, 3, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset: Literal["after", "before"] = "after",
        **options: Unpack[GRUOptions],
    ) -> None:
        layer_norm = options.pop("layer_norm", False)
        super().__init__(
            gru_cell_name(reset, layer_norm=layer_norm),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **options,
        )
        self.reset = reset
        self.layer_norm = layer_norm
