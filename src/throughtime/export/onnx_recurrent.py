"""Recurrent layers in ONNX: by the standard operators where a cell is one, else by a Scan over its equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from throughtime.cells import Weights
from throughtime.errors import ArgumentError
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_operators import OPERATORS, weights_to_onnx
from throughtime.export.onnx_steps import STEPS, StepWriter, normalised_groups
from throughtime.nn import ConvolutionalRecurrent, Recurrent


def is_operator(layer: Recurrent) -> bool:
    """Whether ONNX has an operator that is this layer: RNN, LSTM or GRU; projections it hasn't."""
    return layer.cell_name in OPERATORS and not layer.proj_size


def check_exportable(layer: Recurrent) -> None:
    """Raise ArgumentError unless the layer can be written in ONNX."""
    if layer.zoneout:
        raise ArgumentError("a layer with zoneout can't be written in ONNX: its states move by an expectation there")
    if layer.weight_ih_l0.dtype != torch.float32:
        raise ArgumentError(f"only layers in float32 can be written in ONNX, got {layer.weight_ih_l0.dtype}")
    if not is_operator(layer) and layer.cell_name not in STEPS:
        raise ArgumentError(f"the cell {layer.cell_name!r} can't be written in ONNX; there are {', '.join(writable())}")


def writable() -> list[str]:
    """The names of the cells that can be written."""
    return [*OPERATORS, *(name for name in STEPS if name not in OPERATORS)]


def add_recurrent(
    graph: OnnxGraph,
    layer: Recurrent,
    values: str,
    *,
    lengths: str | None = None,
    initial: Sequence[str] | None = None,
    prefix: str = "recurrent.",
) -> tuple[str, list[str]]:
    """Add the layers to a graph.

    Args:
        graph: the graph.
        layer: in which no dropout and no zoneout acts, as in evaluation.
        values: what it reads, shape (time, batch, input_size), float32.
        lengths: of the rows, shape (batch,), int64; None where all are of full length.
        initial: the states before the first step, each (num_layers * directions, batch, size); zeros if None.
        prefix: of the weights' names.

    Returns:
        The outputs, shape (time, batch, directions * output size), zero in the padding, and the final states in the
        form of ``initial``.

    Raises:
        ArgumentError: for a layer that can't be written.
    """
    check_exportable(layer)
    add = _add_operator if is_operator(layer) else _add_scans
    finals: list[list[str]] = []
    for number in range(layer.num_layers):
        own: list[str] | None = None
        if initial is not None:
            first = number * layer.num_directions
            start, stop = graph.integers(first), graph.integers(first + layer.num_directions)
            own = [graph.op("Slice", part, start, stop, graph.integers(0)) for part in initial]
        values, final = add(graph, layer, number, values, lengths, own, prefix)
        finals.append(final)
    by_state = [[final[place] for final in finals] for place in range(len(layer.cell.states))]
    return values, [concatenated(graph, parts, 0) for parts in by_state]


def _add_operator(
    graph: OnnxGraph,
    layer: Recurrent,
    number: int,
    values: str,
    lengths: str | None,
    initial: list[str] | None,
    prefix: str,
) -> tuple[str, list[str]]:
    operator = OPERATORS[layer.cell_name]
    directions = [layer.weights(number, direction) for direction in range(layer.num_directions)]
    weights = weights_to_onnx(layer.cell_name, directions)
    named = {name: graph.weight(f"{prefix}{number}.{name}", value) for name, value in weights.named().items()}
    steps = graph.op("Cast", lengths, to=6) if lengths is not None else ""  # int32, as the operators want it
    states = initial or []
    inputs = [values, named["W"], named["R"], named.get("B", ""), steps, *states]
    if "P" in named:
        inputs += [""] * (7 - len(inputs)) + [named["P"]]
    while not inputs[-1]:
        inputs.pop()
    attributes = operator.attributes
    if "activations" in attributes:
        attributes["activations"] = attributes["activations"] * layer.num_directions
    output, *final = graph.ops(
        operator.name,
        inputs,
        1 + len(layer.cell.states),
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **attributes,
    )
    # From (time, directions, batch, hidden) to (time, batch, directions * hidden).
    output = graph.op("Transpose", output, perm=[0, 2, 1, 3])
    return graph.op("Reshape", output, graph.integers(0, 0, -1)), final


def _add_scans(
    graph: OnnxGraph,
    layer: Recurrent,
    number: int,
    values: str,
    lengths: str | None,
    initial: list[str] | None,
    prefix: str,
) -> tuple[str, list[str]]:
    mask = None if lengths is None else valid_steps(graph, values, lengths)
    outputs: list[str] = []
    finals: list[list[str]] = []
    for direction in range(layer.num_directions):
        own = f"{prefix}{number}.{direction}."
        weights = layer.weights(number, direction)
        states = _initial_states(graph, layer, values, initial, direction)
        gates = graph.op("MatMul", values, graph.weight(f"{own}weight_ih_t", weights["weight_ih"].t()))
        gates = _prepared(graph, layer, gates, weights, "ih", own)
        body = _body(graph, layer, weights, own, masked=mask is not None)
        output, *final = add_scan(graph, body, (number, direction), states, gates, mask)
        outputs.append(output)
        finals.append([graph.op("Unsqueeze", part, graph.integers(0)) for part in final])
    return concatenated(graph, outputs, -1), [concatenated(graph, parts, 0) for parts in zip(*finals, strict=True)]


