"""Networks that write about what they read, in ONNX: an encoder, and a step of the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, named_states, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import (
    LOWEST,
    embedded,
    joined_directions,
    linear,
    part,
    state_inputs,
    state_outputs,
)
from throughtime.export.onnx_pictures import looked_at, picture_input, picture_name, placed, random_pictures
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import Captioner, DecoderState, DecodingNetwork, DescribingNetwork, EncoderDecoder
from throughtime.models.bridge import Bridge
from throughtime.models.decoder import Decoder
from throughtime.nn import AdditiveAttention, Attention
from throughtime.sequence import SequenceBatch


def translator_files(network: EncoderDecoder) -> list[OnnxFile]:
    """The files of a translator."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def encoded(time: int, batch: int) -> tuple[DecoderState, Arrays, dict[str, Tensor]]:
        count = network.encoder.embedding.num_embeddings
        tokens = torch.randint(count, (time, batch), generator=generator)
        lengths = random_lengths(time, batch, generator)
        state = network.encode(SequenceBatch(tokens, lengths))
        given = known_first(network, state)
        if state.memory is not None:
            padding = state.memory.padding
            none = torch.zeros(batch, time, dtype=torch.bool)
            given["padding"] = none if padding is None else padding.squeeze(1)
        return state, arrays(tokens=tokens, lengths=lengths), given

    return _files(network, encoded, encoder_graph(network), decoder_step(network.decoder), generator)


def captioner_files(network: Captioner) -> list[OnnxFile]:
    """The files of a captioner."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def encoded(time: int, batch: int) -> tuple[DecoderState, Arrays, dict[str, Tensor]]:
        del time  # a picture has no length
        pictures = random_pictures(network.images, (batch,), generator)
        state = network.encode(SequenceBatch(pictures.unsqueeze(0)))
        return state, arrays(**{picture_name(network.images): pictures}), known_first(network, state)

    return describing_files(network, encoded, picture_encoder_graph(network), network.images.places, generator)


Encoded = Callable[[int, int], tuple[DecoderState, Arrays, dict[str, Tensor]]]
"""For a length and a batch size: what the network made of a source, the source as inputs, and the former by name."""


def describing_files(
    network: DescribingNetwork,
    encoded: Encoded,
    encoder: Any,
    vectors: int | str,
    generator: torch.Generator,
    *,
    padded: bool = False,
) -> list[OnnxFile]:
    """The files of a network that writes about something seen.

    Args:
        network: the network.
        encoded: makes a source and what the network makes of it.
        encoder: the graph that does so.
        vectors: how many there are to look at, or what that axis is called.
        generator: of the decoder's tokens.
        padded: whether some sources have fewer.
    """
    step = decoder_step(network.decoder, vectors, padded=padded)
    return _files(network, encoded, encoder, step, generator)


def _files(
    network: DecodingNetwork, encoded: Encoded, encoder: Any, decoder: Any, generator: torch.Generator
) -> list[OnnxFile]:
    def encode(time: int, batch: int) -> tuple[Arrays, Arrays]:
        _, inputs, given = encoded(time, batch)
        return inputs, arrays(**given)

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        state, _, given = encoded(time, batch)
        tokens = torch.randint(network.end, (batch,), generator=generator)
        if network.decoder.input_feeding:
            given["fed"] = torch.zeros(batch, network.decoder.fed_size)
        after, scores = network.next_step(state, tokens)
        expected = {"scores": scores, **named_states(network.decoder.recurrent, after.recurrent, "_n")}
        if after.weights is not None:
            expected["weights"] = after.weights
        return arrays(tokens=tokens, **given), arrays(**expected)

    return [OnnxFile("encoder", encoder, encode), OnnxFile("step", decoder, step)]


def known_first(network: DecodingNetwork, state: DecoderState) -> dict[str, Tensor]:
    """What a decoder knows before its first step, but for padding."""
    known = named_states(network.decoder.recurrent, state.recurrent)
    if state.memory is not None:
        known |= {"values": state.memory.values, "keys": state.memory.keys}
    return known


def encoder_graph(network: EncoderDecoder) -> Any:
    """A translator's encoder: ``tokens`` (source, batch) and ``lengths`` (batch,), int64, to what the decoder needs.

    That is its initial states, ``hidden`` and perhaps ``cell``, shape (num_layers, batch, size); and with attention the
    ``values`` and ``keys`` to look at, shape (batch, source, size), and the ``padding`` among them, (batch, source).
    """
    graph, encoder = OnnxGraph(), network.encoder
    tokens = graph.input("tokens", "INT64", ["source", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    vectors = embedded(graph, encoder.embedding, tokens)
    outputs, finals = add_recurrent(graph, encoder.recurrent, vectors, lengths=lengths, prefix="encoder.")
    for place, name in enumerate(encoder.recurrent.cell.states):
        state = joined_directions(graph, finals[place], encoder.recurrent)
        if not network.bridge.fits:
            layers = range(encoder.recurrent.num_layers)
            own = [graph.op("Squeeze", part(graph, state, layer, layer + 1), graph.integers(0)) for layer in layers]
            state = _bridged(graph, network.bridge, own, place, len(finals))
        graph.op("Identity", state, name=name)
        size = network.decoder.recurrent.state_sizes[place]
        graph.output(name, "FLOAT", [network.decoder.recurrent.num_layers, "batch", size])
    attention = network.decoder.attention
    if attention is not None:
        values = graph.op("Transpose", outputs, perm=[1, 0, 2], name="values")
        graph.output(values, "FLOAT", ["batch", "source", attention.value_size])
        graph.op("Identity", projected_keys(graph, attention, values, "attention"), name="keys")
        graph.output("keys", "FLOAT", ["batch", "source", _key_size(attention)])
        mask = graph.op("Squeeze", valid_steps(graph, vectors, lengths), graph.integers(2))
        graph.op("Not", graph.op("Transpose", mask, perm=[1, 0]), name="padding")
        graph.output("padding", "BOOL", ["batch", "source"])
    return graph.model("encoder")


def picture_encoder_graph(network: Captioner) -> Any:
    """A captioner's encoder: pictures (batch, ...) to what the decoder needs, as ``encoder_graph`` gives it."""
    graph, images = OnnxGraph(), network.images
    vectors = looked_at(graph, images, picture_input(graph, images, ["batch"]))
    if network.is_spatial:
        vectors = placed(graph, vectors, images)
    places = graph.op("Relu", linear(graph, network.places, vectors, "places"))
    begin(graph, network, graph.op("ReduceMean", places, axes=[1], keepdims=0), places, images.places)
    return graph.model("encoder")


