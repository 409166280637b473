"""A network that answers questions about pictures in ONNX."""

from __future__ import annotations

from typing import Any, cast

import torch

from throughtime.export.onnx_decoders import averaged, energies_of, projected_keys
from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import embedded, linear, pooled
from throughtime.export.onnx_pictures import looked_at, picture_input, picture_name, placed, random_pictures
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import VisualQuestionNetwork
from throughtime.models.visual_question_answering import Joined, RelationNetwork, StackedAttention
from throughtime.nn import AdditiveAttention
from throughtime.sequence import SequenceBatch


def question_files(network: VisualQuestionNetwork) -> list[OnnxFile]:
    """The file of a network that answers questions."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        pictures = random_pictures(network.images, (batch + 1,), generator)
        which = torch.randint(batch + 1, (batch,), generator=generator)
        tokens = torch.randint(network.embedding.num_embeddings, (time, batch), generator=generator)
        lengths = random_lengths(time, batch, generator)
        questions = SequenceBatch(tokens, lengths)
        expected = {"scores": network(pictures, which, questions)}
        if isinstance(network.combination, StackedAttention):
            places, asked = network.look_and_read(pictures, questions)
            expected["weights"] = network.combination.look(places, which, asked)[1]
        name = picture_name(network.images)
        return arrays(**{name: pictures}, which=which, tokens=tokens, lengths=lengths), arrays(**expected)

    return [OnnxFile("model", question_graph(network), whole)]


def question_graph(network: VisualQuestionNetwork) -> Any:
    """Pictures and questions to ``scores`` (batch, answers), and with attention where each look went.

    It reads the pictures (pictures, ...); ``which`` (batch,), int64, the picture that each question is about; and
    ``tokens`` (time, batch) and ``lengths`` (batch,), int64. The looks' ``weights`` are (batch, hops, places).
    """
    graph, images = OnnxGraph(), network.images
    pictures = picture_input(graph, images, ["pictures"])
    which = graph.input("which", "INT64", ["batch"])
    tokens = graph.input("tokens", "INT64", ["time", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    places = placed(graph, looked_at(graph, images, pictures), images)
    vectors = embedded(graph, network.embedding, tokens)
    outputs, _ = add_recurrent(graph, network.recurrent, vectors, lengths=lengths)
    question = pooled(graph, network.last, outputs, valid_steps(graph, outputs, lengths), lengths)
    seen = _combined(graph, network, places, which, question)
    asked = graph.op("Tanh", linear(graph, network.asked, question, "asked"))
    values = graph.op("Concat", seen, asked, graph.op("Mul", seen, asked), axis=-1)
    hidden = graph.op("Relu", linear(graph, network.hidden, values, "hidden"))
    graph.op("Identity", linear(graph, network.output, hidden, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_answers])
    return graph.model("visual_question_answering")


def _combined(graph: OnnxGraph, network: VisualQuestionNetwork, places: str, which: str, question: str) -> str:
    """What was seen, (batch, size)."""
    combination = network.combination
    if isinstance(combination, StackedAttention):
        return _attended(graph, network, combination, places, which, question)
    if isinstance(combination, RelationNetwork):
        return _related(graph, combination, places, which, question)
    own = cast("Joined", combination)
    flat = graph.op("Reshape", places, graph.integers(0, -1))
    seen = graph.op("Relu", linear(graph, own.picture, flat, "picture"))
    return graph.op("Gather", seen, which, axis=0)


def _attended(
    graph: OnnxGraph,
    network: VisualQuestionNetwork,
    combination: StackedAttention,
    places: str,
    which: str,
    question: str,
) -> str:
    seen = graph.op("Gather", graph.op("Tanh", linear(graph, combination.place, places, "place")), which, axis=0)
    asked = graph.op("Tanh", linear(graph, combination.question, question, "question"))
    looks: list[str] = []
    for place, module in enumerate(combination.attentions):
        attention = cast("AdditiveAttention", module)
        name = f"attention.{place}"
        keys = projected_keys(graph, attention, seen, name)
        weights = graph.op("Softmax", energies_of(graph, attention, asked, keys, name), axis=-1)
        asked = graph.op("Add", asked, averaged(graph, weights, seen))
        looks.append(graph.op("Unsqueeze", weights, graph.integers(1)))
    graph.op("Concat", *looks, axis=1, name="weights")
    graph.output("weights", "FLOAT", ["batch", len(looks), network.images.places])
    return asked


def _related(graph: OnnxGraph, combination: RelationNetwork, places: str, which: str, question: str) -> str:
    """All pairs of places."""
    first = graph.op("Unsqueeze", linear(graph, combination.first, places, "first"), graph.integers(2))
    second = graph.op("Unsqueeze", linear(graph, combination.second, places, "second"), graph.integers(1))
    pairs = graph.op("Reshape", graph.op("Add", first, second), graph.integers(0, -1, combination.output_size))
    asked = graph.op("Unsqueeze", linear(graph, combination.question, question, "question"), graph.integers(1))
    values = graph.op("Relu", graph.op("Add", graph.op("Gather", pairs, which, axis=0), asked))
    for place, layer in enumerate(combination.layers):
        values = graph.op("Relu", linear(graph, layer, values, f"layers.{place}"))
    return graph.op("ReduceMean", values, axes=[1], keepdims=0)
