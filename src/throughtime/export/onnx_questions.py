"""A network that answers questions about pictures in ONNX."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from throughtime.export.onnx_decoders import averaged, begin, describing_files, energies_of, known_first, projected_keys
from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import embedded, linear, pooled
from throughtime.export.onnx_pictures import looked_at, picture_input, picture_name, placed, random_pictures
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import AnswerWriter, DecoderState, QuestionEncoder, VisualQuestionNetwork
from throughtime.models.visual_question_answering import Joined, RelationNetwork, SequentialAttention, StackedAttention
from throughtime.nn import GeneralAttention
from throughtime.sequence import QuestionBatch


def question_files(network: VisualQuestionNetwork | AnswerWriter) -> list[OnnxFile]:
    """The files of a network that answers questions: of a list at once, or word by word."""
    return _listing_files(network) if isinstance(network, VisualQuestionNetwork) else _writing_files(network)


def question_arrays(encoder: QuestionEncoder, questions: QuestionBatch) -> Arrays:
    """Questions about pictures as the files take them."""
    tokens, lengths = questions.values, questions.lengths
    if lengths is None:
        lengths = torch.full(tokens.shape[1:], len(tokens))
    pictures = {picture_name(encoder.images): questions.pictures}
    return arrays(**pictures, which=questions.which, tokens=tokens, lengths=lengths)


def _listing_files(network: VisualQuestionNetwork) -> list[OnnxFile]:
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        questions = _random_questions(network.encoder, time, batch, generator)
        expected = {"scores": network(questions)}
        looks = network.encoder.looks(questions)
        if looks is not None:
            expected["weights"] = looks
        return question_arrays(network.encoder, questions), arrays(**expected)

    return [OnnxFile("model", question_graph(network), whole)]


def _writing_files(network: AnswerWriter) -> list[OnnxFile]:
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def encoded(time: int, batch: int) -> tuple[DecoderState, Arrays, dict[str, Tensor]]:
        questions = _random_questions(network.encoder, time, batch, generator)
        state = network.encode(questions)
        return state, question_arrays(network.encoder, questions), known_first(network, state)

    graph, count = OnnxGraph(), network.encoder.images.places
    places, which, said = _read(graph, network.encoder)
    seen = graph.op("Gather", graph.op("Relu", linear(graph, network.places, places, "places")), which, axis=0)
    begin(graph, network, said, seen, count)
    return describing_files(network, encoded, graph.model("encoder"), count, generator)


def _random_questions(encoder: QuestionEncoder, time: int, batch: int, generator: torch.Generator) -> QuestionBatch:
    return QuestionBatch(
        torch.randint(encoder.embedding.num_embeddings, (time, batch), generator=generator),
        random_lengths(time, batch, generator),
        pictures=random_pictures(encoder.images, (batch + 1,), generator),
        which=torch.randint(batch + 1, (batch,), generator=generator),
    )


def question_graph(network: VisualQuestionNetwork) -> Any:
    """Pictures and questions to ``scores`` (batch, answers), and with attention where each look went.

    It reads the pictures (pictures, ...); ``which`` (batch,), int64, the picture that each question is about; and
    ``tokens`` (time, batch) and ``lengths`` (batch,), int64. The looks' ``weights`` are (batch, hops, places).
    """
    graph = OnnxGraph()
    said = _read(graph, network.encoder, tells_looks=True)[2]
    graph.op("Identity", linear(graph, network.output, said, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_answers])
    return graph.model("visual_question_answering")


def _read(graph: OnnxGraph, encoder: QuestionEncoder, *, tells_looks: bool = False) -> tuple[str, str, str]:
    """The places of the pictures, which of these the questions are about, and what they say together."""
    images = encoder.images
    pictures = picture_input(graph, images, ["pictures"])
    which = graph.input("which", "INT64", ["batch"])
    tokens = graph.input("tokens", "INT64", ["time", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    places = placed(graph, looked_at(graph, images, pictures), images)
    vectors = embedded(graph, encoder.embedding, tokens)
    outputs, _ = add_recurrent(graph, encoder.recurrent, vectors, lengths=lengths)
    question = pooled(graph, encoder.pooling, outputs, valid_steps(graph, outputs, lengths), lengths)
    seen, looks = _combined(graph, encoder, places, which, question)
    if looks and tells_looks:
        graph.op("Concat", *looks, axis=1, name="weights")
        graph.output("weights", "FLOAT", ["batch", len(looks), images.places])
    asked = graph.op("Tanh", linear(graph, encoder.asked, question, "asked"))
    values = graph.op("Concat", seen, asked, graph.op("Mul", seen, asked), axis=-1)
    return places, which, graph.op("Relu", linear(graph, encoder.hidden, values, "hidden"))


def _combined(
    graph: OnnxGraph, encoder: QuestionEncoder, places: str, which: str, question: str
) -> tuple[str, list[str]]:
    """What was seen, (batch, size); and with attention the weights of each look, (batch, 1, places)."""
    combination = encoder.combination
    if isinstance(combination, StackedAttention):
        return _attended(graph, combination, places, which, question)
    if isinstance(combination, SequentialAttention):
        return _found_and_related(graph, combination, places, which, question)
    if isinstance(combination, RelationNetwork):
        return _related(graph, combination, places, which, question), []
    own = cast("Joined", combination)
    flat = graph.op("Reshape", places, graph.integers(0, -1))
    seen = graph.op("Relu", linear(graph, own.picture, flat, "picture"))
    return graph.op("Gather", seen, which, axis=0), []


def _attended(
    graph: OnnxGraph, combination: StackedAttention, places: str, which: str, question: str, prefix: str = ""
) -> tuple[str, list[str]]:
    place_vectors = graph.op("Tanh", linear(graph, combination.place, places, f"{prefix}place"))
    seen = graph.op("Gather", place_vectors, which, axis=0)
    asked = graph.op("Tanh", linear(graph, combination.question, question, f"{prefix}question"))
    looks: list[str] = []
    for place, module in enumerate(combination.attentions):
        attention = cast("GeneralAttention", module)
        name = f"{prefix}attention.{place}"
        keys = projected_keys(graph, attention, seen, name)
        query = graph.op("Div", asked, graph.number(math.sqrt(combination.output_size)))
        weights = graph.op("Softmax", energies_of(graph, attention, query, keys, name), axis=-1)
        asked = graph.op("Add", asked, averaged(graph, weights, seen))
        looks.append(graph.op("Unsqueeze", weights, graph.integers(1)))
    return asked, looks


def _related(graph: OnnxGraph, combination: RelationNetwork, places: str, which: str, question: str) -> str:
    """All pairs of places."""
    first = graph.op("Unsqueeze", linear(graph, combination.first, places, "first"), graph.integers(2))
    second = graph.op("Unsqueeze", linear(graph, combination.second, places, "second"), graph.integers(1))
    pairs = graph.op("Reshape", graph.op("Add", first, second), graph.integers(0, -1, combination.output_size))
    values = _compared(graph, combination, graph.op("Gather", pairs, which, axis=0), question)
    return graph.op("ReduceMean", values, axes=[1], keepdims=0)


def _found_and_related(
    graph: OnnxGraph, combination: SequentialAttention, places: str, which: str, question: str
) -> tuple[str, list[str]]:
    found, looks = _attended(graph, combination.attention, places, which, question, "reference.")
    reference = graph.op("MatMul", looks[-1], graph.op("Gather", places, which, axis=0))
    first = linear(graph, combination.first, reference, "first")
    second = graph.op("Gather", linear(graph, combination.second, places, "second"), which, axis=0)
    values = _compared(graph, combination, graph.op("Add", first, second), question)
    return graph.op("Concat", found, graph.op("ReduceMax", values, axes=[1], keepdims=0), axis=-1), looks


def _compared(graph: OnnxGraph, combination: RelationNetwork, pairs: str, question: str) -> str:
    """What the network says of pairs, (batch, pairs, size)."""
    asked = graph.op("Unsqueeze", linear(graph, combination.question, question, "question"), graph.integers(1))
    values = graph.op("Relu", graph.op("Add", pairs, asked))
    for place, layer in enumerate(combination.layers):
        values = graph.op("Relu", linear(graph, layer, values, f"layers.{place}"))
    return values
