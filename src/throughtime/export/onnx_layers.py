"""The layers that networks share in ONNX: embeddings, products, convolutions along time, pooling, states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from throughtime.export.onnx_graph import OnnxGraph
from throughtime.nn import Convolution, OneHot, Pooling, Recurrent

LOWEST = -3.4e38
"""What stands for minus infinity before a softmax or a maximum."""
END = 2**31 - 1
"""Where a slice ends that goes on to the last."""


def embedded(graph: OnnxGraph, embedding: nn.Module, tokens: str) -> str:
    """The vectors of tokens."""
    if isinstance(embedding, OneHot):
        table = torch.eye(embedding.num_embeddings)
        return graph.op("Gather", graph.weight("one_hot", table), tokens, axis=0)
    weight = embedding.get_parameter("weight")
    return graph.op("Gather", graph.weight(f"embedding_{len(weight)}", weight), tokens, axis=0)


def linear(graph: OnnxGraph, module: nn.Module, values: str, name: str) -> str:
    """A linear layer, whose weights get this name."""
    weight, bias = module.get_parameter("weight"), module._parameters.get("bias")  # pyright: ignore[reportPrivateUsage]
    product = graph.op("MatMul", values, graph.weight(f"{name}.weight_t", weight.t()))
    return product if bias is None else graph.op("Add", product, graph.weight(f"{name}.bias", bias))


def part(graph: OnnxGraph, values: str, begin: int, end: int, axis: int = 0) -> str:
    """What stands from ``begin`` to ``end`` on an axis; negative numbers count from its end."""
    return graph.op("Slice", values, *(graph.integers(number) for number in (begin, end, axis)))


def last_of(graph: OnnxGraph, values: str) -> str:
    """What stands last on the first axis, which falls away."""
    return graph.op("Squeeze", part(graph, values, -1, END), graph.integers(0))


def state_inputs(graph: OnnxGraph, layer: Recurrent, count: int = 1) -> list[str]:
    """The states before the first step as inputs, shape (layers * directions, batch, size).

    Args:
        graph: the graph.
        layer: whose states.
        count: how many networks with such a layer stand one after the other on the first axis.
    """
    rows = count * layer.num_layers * layer.num_directions
    pairs = zip(layer.cell.states, layer.state_sizes, strict=True)
    return [graph.input(name, "FLOAT", [rows, "batch", size]) for name, size in pairs]


def state_outputs(graph: OnnxGraph, layer: Recurrent, finals: Sequence[str], count: int = 1) -> None:
    """The states after the last step as outputs, in the form of ``state_inputs``; their names end in ``_n``."""
    rows = count * layer.num_layers * layer.num_directions
    for name, size, final in zip(layer.cell.states, layer.state_sizes, finals, strict=True):
        graph.op("Identity", final, name=f"{name}_n")
        graph.output(f"{name}_n", "FLOAT", [rows, "batch", size])


def joined_directions(graph: OnnxGraph, state: str, layer: Recurrent) -> str:
    """From (layers * directions, batch, size) to (layers, batch, directions * size)."""
    if layer.num_directions == 1:
        return state
    batch = graph.op("Shape", state, start=1, end=2)
    size = graph.op("Shape", state, start=2, end=3)
    shape = graph.op("Concat", graph.integers(layer.num_layers, 2), batch, size, axis=0)
    split = graph.op("Transpose", graph.op("Reshape", state, shape), perm=[0, 2, 1, 3])
    return graph.op("Reshape", split, graph.integers(0, 0, -1))


def convolved(graph: OnnxGraph, convolution: Convolution, values: str, mask: str) -> str:
    """A convolution along time, of what the mask says is there."""
    masked = graph.op("Where", mask, values, graph.number(0.0))
    by_row = graph.op("Transpose", masked, perm=[1, 2, 0])
    outputs: list[str] = []
    for place, (width, filters) in enumerate(zip(convolution.widths, convolution.filters, strict=True)):
        weight = graph.weight(f"convolution.{place}.weight", filters.get_parameter("weight"))
        bias = graph.weight(f"convolution.{place}.bias", filters.get_parameter("bias"))
        outputs.append(
            graph.op("Conv", by_row, weight, bias, pads=[(width - 1) // 2, width // 2], kernel_shape=[width])
        )
    joined = outputs[0] if len(outputs) == 1 else graph.op("Concat", *outputs, axis=1)
    return graph.op("Transpose", joined, perm=[2, 0, 1])


def pooled(graph: OnnxGraph, pooling: Pooling, values: str, mask: str, lengths: str) -> str:
    """One vector for each sequence."""
    if pooling.kind == "max":
        shown = graph.op("Where", mask, values, graph.number(LOWEST))
        return graph.op("ReduceMax", shown, axes=[0], keepdims=0)
    if pooling.kind == "mean":
        total = graph.op("ReduceSum", graph.op("Where", mask, values, graph.number(0.0)), graph.integers(0), keepdims=0)
        count = graph.op("Unsqueeze", graph.op("Cast", lengths, to=1), graph.integers(1))
        return graph.op("Div", total, count)
    if pooling.kind == "attention":
        hidden = graph.op("Tanh", linear(graph, pooling.hidden, values, "pooling.hidden"))
        scores = linear(graph, pooling.score, hidden, "pooling.score")
        weights = graph.op("Softmax", graph.op("Where", mask, scores, graph.number(LOWEST)), axis=0)
        # Padding weighs nothing, but nothing times infinity would be something.
        shown = graph.op("Where", mask, values, graph.number(0.0))
        return graph.op("ReduceSum", graph.op("Mul", weights, shown), graph.integers(0), keepdims=0)
    return _last(graph, pooling, values, lengths)


def _last(graph: OnnxGraph, pooling: Pooling, values: str, lengths: str) -> str:
    by_row = graph.op("Transpose", values, perm=[1, 0, 2])
    places = graph.op("Unsqueeze", graph.op("Sub", lengths, graph.integers(1)), graph.integers(1))
    last = graph.op("GatherND", by_row, places, batch_dims=1)
    if not pooling.bidirectional:
        return last
    half = pooling.features // 2
    first = graph.op("Squeeze", graph.op("Gather", values, graph.integers(0), axis=0), graph.integers(0))
    forward = graph.op("Slice", last, graph.integers(0), graph.integers(half), graph.integers(1))
    reverse = graph.op("Slice", first, graph.integers(half), graph.integers(2 * half), graph.integers(1))
    return graph.op("Concat", forward, reverse, axis=-1)