def add_scan(
    graph: OnnxGraph, body: OnnxGraph, place: tuple[int, int], states: Sequence[str], gates: str, mask: str | None
) -> list[str]:
    """Add a Scan over the steps of one direction of a layer.

    Args:
        graph: the graph.
        body: a step; see ``scan_step``.
        place: the number of the layer, and 1 for the direction from the last step to the first, else 0.
        states: before the first step.
        gates: what a step reads, shape (time, batch, ...).
        mask: which steps are valid; None where all are.

    Returns:
        The outputs, and then the final states.
    """
    number, direction = place
    scanned = [gates] if mask is None else [gates, mask]
    *final, output = graph.ops(
        "Scan",
        [*states, *scanned],
        len(states) + 1,
        body=body.proto(f"step_{number}_{direction}"),
        num_scan_inputs=len(scanned),
        scan_input_directions=[direction] * len(scanned),
        scan_output_directions=[direction],
    )
    return [output, *final]


def concatenated(graph: OnnxGraph, parts: Sequence[str], axis: int) -> str:
    """The parts along an axis; a single one as it is."""
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=axis)


def valid_steps(graph: OnnxGraph, values: str, lengths: str) -> str:
    """Where a batch has values and no padding: shape (time, batch, 1), bool."""
    shape = graph.op("Shape", values, start=0, end=1)
    time = graph.op("Squeeze", shape, graph.integers(0))
    zero, one = (graph.op("Squeeze", graph.integers(value), graph.integers(0)) for value in (0, 1))
    steps = graph.op("Unsqueeze", graph.op("Range", zero, time, one), graph.integers(1))
    return graph.op("Unsqueeze", graph.op("Less", steps, lengths), graph.integers(2))


def _initial_states(
    graph: OnnxGraph, layer: Recurrent, values: str, initial: list[str] | None, direction: int
) -> list[str]:
    if initial is not None:
        place = graph.op("Squeeze", graph.integers(direction), graph.integers(0))
        return [graph.op("Gather", part, place, axis=0) for part in initial]
    batch = graph.op("Shape", values, start=1, end=2)
    return [
        graph.op("Expand", graph.number(0.0), graph.op("Concat", batch, graph.integers(size), axis=0))
        for size in layer.state_sizes
    ]


def _prepared(graph: OnnxGraph, layer: Recurrent, product: str, weights: Weights, side: str, prefix: str) -> str:
    """A product with weight_ih or weight_hh, normalised where the cell does, and its bias added."""
    bias = weights.get(f"bias_{side}")
    gain = weights.get(f"norm_gain_{side}")
    if gain is not None:
        return normalised_groups(graph, prefix, product, layer.cell.normalised, gain, bias, f"norm_{side}")
    return product if bias is None else graph.op("Add", product, graph.weight(f"{prefix}bias_{side}", bias))


def _body(graph: OnnxGraph, layer: Recurrent, weights: Weights, prefix: str, *, masked: bool) -> OnnxGraph:
    """One step of a layer as the body of a Scan."""

    def recurrent(body: OnnxGraph, hidden: str) -> str:
        product = body.op("MatMul", hidden, body.weight(f"{prefix}weight_hh_t", weights["weight_hh"].t()))
        return _prepared(body, layer, product, weights, "hh", prefix)

    body = OnnxGraph(graph)
    return scan_step(StepWriter(body, prefix, weights, layer.hidden_size), layer, recurrent, masked=masked)


def scan_step(
    write: StepWriter,
    layer: Recurrent | ConvolutionalRecurrent,
    recurrent: Callable[[OnnxGraph, str], str],
    *,
    masked: bool,
) -> OnnxGraph:
    """Write a step into the body of a Scan: states, gates and perhaps whether the step is valid; to states and output.

    Args:
        write: of the body.
        layer: whose cell's step.
        recurrent: adds the product of the hidden state with weight_hh, and its bias.
        masked: whether rows have ends.
    """
    body = write.graph
    states = [body.input(body.new_name("state"), "FLOAT", None) for _ in layer.cell.states]
    gates = body.input(body.new_name("gates"), "FLOAT", None)
    valid = body.input(body.new_name("valid"), "BOOL", None) if masked else None
    new = STEPS[layer.cell_name](write, gates, recurrent(body, states[0]), states)
    output = body.op("Identity", new[0])
    if valid is not None:
        new = [body.op("Where", valid, after, before) for after, before in zip(new, states, strict=True)]
        output = body.op("Where", valid, output, body.number(0.0))
    for value in (*new, output):
        body.output(value, "FLOAT", None)
    return body
