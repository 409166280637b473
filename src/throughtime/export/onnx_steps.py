"""The equations of one step of any cell as ONNX nodes, for the cells that are no operator of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from throughtime.cells import Weights
from throughtime.cells.normalisation import EPSILON
from throughtime.export.onnx_graph import OnnxGraph


class StepWriter:
    """Writes one step of a cell into a graph.

    Args:
        graph: the graph, the body of a Scan.
        prefix: of the weights' names.
        weights: of one layer and direction, by their names without the layer's suffix.
        hidden_size: units.
        axis: where the units of a state stand: last, or first of a picture, (batch, units, height, width).
    """

    def __init__(
        self, graph: OnnxGraph, prefix: str, weights: Weights, hidden_size: int, *, axis: Literal[-1, 1] = -1
    ) -> None:
        self.graph = graph
        self.axis: Literal[-1, 1] = axis
        self.prefix = prefix
        self.weights = weights
        self.hidden_size = hidden_size

    def matrix(self, name: str, rows: slice | None = None) -> str:
        """The transposed rows of a matrix, to multiply with from the right."""
        value = self.weights[name] if rows is None else self.weights[name][rows]
        label = "" if rows is None else f"_{rows.start}_{rows.stop}"
        return self.graph.weight(f"{self.prefix}{name}{label}_t", value.t())

    def vector(self, name: str, label: str, value: Tensor) -> str:
        """A vector that is part of a weight; of pictures one for all places, or one for each place."""
        if self.axis == 1:
            value = value[:, None, None] if value.ndim == 1 else value.movedim(-1, 0)
        return self.graph.weight(f"{self.prefix}{name}_{label}", value)

    def split(self, value: str, count: int) -> list[str]:
        """Blocks of hidden_size features."""
        sizes = self.graph.integers(*[self.hidden_size] * count)
        return self.graph.ops("Split", [value, sizes], count, axis=self.axis)

    def sum(self, *values: str) -> str:
        """The sum of some values."""
        total = values[0]
        for value in values[1:]:
            total = self.graph.op("Add", total, value)
        return total

    def product(self, one: str, other: str) -> str:
        """The elementwise product."""
        return self.graph.op("Mul", one, other)

    def times(self, value: str, name: str, rows: slice | None = None) -> str:
        """A vector times the rows of a matrix."""
        return self.graph.op("MatMul", value, self.matrix(name, rows))

    def logistic(self, value: str) -> str:
        """1 / (1 + exp(-a))."""
        return self.graph.op("Sigmoid", value)

    def tanh(self, value: str) -> str:
        """The hyperbolic tangent."""
        return self.graph.op("Tanh", value)


def normalised_groups(
    graph: OnnxGraph, prefix: str, value: str, groups: Sequence[int], gain: Tensor, bias: Tensor | None, name: str
) -> str:
    """Normalise groups of gates each by itself; see ``throughtime.cells.normalisation``."""
    hidden_size = len(gain) // sum(groups)
    sizes = [count * hidden_size for count in groups]
    parts = graph.ops("Split", [value, graph.integers(*sizes)], len(sizes), axis=-1) if len(sizes) > 1 else [value]
    biases = bias if bias is not None else torch.zeros_like(gain)
    found: list[str] = []
    for place, (part, own, shift) in enumerate(zip(parts, gain.split(sizes), biases.split(sizes), strict=True)):
        scale = graph.weight(f"{prefix}{name}_gain_{place}", own)
        offset = graph.weight(f"{prefix}{name}_bias_{place}", shift)
        found.append(graph.op("LayerNormalization", part, scale, offset, axis=-1, epsilon=EPSILON))
    return graph.op("Concat", *found, axis=-1) if len(found) > 1 else found[0]


def _lstm(write: StepWriter, gates: str, recurrent: str, state: Sequence[str]) -> list[str]:
    weights, size = write.weights, write.hidden_size
    _, cell = state
    i, f, g, o = write.split(write.sum(gates, recurrent), 4)
    peephole = weights.get("weight_peephole")
    is_full = peephole is not None and peephole.shape[0] != 3
    if peephole is not None and is_full:
        peek_i, peek_f = write.split(write.times(cell, "weight_peephole", slice(0, 2 * size)), 2)
        i, f = write.sum(i, peek_i), write.sum(f, peek_f)
    elif peephole is not None:
        i = write.sum(i, write.product(cell, write.vector("peephole", "i", peephole[0])))
        f = write.sum(f, write.product(cell, write.vector("peephole", "f", peephole[1])))
    new = write.sum(write.product(write.logistic(f), cell), write.product(write.logistic(i), write.tanh(g)))
    if peephole is not None and is_full:
        o = write.sum(o, write.times(new, "weight_peephole", slice(2 * size, 3 * size)))
    elif peephole is not None:
        o = write.sum(o, write.product(new, write.vector("peephole", "o", peephole[2])))
    seen = new
    if "norm_gain_cell" in weights:
        gain, bias = weights["norm_gain_cell"], weights["norm_bias_cell"]
        seen = normalised_groups(write.graph, write.prefix, new, [1], gain, bias, "norm_cell")
    hidden = write.product(write.logistic(o), write.tanh(seen))
    if "weight_hr" in weights:
        hidden = write.times(hidden, "weight_hr")
    return [hidden, new]


def _gru(write: StepWriter, gates: str, recurrent: str, state: Sequence[str]) -> list[str]:
    graph, (hidden,) = write.graph, state
    x_r, x_z, x_n = write.split(gates, 3)
    h_r, h_z, h_n = write.split(recurrent, 3)
    r, z = write.logistic(write.sum(x_r, h_r)), write.logistic(write.sum(x_z, h_z))
    n = write.tanh(write.sum(x_n, write.product(r, h_n)))
    new = write.product(graph.op("Sub", graph.number(1.0), z), n)
    return [write.sum(new, write.product(z, hidden))]


Step = Callable[[StepWriter, str, str, Sequence[str]], list[str]]

STEPS: dict[str, Step] = {
    "lstm": _lstm,
    "lstm_peephole_diagonal": _lstm,
    "lstm_peephole_full": _lstm,
    "lstm_layer_norm": _lstm,
    "gru": _gru,
    "gru_layer_norm": _gru,
}
"""The cells that a Scan may be needed for: those that are no operator, are projected, or convolve."""