def begin(graph: OnnxGraph, network: DescribingNetwork, start: str, seen: str, vectors: int | str) -> None:
    """Give out what a decoder needs that starts from a vector, as ``encoder_graph`` does.

    Args:
        graph: of the encoder.
        network: whose decoder it is.
        start: shape (batch, start_size).
        seen: what it may look at, shape (batch, vectors, hidden_size).
        vectors: how many, or what that axis is called.
    """
    decoder, layer = network.decoder, network.decoder.recurrent
    kinds = len(layer.cell.states)
    for place, (name, size) in enumerate(zip(layer.cell.states, layer.state_sizes, strict=True)):
        graph.op("Identity", _bridged(graph, network.bridge, [start] * layer.num_layers, place, kinds), name=name)
        graph.output(name, "FLOAT", [layer.num_layers, "batch", size])
    if decoder.attention is not None:
        values = graph.op("Identity", seen, name="values")
        graph.output(values, "FLOAT", ["batch", vectors, decoder.attention.value_size])
        graph.op("Identity", projected_keys(graph, decoder.attention, values, "attention"), name="keys")
        graph.output("keys", "FLOAT", ["batch", vectors, _key_size(decoder.attention)])


def decoder_step(decoder: Decoder, source: int | str = "source", *, padded: bool = True) -> Any:
    """A step of a decoder, of as many rows as sources: ``tokens`` (batch,), int64, to ``scores``.

    It takes what the encoder gives and, where readouts are fed, ``fed`` (batch, size), zeros at first. New states end
    in ``_n``; with attention the ``weights``, shape (batch, source), come out as well. A search with several rows for a
    source repeats what the encoder gave.

    Args:
        decoder: the decoder.
        source: how many places a source has, or what that axis is called.
        padded: whether ``padding`` says which of them a source has not.
    """
    graph = OnnxGraph()
    tokens = graph.input("tokens", "INT64", ["batch"])
    initial = state_inputs(graph, decoder.recurrent)
    fed = graph.input("fed", "FLOAT", ["batch", decoder.fed_size]) if decoder.input_feeding else None
    look = _Look.at(graph, decoder.attention, source, padded=padded)
    vectors = embedded(graph, decoder.embedding, tokens)
    weights = context = None
    if look is not None and decoder.attention_order == "before":
        last = graph.op("Gather", initial[0], graph.integers(decoder.recurrent.num_layers - 1), axis=0)
        context, weights = look.attend(graph.op("Squeeze", last, graph.integers(0)))
        fed = context
    values = vectors if fed is None else graph.op("Concat", vectors, fed, axis=-1)
    values = graph.op("Unsqueeze", values, graph.integers(0))
    output, finals = add_recurrent(graph, decoder.recurrent, values, initial=initial, prefix="decoder.")
    hidden = graph.op("Squeeze", output, graph.integers(0))
    if look is None:
        readout = (
            hidden if isinstance(decoder.readout, nn.Identity) else linear(graph, decoder.readout, hidden, "readout")
        )
    else:
        if context is None:
            context, weights = look.attend(hidden)
        both = graph.op("Concat", context, hidden, axis=-1)
        readout = graph.op("Tanh", linear(graph, decoder.readout, both, "readout"))
    graph.op("Identity", linear(graph, decoder.output, readout, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", decoder.output.out_features])
    state_outputs(graph, decoder.recurrent, finals)
    if decoder.input_feeding:
        graph.op("Identity", readout, name="fed_n")
        graph.output("fed_n", "FLOAT", ["batch", decoder.readout_size])
    if weights is not None:
        graph.op("Identity", weights, name="weights")
        graph.output("weights", "FLOAT", ["batch", source])
    return graph.model("decoder_step")


@dataclass(frozen=True)
class _Look:
    """Attention in a graph: its module, and the names of what it looks at."""

    graph: OnnxGraph
    attention: Attention
    values: str
    keys: str
    padding: str | None

    @classmethod
    def at(cls, graph: OnnxGraph, attention: Attention | None, source: int | str, *, padded: bool) -> _Look | None:
        if attention is None:
            return None
        values = graph.input("values", "FLOAT", ["batch", source, attention.value_size])
        keys = graph.input("keys", "FLOAT", ["batch", source, _key_size(attention)])
        padding = graph.input("padding", "BOOL", ["batch", source]) if padded else None
        return cls(graph, attention, values, keys, padding)

    def attend(self, query: str) -> tuple[str, str]:
        """Context (batch, value size) and weights (batch, source) of a query (batch, query size)."""
        graph = self.graph
        energies = energies_of(graph, self.attention, query, self.keys, "attention")
        if self.padding is not None:
            energies = graph.op("Where", self.padding, graph.number(LOWEST), energies)
        weights = graph.op("Softmax", energies, axis=-1)
        if self.attention.hard:
            weights = _one_place(graph, weights)
        return averaged(graph, weights, self.values), weights


def energies_of(graph: OnnxGraph, attention: Attention, query: str, keys: str, name: str) -> str:
    """How well a query (batch, size) goes with each key (batch, source, size): (batch, source)."""
    if isinstance(attention, AdditiveAttention):
        asked = graph.op("Unsqueeze", linear(graph, attention.query, query, f"{name}.query"), graph.integers(1))
        compared = graph.op("Tanh", graph.op("Add", asked, keys))
        energies = linear(graph, attention.energy, compared, f"{name}.energy")
    else:
        energies = graph.op("MatMul", keys, graph.op("Unsqueeze", query, graph.integers(2)))
    return graph.op("Squeeze", energies, graph.integers(2))


def averaged(graph: OnnxGraph, weights: str, values: str) -> str:
    """The mean of values (batch, source, size) under weights (batch, source): (batch, size)."""
    context = graph.op("MatMul", graph.op("Unsqueeze", weights, graph.integers(1)), values)
    return graph.op("Squeeze", context, graph.integers(1))


def _one_place(graph: OnnxGraph, weights: str) -> str:
    """1 where a row of weights is largest, 0 elsewhere."""
    depth = graph.op("Shape", weights, start=1, end=2)
    ends = graph.weight("zero_and_one", np.array([0, 1], dtype=np.float32))
    return graph.op("OneHot", graph.op("ArgMax", weights, axis=1, keepdims=0), depth, ends, axis=-1)


def projected_keys(graph: OnnxGraph, attention: Attention, values: str, name: str) -> str:
    """The keys of values (batch, source, size)."""
    key = getattr(attention, "key", None)
    return values if key is None else linear(graph, key, values, f"{name}.key")


def _key_size(attention: Attention) -> int:
    key: Any = getattr(attention, "key", None)
    return attention.value_size if key is None else key.out_features


def _bridged(graph: OnnxGraph, bridge: Bridge, layers: Sequence[str], place: int, kinds: int) -> str:
    """The decoder's initial states of one kind, (layers, batch, size), from what the encoder has for each layer."""
    found: list[str] = []
    for layer, own in enumerate(layers):
        mapped = linear(graph, bridge.maps[layer * kinds + place], own, f"bridge.{layer}.{place}")
        found.append(graph.op("Unsqueeze", mapped, graph.integers(0)))
    joined = found[0] if len(found) == 1 else graph.op("Concat", *found, axis=0)
    return joined if place else graph.op("Tanh", joined)
