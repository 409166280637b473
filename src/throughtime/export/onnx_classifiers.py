"""Classifiers of texts and of sequences of numbers in ONNX."""

from __future__ import annotations

from typing import Any

import torch

from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import convolved, embedded, linear, pooled
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import RecurrentSequenceClassifier, RecurrentTextClassifier
from throughtime.sequence import SequenceBatch


def classifier_files(network: RecurrentTextClassifier | RecurrentSequenceClassifier) -> list[OnnxFile]:
    """The file of a classifier."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        if isinstance(network, RecurrentTextClassifier):
            name, inputs = "tokens", torch.randint(network.vocabulary_size, (time, batch), generator=generator)
        else:
            drawn = torch.randn(time, batch, network.input_size, generator=generator)
            name, inputs = "values", drawn * network.scale + network.mean
        lengths = random_lengths(time, batch, generator)
        expected = network(SequenceBatch(inputs, lengths))
        return arrays(**{name: inputs, "lengths": lengths}), arrays(scores=expected)

    return [OnnxFile("model", classifier_graph(network), whole)]


def classifier_graph(network: RecurrentTextClassifier | RecurrentSequenceClassifier) -> Any:
    """What is read and ``lengths`` (batch,), int64, to ``scores`` (batch, classes).

    A text classifier reads ``tokens`` (time, batch), int64, one of numbers ``values`` (time, batch, channel), float32.
    """
    graph = OnnxGraph()
    if isinstance(network, RecurrentTextClassifier):
        tokens = graph.input("tokens", "INT64", ["time", "batch"])
        values = embedded(graph, network.embedding, tokens)
    else:
        numbers = graph.input("values", "FLOAT", ["time", "batch", network.input_size])
        centred = graph.op("Sub", numbers, graph.weight("mean", network.mean))
        values = graph.op("Div", centred, graph.weight("scale", network.scale))
    lengths = graph.input("lengths", "INT64", ["batch"])
    mask = valid_steps(graph, values, lengths)
    if network.convolution is not None:
        values = graph.op("Relu", convolved(graph, network.convolution, values, mask))
    if network.recurrent is not None:
        values, _ = add_recurrent(graph, network.recurrent, values, lengths=lengths)
    vector = pooled(graph, network.pooling, values, mask, lengths)
    if network.hidden is not None:
        vector = graph.op("Relu", linear(graph, network.hidden, vector, "hidden"))
    graph.op("Identity", linear(graph, network.output, vector, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_classes])
    return graph.model("classifier")
