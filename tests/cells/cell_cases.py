"""One row a cell, read by every test of a kernel or a gradient, and the random data that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from throughtime.cells import CELLS, Cell, State, projected
from throughtime.sequence import SequenceBatch

TIME, BATCH, INPUT, HIDDEN, PROJECTED = 5, 4, 3, 2, 1
ROW_LENGTHS = (2, 5, 1, 4)
LENGTHS = torch.tensor(ROW_LENGTHS)


@dataclass(frozen=True)
class Onnx:
    """How ONNX names a cell: its operator, the order of our gate blocks there, and its attributes."""

    operator: str
    gates: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class CellCase:
    """Who else has a cell: torch's kernels, ONNX's operators; and whether it can be projected."""

    name: str
    torch_has_it: bool
    onnx: Onnx | None
    projectable: bool = False


CELL_CASES = (
    CellCase("rnn_tanh", True, Onnx("RNN", (0,), {"activations": ["Tanh"]})),
    CellCase("rnn_relu", True, None),  # the reference implementation of ONNX's RNN knows tanh only
    CellCase("rnn_logistic", False, None),
    CellCase("lstm", True, Onnx("LSTM", (0, 3, 1, 2)), projectable=True),
    CellCase("lstm_peephole_diagonal", False, Onnx("LSTM", (0, 3, 1, 2)), projectable=True),
    CellCase("lstm_peephole_full", False, None, projectable=True),
    CellCase("lstm_layer_norm", False, None, projectable=True),
    CellCase("gru", True, Onnx("GRU", (1, 0, 2), {"linear_before_reset": 1})),
    CellCase("gru_reset_before", False, Onnx("GRU", (1, 0, 2), {"linear_before_reset": 0})),
    CellCase("gru_layer_norm", False, None),
)
CELL_NAMES = [case.name for case in CELL_CASES]
VARIANTS = CELL_NAMES + [f"{case.name}_projected" for case in CELL_CASES if case.projectable]
"""The name of every cell, and of its projected form where it has one."""


def cell_of(variant: str) -> Cell:
    """Find a cell by the name of its variant."""
    name = variant.removesuffix("_projected")
    return CELLS[name] if name == variant else projected(CELLS[name])


def random(*shape: int) -> Tensor:
    """Draw a float64 leaf that requires its gradient, of a size at which no unit saturates or explodes."""
    return (torch.randn(shape, dtype=torch.float64) / 2).requires_grad_()


def random_weights(cell: Cell, *, bias: bool = True) -> dict[str, Tensor]:
    """Draw the weights of a cell, all distinct."""
    rows = len(cell.gates) * HIDDEN
    output = PROJECTED if cell.name.endswith("_projected") else HIDDEN
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, INPUT), "weight_hh": (rows, output)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if output != HIDDEN:
        shapes["weight_hr"] = (output, HIDDEN)
    shapes |= cell.own_weights(HIDDEN)
    return {name: random(*shape) for name, shape in shapes.items()}


def random_state(cell: Cell) -> State:
    """Draw a state, each part distinct and none zero."""
    output = PROJECTED if cell.name.endswith("_projected") else HIDDEN
    return tuple(random(BATCH, output if index == 0 else HIDDEN) for index in range(len(cell.states)))


def random_sequence(*, ragged: bool) -> SequenceBatch:
    """Draw a sequence, its rows of the lengths LENGTHS if ragged."""
    return SequenceBatch(random(TIME, BATCH, INPUT), LENGTHS if ragged else None)


def skip_where_torch_has_no_autocast(kind: str) -> None:
    """Skip a test that needs torch's LSTM in bfloat16, which fails on processors that can't multiply it."""
    if kind.lower() == "lstm" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch's LSTM can't be run in bfloat16 on this processor")
