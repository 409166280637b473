"""Every cell that ONNX has, against the reference implementation of its operator, in float64.

The reference implementation ignores ``sequence_lens``, so each row is cut to its length and run alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from cells.cell_cases import (
    CELL_CASES,
    HIDDEN,
    ROW_LENGTHS,
    Onnx,
    cell_of,
    random_sequence,
    random_state,
    random_weights,
)  # fmt: skip
from throughtime.cells import State
from throughtime.recurrence import Direction, run

CASES = {case.name: case.onnx for case in CELL_CASES if case.onnx}


def onnx_weights(onnx: Onnx, weights: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Bring a cell's weights to its operator's inputs W, R, B and P, with the leading axis of directions."""

    def reordered(name: str) -> Tensor:
        blocks = weights[name].detach().chunk(len(onnx.gates))
        return torch.cat([blocks[index] for index in onnx.gates])

    inputs = {"W": reordered("weight_ih"), "R": reordered("weight_hh")}
    if "bias_ih" in weights:
        inputs["B"] = torch.cat([reordered("bias_ih"), reordered("bias_hh")])
    if "weight_peephole" in weights:
        p_i, p_f, p_o = weights["weight_peephole"].detach()
        inputs["P"] = torch.cat([p_i, p_o, p_f])
    return {name: value.unsqueeze(0).numpy() for name, value in inputs.items()}


def run_onnx(onnx: Onnx, inputs: dict[str, np.ndarray], *, direction: str) -> list[np.ndarray]:
    names = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    outputs = ["Y", "Y_h", "Y_c"] if onnx.operator == "LSTM" else ["Y", "Y_h"]
    given = [name if name in inputs else "" for name in names]
    while not given[-1]:
        given.pop()
    node = helper.make_node(onnx.operator, given, outputs, hidden_size=HIDDEN, direction=direction, **onnx.attributes)
    graph = helper.make_graph(
        [node],
        "cell",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    evaluator: Any = ReferenceEvaluator(model)
    return evaluator.run(None, inputs)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", ["reference", "fused"])
def test_a_cell_is_its_onnx_operator(backend: str, name: str, direction: str, bias: bool) -> None:
    onnx, cell = CASES[name], cell_of(name)
    sequence, weights = random_sequence(ragged=True), random_weights(cell, bias=bias)
    state: State = random_state(cell)
    outputs, (final,), _ = run(cell, sequence, [Direction(weights, state, direction == "reverse")], backend=backend)
    for row, length in enumerate(ROW_LENGTHS):
        inputs = onnx_weights(onnx, weights)
        inputs["X"] = sequence.values[:length, row : row + 1].detach().numpy()
        for key, part in zip(("initial_h", "initial_c"), state, strict=False):
            inputs[key] = part[row : row + 1].unsqueeze(0).detach().numpy()
        expected, *last = run_onnx(onnx, inputs, direction=direction)
        np.testing.assert_allclose(outputs.values[:length, row].detach(), expected[:, 0, 0], rtol=0, atol=1e-12)
        for part, want in zip(final, last, strict=True):
            np.testing.assert_allclose(part[row].detach(), want[0, 0], rtol=0, atol=1e-12)
