"""The networks of the tasks in ONNX: whole, and as a single step with its state in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import (
    EncoderDecoder,
    RecurrentLanguageModel,
    RecurrentSequenceClassifier,
    RecurrentTextClassifier,
)
from throughtime.nn import AdditiveAttention, Attention, Convolution, OneHot, Pooling, Recurrent

LOWEST = -3.4e38
"""What stands for minus infinity before a softmax or a maximum."""


def language_model_graph(network: RecurrentLanguageModel) -> Any:
    """The whole model: ``tokens`` (time, batch), int64, from a state of zeros, to ``scores`` (time, batch, vocabulary).

    The final states come out beside them, as ``hidden_n`` and perhaps ``cell_n``, for ``language_model_step`` to go on.
    """
    graph = OnnxGraph()
    tokens = graph.input("tokens", "INT64", ["time", "batch"])
    output, finals = add_recurrent(graph, network.recurrent, _embedded(graph, network.embedding, tokens))
    _language_outputs(graph, network, output, finals, ["time", "batch"])
    return graph.model("language_model")


def language_model_step(network: RecurrentLanguageModel) -> Any:
    """One step: ``tokens`` (batch,), int64, and the states before it, to ``scores`` (batch, vocabulary) and new states.

    The states are ``hidden`` and perhaps ``cell``, shape (num_layers, batch, size); the new ones end in ``_n``.
    """
    graph, layer = OnnxGraph(), network.recurrent
    tokens = graph.input("tokens", "INT64", ["batch"])
    initial = _state_inputs(graph, layer)
    values = _embedded(graph, network.embedding, graph.op("Unsqueeze", tokens, graph.integers(0)))
    output, finals = add_recurrent(graph, layer, values, initial=initial)
    _language_outputs(graph, network, graph.op("Squeeze", output, graph.integers(0)), finals, ["batch"])
    return graph.model("language_model_step")


def classifier_graph(network: RecurrentTextClassifier | RecurrentSequenceClassifier) -> Any:
    """What is read and ``lengths`` (batch,), int64, to ``scores`` (batch, classes).

    A text classifier reads ``tokens`` (time, batch), int64, one of numbers ``values`` (time, batch, channel), float32.
    """
    graph = OnnxGraph()
    if isinstance(network, RecurrentTextClassifier):
        tokens = graph.input("tokens", "INT64", ["time", "batch"])
        values = _embedded(graph, network.embedding, tokens)
    else:
        numbers = graph.input("values", "FLOAT", ["time", "batch", network.input_size])
        centred = graph.op("Sub", numbers, graph.weight("mean", network.mean))
        values = graph.op("Div", centred, graph.weight("scale", network.scale))
    lengths = graph.input("lengths", "INT64", ["batch"])
    mask = valid_steps(graph, values, lengths)
    if network.convolution is not None:
        values = graph.op("Relu", _convolved(graph, network.convolution, values, mask))
    if network.recurrent is not None:
        values, _ = add_recurrent(graph, network.recurrent, values, lengths=lengths)
    vector = _pooled(graph, network.pooling, values, mask, lengths)
    if network.hidden is not None:
        vector = graph.op("Relu", _linear(graph, network.hidden, vector, "hidden"))
    graph.op("Identity", _linear(graph, network.output, vector, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_classes])
    return graph.model("classifier")


def encoder_graph(network: EncoderDecoder) -> Any:
    """A translator's encoder: ``tokens`` (source, batch) and ``lengths`` (batch,), int64, to what the decoder needs.

    That is its initial states, ``hidden`` and perhaps ``cell``, shape (num_layers, batch, size); and with attention the
    ``values`` and ``keys`` to look at, shape (batch, source, size), and the ``padding`` among them, (batch, source).
    """
    graph, encoder = OnnxGraph(), network.encoder
    tokens = graph.input("tokens", "INT64", ["source", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    embedded = _embedded(graph, encoder.embedding, tokens)
    outputs, finals = add_recurrent(graph, encoder.recurrent, embedded, lengths=lengths, prefix="encoder.")
    for place, name in enumerate(encoder.recurrent.cell.states):
        state = _joined_directions(graph, finals[place], encoder.recurrent)
        _bridged(graph, network, state, place, name)
        size = network.decoder.recurrent.state_sizes[place]
        graph.output(name, "FLOAT", [network.decoder.recurrent.num_layers, "batch", size])
    attention = network.decoder.attention
    if attention is not None:
        values = graph.op("Transpose", outputs, perm=[1, 0, 2], name="values")
        graph.output(values, "FLOAT", ["batch", "source", attention.value_size])
        key = getattr(attention, "key", None)
        keys = values if key is None else _linear(graph, key, values, "attention.key")
        graph.op("Identity", keys, name="keys")
        graph.output("keys", "FLOAT", ["batch", "source", _key_size(attention)])
        mask = graph.op("Squeeze", valid_steps(graph, embedded, lengths), graph.integers(2))
        graph.op("Not", graph.op("Transpose", mask, perm=[1, 0]), name="padding")
        graph.output("padding", "BOOL", ["batch", "source"])
    return graph.model("encoder")


def decoder_step(network: EncoderDecoder) -> Any:
    """A step of a translator's decoder, of as many rows as sources: ``tokens`` (batch,), int64, to ``scores``.

    It takes what the encoder gives and, where readouts are fed, ``fed`` (batch, size), zeros at first. New states end
    in ``_n``; with attention the ``weights``, shape (batch, source), come out as well. A search with several rows for a
    source repeats what the encoder gave.
    """
    graph, decoder = OnnxGraph(), network.decoder
    tokens = graph.input("tokens", "INT64", ["batch"])
    initial = _state_inputs(graph, decoder.recurrent)
    fed = graph.input("fed", "FLOAT", ["batch", decoder.fed_size]) if decoder.input_feeding else None
    look = _Look.at(graph, decoder.attention)
    embedded = _embedded(graph, decoder.embedding, tokens)
    weights = context = None
    if look is not None and decoder.attention_order == "before":
        last = graph.op("Gather", initial[0], graph.integers(decoder.recurrent.num_layers - 1), axis=0)
        context, weights = look.attend(graph.op("Squeeze", last, graph.integers(0)))
        fed = context
    values = embedded if fed is None else graph.op("Concat", embedded, fed, axis=-1)
    values = graph.op("Unsqueeze", values, graph.integers(0))
    output, finals = add_recurrent(graph, decoder.recurrent, values, initial=initial, prefix="decoder.")
    hidden = graph.op("Squeeze", output, graph.integers(0))
    if look is None:
        readout = (
            hidden if isinstance(decoder.readout, nn.Identity) else _linear(graph, decoder.readout, hidden, "readout")
        )
    else:
        if context is None:
            context, weights = look.attend(hidden)
        both = graph.op("Concat", context, hidden, axis=-1)
        readout = graph.op("Tanh", _linear(graph, decoder.readout, both, "readout"))
    graph.op("Identity", _linear(graph, decoder.output, readout, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", decoder.output.out_features])
    _state_outputs(graph, decoder.recurrent, finals)
    if decoder.input_feeding:
        graph.op("Identity", readout, name="fed_n")
        graph.output("fed_n", "FLOAT", ["batch", decoder.readout_size])
    if weights is not None:
        graph.op("Identity", weights, name="weights")
        graph.output("weights", "FLOAT", ["batch", "source"])
    return graph.model("decoder_step")


@dataclass(frozen=True)
class _Look:
    """Attention in a graph: its module, and the names of what it looks at."""

    graph: OnnxGraph
    attention: Attention
    values: str
    keys: str
    padding: str

    @classmethod
    def at(cls, graph: OnnxGraph, attention: Attention | None) -> _Look | None:
        if attention is None:
            return None
        values = graph.input("values", "FLOAT", ["batch", "source", attention.value_size])
        keys = graph.input("keys", "FLOAT", ["batch", "source", _key_size(attention)])
        return cls(graph, attention, values, keys, graph.input("padding", "BOOL", ["batch", "source"]))

    def attend(self, query: str) -> tuple[str, str]:
        """Context (batch, value size) and weights (batch, source) of a query (batch, query size)."""
        graph = self.graph
        if isinstance(self.attention, AdditiveAttention):
            asked = graph.op(
                "Unsqueeze", _linear(graph, self.attention.query, query, "attention.query"), graph.integers(1)
            )
            compared = graph.op("Tanh", graph.op("Add", asked, self.keys))
            energies = _linear(graph, self.attention.energy, compared, "attention.energy")
        else:
            energies = graph.op("MatMul", self.keys, graph.op("Unsqueeze", query, graph.integers(2)))
        energies = graph.op("Squeeze", energies, graph.integers(2))
        weights = graph.op("Softmax", graph.op("Where", self.padding, graph.number(LOWEST), energies), axis=-1)
        context = graph.op("MatMul", graph.op("Unsqueeze", weights, graph.integers(1)), self.values)
        return graph.op("Squeeze", context, graph.integers(1)), weights


def _key_size(attention: Attention) -> int:
    key: Any = getattr(attention, "key", None)
    return attention.value_size if key is None else key.out_features


def _embedded(graph: OnnxGraph, embedding: nn.Module, tokens: str) -> str:
    if isinstance(embedding, OneHot):
        table = torch.eye(embedding.num_embeddings)
        return graph.op("Gather", graph.weight("one_hot", table), tokens, axis=0)
    weight = embedding.get_parameter("weight")
    return graph.op("Gather", graph.weight(f"embedding_{len(weight)}", weight), tokens, axis=0)


def _linear(graph: OnnxGraph, module: nn.Module, values: str, name: str) -> str:
    weight, bias = module.get_parameter("weight"), module._parameters.get("bias")  # pyright: ignore[reportPrivateUsage]
    product = graph.op("MatMul", values, graph.weight(f"{name}.weight_t", weight.t()))
    return product if bias is None else graph.op("Add", product, graph.weight(f"{name}.bias", bias))


def _state_inputs(graph: OnnxGraph, layer: Recurrent) -> list[str]:
    pairs = zip(layer.cell.states, layer.state_sizes, strict=True)
    return [graph.input(name, "FLOAT", [layer.num_layers, "batch", size]) for name, size in pairs]


def _state_outputs(graph: OnnxGraph, layer: Recurrent, finals: list[str]) -> None:
    for name, size, final in zip(layer.cell.states, layer.state_sizes, finals, strict=True):
        graph.op("Identity", final, name=f"{name}_n")
        graph.output(f"{name}_n", "FLOAT", [layer.num_layers, "batch", size])


def _language_outputs(
    graph: OnnxGraph, network: RecurrentLanguageModel, output: str, finals: list[str], axes: list[int | str]
) -> None:
    if isinstance(network.bridge, nn.Linear):
        output = _linear(graph, network.bridge, output, "bridge")
    graph.op("Identity", _linear(graph, network.output, output, "output"), name="scores")
    graph.output("scores", "FLOAT", [*axes, network.vocabulary_size])
    _state_outputs(graph, network.recurrent, finals)


def _convolved(graph: OnnxGraph, convolution: Convolution, values: str, mask: str) -> str:
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


def _pooled(graph: OnnxGraph, pooling: Pooling, values: str, mask: str, lengths: str) -> str:
    if pooling.kind == "max":
        shown = graph.op("Where", mask, values, graph.number(LOWEST))
        return graph.op("ReduceMax", shown, axes=[0], keepdims=0)
    if pooling.kind == "mean":
        total = graph.op("ReduceSum", graph.op("Where", mask, values, graph.number(0.0)), graph.integers(0), keepdims=0)
        count = graph.op("Unsqueeze", graph.op("Cast", lengths, to=1), graph.integers(1))
        return graph.op("Div", total, count)
    if pooling.kind == "attention":
        hidden = graph.op("Tanh", _linear(graph, pooling.hidden, values, "pooling.hidden"))
        scores = _linear(graph, pooling.score, hidden, "pooling.score")
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


def _joined_directions(graph: OnnxGraph, state: str, layer: Recurrent) -> str:
    """From (layers * directions, batch, size) to (layers, batch, directions * size)."""
    if layer.num_directions == 1:
        return state
    batch = graph.op("Shape", state, start=1, end=2)
    size = graph.op("Shape", state, start=2, end=3)
    shape = graph.op("Concat", graph.integers(layer.num_layers, 2), batch, size, axis=0)
    split = graph.op("Transpose", graph.op("Reshape", state, shape), perm=[0, 2, 1, 3])
    return graph.op("Reshape", split, graph.integers(0, 0, -1))


def _bridged(graph: OnnxGraph, network: EncoderDecoder, state: str, place: int, name: str) -> None:
    """The decoder's initial state of one kind, under its name."""
    bridge = network.bridge
    if bridge.fits:
        graph.op("Identity", state, name=name)
        return
    kinds = len(network.encoder.recurrent.cell.states)
    layers: list[str] = []
    for layer in range(network.decoder.recurrent.num_layers):
        own = graph.op("Squeeze", graph.op("Gather", state, graph.integers(layer), axis=0), graph.integers(0))
        mapped = _linear(graph, bridge.maps[layer * kinds + place], own, f"bridge.{layer}.{place}")
        layers.append(graph.op("Unsqueeze", mapped, graph.integers(0)))
    joined = layers[0] if len(layers) == 1 else graph.op("Concat", *layers, axis=0)
    graph.op("Identity" if place else "Tanh", joined, name=name)
