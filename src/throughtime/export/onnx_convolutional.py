"""Convolutional recurrent layers in ONNX, which has no operator for them: a Scan whose steps convolve the state."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import part
from throughtime.export.onnx_recurrent import add_scan, concatenated, scan_step, valid_steps
from throughtime.export.onnx_steps import STEPS, StepWriter
from throughtime.nn import ConvolutionalRecurrent


def add_convolutional(
    graph: OnnxGraph,
    layer: ConvolutionalRecurrent,
    values: str,
    *,
    lengths: str | None = None,
    initial: Sequence[str] | None = None,
    prefix: str = "recurrent.",
) -> tuple[str, list[str]]:
    """Add the layers to a graph; see ``add_recurrent``.

    Args:
        graph: the graph.
        layer: over pictures.
        values: what it reads, shape (time, batch, channel, height, width), float32.
        lengths: of the rows, shape (batch,), int64; None where all are of full length.
        initial: the states before the first step, each (layers * directions, batch, channel, height, width); zeros if
            None.
        prefix: of the weights' names.

    Returns:
        The outputs, shape (time, batch, directions * channels, height, width), zero in the padding, and the final
        states in the form of ``initial``.

    Raises:
        ArgumentError: for a cell that can't be written.
    """
    if layer.cell_name not in STEPS or len(layer.kernel_size) != 2:
        raise ArgumentError(f"convolutions of the cell {layer.cell_name!r} can't be written in ONNX")
    mask = None
    if lengths is not None:
        mask = graph.op("Unsqueeze", valid_steps(graph, values, lengths), graph.integers(3, 4))
    finals: list[list[str]] = []
    for number in range(layer.num_layers):
        outputs: list[str] = []
        for direction in range(layer.num_directions):
            row = number * layer.num_directions + direction
            own = None if initial is None else [_row(graph, state, row) for state in initial]
            output, *final = _scanned(graph, layer, (number, direction), values, mask, own, prefix)
            outputs.append(output)
            finals.append([graph.op("Unsqueeze", state, graph.integers(0)) for state in final])
        values = concatenated(graph, outputs, 2)
    return values, [concatenated(graph, states, 0) for states in zip(*finals, strict=True)]


def _scanned(
    graph: OnnxGraph,
    layer: ConvolutionalRecurrent,
    place: tuple[int, int],
    values: str,
    mask: str | None,
    initial: list[str] | None,
    prefix: str,
) -> list[str]:
    """One direction of one layer: its outputs and its final states."""
    number, direction = place
    own = f"{prefix}{number}.{direction}."
    weights = layer.weights(number, direction)
    lead, space = graph.op("Shape", values, start=0, end=2), graph.op("Shape", values, start=3, end=5)
    pictures = graph.op("Reshape", values, graph.op("Concat", graph.integers(-1), _rest(graph, values), axis=0))
    product = _convolved(graph, pictures, weights, "ih", own)
    rows = graph.integers(len(weights["weight_ih"]))
    gates = graph.op("Reshape", product, graph.op("Concat", lead, rows, space, axis=0))
    states = initial
    if states is None:
        batch = graph.op("Shape", values, start=1, end=2)
        shape = graph.op("Concat", batch, graph.integers(layer.hidden_channels), space, axis=0)
        states = [graph.op("Expand", graph.number(0.0), shape) for _ in layer.cell.states]
    body = OnnxGraph(graph)
    write = StepWriter(body, own, weights, layer.hidden_channels, axis=1)
    scan_step(
        write, layer, lambda inner, hidden: _convolved(inner, hidden, weights, "hh", own), masked=mask is not None
    )
    return add_scan(graph, body, place, states, gates, mask)


def _convolved(graph: OnnxGraph, pictures: str, weights: dict[str, Tensor], side: str, prefix: str) -> str:
    """A convolution with weight_ih or weight_hh, and its bias."""
    weight = weights[f"weight_{side}"]
    inputs = [pictures, graph.weight(f"{prefix}weight_{side}", weight)]
    if f"bias_{side}" in weights:
        inputs.append(graph.weight(f"{prefix}bias_{side}", weights[f"bias_{side}"]))
    kernel = list(weight.shape[2:])
    return graph.op("Conv", *inputs, kernel_shape=kernel, pads=[size // 2 for size in kernel] * 2)


def _rest(graph: OnnxGraph, values: str) -> str:
    return graph.op("Shape", values, start=2, end=5)


def _row(graph: OnnxGraph, state: str, row: int) -> str:
    return graph.op("Squeeze", part(graph, state, row, row + 1), graph.integers(0))
