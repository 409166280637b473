"""A language model in ONNX: whole, and as a single step with its states in and out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, named_states
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import embedded, linear, state_inputs, state_outputs
from throughtime.export.onnx_recurrent import add_recurrent
from throughtime.models import RecurrentLanguageModel


def language_files(network: RecurrentLanguageModel) -> list[OnnxFile]:
    """The files of a language model."""
    generator = torch.Generator().manual_seed(0)
    layer = network.recurrent

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        tokens = torch.randint(network.vocabulary_size, (time, batch), generator=generator)
        scores, state = network(tokens)
        return arrays(tokens=tokens), arrays(scores=scores, **named_states(layer, state, "_n"))

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        tokens = torch.randint(network.vocabulary_size, (time + 1, batch), generator=generator)
        _, before = network(tokens[:-1])
        scores, after = network(tokens[-1:], before)
        inputs = arrays(tokens=tokens[-1], **named_states(layer, before))
        return inputs, arrays(scores=scores[0], **named_states(layer, after, "_n"))

    return [
        OnnxFile("model", language_model_graph(network), whole),
        OnnxFile("step", language_model_step(network), step),
    ]


def language_model_graph(network: RecurrentLanguageModel) -> Any:
    """The whole model: ``tokens`` (time, batch), int64, from a state of zeros, to ``scores`` (time, batch, vocabulary).

    The final states come out beside them, as ``hidden_n`` and perhaps ``cell_n``, for ``language_model_step`` to go on.
    """
    graph = OnnxGraph()
    tokens = graph.input("tokens", "INT64", ["time", "batch"])
    output, finals = add_recurrent(graph, network.recurrent, embedded(graph, network.embedding, tokens))
    _language_outputs(graph, network, output, finals, ["time", "batch"])
    return graph.model("language_model")


def language_model_step(network: RecurrentLanguageModel) -> Any:
    """One step: ``tokens`` (batch,), int64, and the states before it, to ``scores`` (batch, vocabulary) and new states.

    The states are ``hidden`` and perhaps ``cell``, shape (num_layers, batch, size); the new ones end in ``_n``.
    """
    graph, layer = OnnxGraph(), network.recurrent
    tokens = graph.input("tokens", "INT64", ["batch"])
    initial = state_inputs(graph, layer)
    values = embedded(graph, network.embedding, graph.op("Unsqueeze", tokens, graph.integers(0)))
    output, finals = add_recurrent(graph, layer, values, initial=initial)
    _language_outputs(graph, network, graph.op("Squeeze", output, graph.integers(0)), finals, ["batch"])
    return graph.model("language_model_step")


def _language_outputs(
    graph: OnnxGraph, network: RecurrentLanguageModel, output: str, finals: list[str], axes: list[int | str]
) -> None:
    if isinstance(network.bridge, nn.Linear):
        output = linear(graph, network.bridge, output, "bridge")
    graph.op("Identity", linear(graph, network.output, output, "output"), name="scores")
    graph.output("scores", "FLOAT", [*axes, network.vocabulary_size])
    state_outputs(graph, network.recurrent, finals)
