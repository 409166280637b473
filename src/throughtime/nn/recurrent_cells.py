"""Single steps with weights: RNNCell, LSTMCell and GRUCell under torch.nn's signatures."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, State
from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_shape
from throughtime.nn.inference import InferringModule
from throughtime.nn.initialization import draw_weights_
from throughtime.nn.input_form import check_dtype
from throughtime.nn.rnn import gru_cell_name, lstm_cell_name, rnn_cell_name
from throughtime.recurrence import Direction, run
from throughtime.recurrence.stack import StackSizes
from throughtime.sequence import SequenceBatch


class RecurrentCell(InferringModule):
    """One step of any cell in ``throughtime.cells.CELLS``, with weights named and drawn as in torch.nn.

    Args:
        cell_name: a name in CELLS.
        input_size: features of the input.
        hidden_size: units.
        bias: whether there are biases.
        device: where the parameters live.
        dtype: the parameters' dtype.

    Attributes:
        last_backend: the name of the backend that ran in the last call; None before the first.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.
    """

    weight_ih: Tensor

    def __init__(
        self,
        cell_name: str,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_choice("cell_name", cell_name, CELLS)
        check_positive_integer("input_size", input_size)
        check_positive_integer("hidden_size", hidden_size)
        self.cell_name = cell_name
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        cell = CELLS[cell_name]
        rows = len(cell.gates) * hidden_size
        shapes = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
            **cell.own_weights(hidden_size),
        }
        for name, shape in shapes.items():
            absent = name.startswith("bias_") and not bias
            weight = None if absent else nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, weight)
        self._weight_names = [{name: name for name, weight in self._parameters.items() if weight is not None}]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, uniformly from ±1/√hidden_size; normalisation begins with gains of 1."""
        draw_weights_(self, self.hidden_size)

    def forward(self, input: Tensor, hx: Tensor | State | None = None) -> Tensor | State:  # noqa: A002 - torch's name
        """Take one step.

        Args:
            input: shape (batch, input_size), or (input_size,) for one row.
            hx: the state before the step, shape (batch, hidden_size) or (hidden_size,); a tuple of them for
                a cell with several states; zeros if None.

        Returns:
            The state after the step, in the form of ``hx``.

        Raises:
            ArgumentError: if a shape or dtype does not fit.
        """
        found = self._infer(input, (hx,) if isinstance(hx, Tensor) else hx, "step")
        if found is not None:
            return found[1][0] if len(found[1]) == 1 else found[1]
        cell = CELLS[self.cell_name]
        batched = input.dim() != 1
        check_shape("input", input.shape, ("batch", self.input_size) if batched else (self.input_size,))
        rows = input if batched else input.unsqueeze(0)
        check_dtype("input", input, self.weight_ih.dtype)
        state = None
        if hx is not None:
            state = (hx,) if isinstance(hx, Tensor) else tuple(hx)
            if len(state) != len(cell.states):
                names = ", ".join(cell.states)
                raise ArgumentError(f"`hx` must hold {len(cell.states)} tensors ({names}), got {len(state)}")
            for index, part in enumerate(state):
                name = "hx" if len(state) == 1 else f"hx[{index}]"
                check_shape(name, part.shape, (*input.shape[:-1], self.hidden_size))
                check_dtype(name, part, self.weight_ih.dtype)
            state = tuple(part if batched else part.unsqueeze(0) for part in state)
        state = tuple(part if batched else part.squeeze(0) for part in self._run(rows, state))
        return state[0] if len(cell.states) == 1 else state

    @property
    def stack_sizes(self) -> StackSizes:
        """What the cell is as a single layer, beside its weights."""
        size = self.hidden_size
        return StackSizes(CELLS[self.cell_name], self.input_size, size, size, 1, 1)

    def _run(self, rows: Tensor, state: State | None) -> State:
        direction = Direction(dict(self.named_parameters(recurse=False)), state)
        _, (state,), backend = run(CELLS[self.cell_name], SequenceBatch(rows.unsqueeze(0)), [direction])
        self._set_last_backend(backend)
        return state

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RecurrentCell):
    """One step of Elman's network, as torch.nn.RNNCell; ``nonlinearity`` may also be "logistic".

    >>> RNNCell(10, 20)(torch.randn(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu", "logistic"] = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(rnn_cell_name(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(RecurrentCell):
    """One step of an LSTM, as torch.nn.LSTMCell; ``peephole`` and ``layer_norm`` are those of ``throughtime.nn.LSTM``.

    >>> hidden, cell = LSTMCell(10, 20)(torch.randn(3, 10))
    >>> hidden.shape, cell.shape
    (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: Literal["diagonal", "full"] | None = None,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(lstm_cell_name(peephole, layer_norm=layer_norm), input_size, hidden_size, bias, device, dtype)
        self.peephole = peephole
        self.layer_norm = layer_norm


class GRUCell(RecurrentCell):
    """One step of a GRU, as torch.nn.GRUCell; ``reset`` and ``layer_norm`` are those of ``throughtime.nn.GRU``.

    >>> GRUCell(10, 20, reset="before")(torch.randn(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset: Literal["after", "before"] = "after",
        layer_norm: bool = False,
    ) -> None:
        super().__init__(gru_cell_name(reset, layer_norm=layer_norm), input_size, hidden_size, bias, device, dtype)
        self.reset = reset
        self.layer_norm = layer_norm
