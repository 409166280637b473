"""A recurrent layer as an ONNX model, and from the nodes of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from throughtime.errors import ArgumentError, DataError
from throughtime.export.onnx_graph import OnnxGraph, onnx
from throughtime.export.onnx_operators import OPERATORS, OnnxWeights, weights_from_onnx
from throughtime.export.onnx_recurrent import add_recurrent
from throughtime.nn import Recurrent


def layer_to_onnx(layer: Recurrent, *, lengths: bool = False) -> Any:
    """A model of a recurrent layer, with time and batch of any size.

    Its inputs are ``input``, shape (time, batch, input_size); with ``lengths`` those of the rows, shape (batch,),
    int64; and the states before the first step by the cell's names, ``hidden`` and perhaps ``cell``, each of shape
    (num_layers * directions, batch, size). Its outputs are ``output``, and the final states, as ``hidden_n``.

    Args:
        layer: with weights in float32.
        lengths: whether it takes the lengths of padded rows.

    Returns:
        An onnx.ModelProto.

    Raises:
        ArgumentError: for a layer that can't be written in ONNX, or without the package onnx.
    """
    graph = OnnxGraph()
    values = graph.input("input", "FLOAT", ["time", "batch", layer.input_size])
    steps = graph.input("lengths", "INT64", ["batch"]) if lengths else None
    rows = layer.num_layers * layer.num_directions
    shapes = {name: [rows, "batch", size] for name, size in zip(layer.cell.states, layer.state_sizes, strict=True)}
    initial = [graph.input(name, "FLOAT", shape) for name, shape in shapes.items()]
    output, finals = add_recurrent(graph, layer, values, lengths=steps, initial=initial)
    graph.op("Identity", output, name="output")
    graph.output("output", "FLOAT", ["time", "batch", layer.num_directions * layer.output_size])
    for (name, shape), final in zip(shapes.items(), finals, strict=True):
        graph.op("Identity", final, name=f"{name}_n")
        graph.output(f"{name}_n", "FLOAT", shape)
    return graph.model(layer.cell_name)


def layers_from_onnx(model: Any) -> dict[str, Recurrent]:
    """Make our layers of the RNN, LSTM and GRU nodes of an ONNX model.

    Args:
        model: an onnx.ModelProto, or the path of its file.

    Returns:
        By the nodes' names (or that of their first output) a layer with one of torch's layers in it, whose numbers are
        those of the node. A node of direction "reverse" alone gives a bidirectional layer's reverse weights to a
        forward layer: turn its input and output around.

    Raises:
        ArgumentError: where a node does something that our cells don't, such as clipping or coupled gates, or its
            weights are not in the model; or without the package onnx.
        DataError: where the file is no ONNX model.
    """
    package = onnx()
    if isinstance(model, str | Path):
        try:
            model = package.load(str(model))
        except Exception as error:  # protobuf raises its own
            raise DataError(f"{model}: is not an ONNX model that can be read ({error})") from error
    tensors = {own.name: package.numpy_helper.to_array(own) for own in model.graph.initializer}
    found: dict[str, Recurrent] = {}
    for node in model.graph.node:
        if node.op_type in {"RNN", "LSTM", "GRU"}:
            name = node.name or next(output for output in node.output if output)
            found[name] = _layer_of(node, name, tensors, package)
    return found


def _layer_of(node: Any, name: str, tensors: dict[str, Any], package: Any) -> Recurrent:
    attributes = {own.name: package.helper.get_attribute_value(own) for own in node.attribute}
    cell_name = _cell_name(node, name, attributes)
    inputs = dict(zip(("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"), node.input, strict=False))
    missing = [key for key in ("W", "R", "B", "P") if inputs.get(key) and inputs[key] not in tensors]
    if missing:
        raise ArgumentError(f"node {name!r}: its weights {', '.join(missing)} are not in the model but computed")
    weights = OnnxWeights(*(tensors.get(inputs.get(key, "")) for key in ("W", "R", "B", "P")))  # pyright: ignore[reportArgumentType]
    directions, _, input_size = weights.W.shape
    layer = Recurrent(
        cell_name,
        int(input_size),
        int(weights.R.shape[-1]),
        bias=weights.B is not None,
        bidirectional=directions == 2,
        dtype=torch.from_numpy(weights.W[:0].copy()).dtype,
    )
    with torch.no_grad():
        for direction, own in enumerate(weights_from_onnx(cell_name, weights)):
            for key, value in layer.weights(0, direction).items():
                value.copy_(own[key])
    return layer


def _cell_name(node: Any, name: str, attributes: dict[str, Any]) -> str:
    for attribute in ("clip", "input_forget", "layout"):
        if attributes.get(attribute):
            raise ArgumentError(f"node {name!r}: {attribute} is {attributes[attribute]}, which our layers don't do")
    activations = [own.decode() for own in attributes.get("activations", [])]
    own = len(activations) // (2 if attributes.get("direction") == b"bidirectional" else 1)
    if activations[:own] * (2 if own < len(activations) else 1) != activations:
        raise ArgumentError(f"node {name!r}: its directions have different activations")
    has_peepholes = len(node.input) > 7 and bool(node.input[7])
    for cell_name, operator in OPERATORS.items():
        usual = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[operator.name]
        wanted = [operator.activation] if operator.activation else usual
        if (
            operator.name == node.op_type
            and (activations[:own] or usual) == wanted
            and (operator.linear_before_reset or 0) == attributes.get("linear_before_reset", 0)
            and operator.peepholes == has_peepholes
        ):
            return cell_name
    raise ArgumentError(
        f"node {name!r}: our cells have no {node.op_type} with the activations {', '.join(activations)}"
    )
