"""Networks that read videos in ONNX: a classifier, and one that predicts frames; whole, and frame by frame."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from throughtime.export.onnx_convolutional import add_convolutional
from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, named_states, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import last_of, linear, pooled, state_inputs, state_outputs
from throughtime.export.onnx_pictures import looked_at, picture_input, picture_name, random_pictures
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import FramePredictor, RecurrentVideoClassifier
from throughtime.nn import ConvolutionalRecurrent
from throughtime.sequence import SequenceBatch

FLOAT = 1


def video_classifier_files(network: RecurrentVideoClassifier) -> list[OnnxFile]:
    """The files of a video classifier; a step where what it says after a frame rests on the frames up to it alone."""
    generator = torch.Generator().manual_seed(0)
    name = picture_name(network.images)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        frames = random_pictures(network.images, (time, batch), generator)
        lengths = random_lengths(time, batch, generator)
        scores = network(SequenceBatch(frames, lengths))
        return arrays(**{name: frames, "lengths": lengths}), arrays(scores=scores)

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        frames = random_pictures(network.images, (time + 1, batch), generator)
        states: list[Any] = []
        hook = network.recurrent.register_forward_hook(lambda _, __, found: states.append(found[1]))
        network(SequenceBatch(frames[:-1]))
        scores = network(SequenceBatch(frames))
        hook.remove()
        inputs = arrays(**{name: frames[-1]}, **named_states(network.recurrent, states[0]))
        return inputs, arrays(scores=scores, **named_states(network.recurrent, states[1], "_n"))

    files = [OnnxFile("model", video_classifier_graph(network), whole)]
    if network.pooling.kind == "last" and not network.recurrent.bidirectional:
        files.append(OnnxFile("step", video_classifier_step(network), step))
    return files


def video_classifier_graph(network: RecurrentVideoClassifier) -> Any:
    """Frames (time, batch, ...) and ``lengths`` (batch,), int64, to ``scores`` (batch, classes)."""
    graph = OnnxGraph()
    frames = picture_input(graph, network.images, ["time", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    values, _ = _read(graph, network, frames, lengths, None)
    vector = pooled(graph, network.pooling, values, valid_steps(graph, values, lengths), lengths)
    return _classified(graph, network, vector).model("video_classifier")


def video_classifier_step(network: RecurrentVideoClassifier) -> Any:
    """A frame (batch, ...) and the states before it to ``scores`` of what was seen so far, and the new states."""
    graph = OnnxGraph()
    frame = picture_input(graph, network.images, ["batch"])
    space = network.images.grid if isinstance(network.recurrent, ConvolutionalRecurrent) else ()
    initial = _states_in(graph, network.recurrent, space)
    values, finals = _read(graph, network, graph.op("Unsqueeze", frame, graph.integers(0)), None, initial)
    _states_out(graph, network.recurrent, finals, space)
    return _classified(graph, network, last_of(graph, values)).model("video_classifier_step")


def frame_predictor_files(network: FramePredictor) -> list[OnnxFile]:
    """The files of a network that predicts frames."""
    generator = torch.Generator().manual_seed(0)

    def drawn(time: int, batch: int) -> Tensor:
        return torch.randint(256, (time, batch, *network.shape), generator=generator, dtype=torch.uint8)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        frames = drawn(time, batch)
        scores, state = network.read(SequenceBatch(frames))
        found = named_states(network.recurrent, state, "_n")
        return arrays(pixels=frames), arrays(predicted=scores.sigmoid(), **found)

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        _, before = network.read(SequenceBatch(drawn(time, batch)))
        frame = torch.rand(batch, *network.shape, generator=generator)
        scores, after = network.read(SequenceBatch(frame.unsqueeze(0)), before)
        found = named_states(network.recurrent, after, "_n")
        inputs = arrays(frame=frame, **named_states(network.recurrent, before))
        return inputs, arrays(predicted=scores[0].sigmoid(), **found)

    return [
        OnnxFile("model", frame_predictor_graph(network), whole),
        OnnxFile("step", frame_predictor_step(network), step),
    ]


def frame_predictor_graph(network: FramePredictor) -> Any:
    """``pixels`` (time, batch, height, width, channel), uint8, to the frame ``predicted`` after each, from 0 to 1."""
    graph = OnnxGraph()
    pixels = graph.input("pixels", "UINT8", ["time", "batch", *network.shape])
    values = graph.op("Div", graph.op("Cast", pixels, to=FLOAT), graph.number(255.0))
    predicted, finals = _predicted(graph, network, values, None)
    graph.op("Identity", predicted, name="predicted")
    graph.output("predicted", "FLOAT", ["time", "batch", *network.shape])
    _states_out(graph, network.recurrent, finals, _folded(network))
    return graph.model("frame_predictor")


def frame_predictor_step(network: FramePredictor) -> Any:
    """A ``frame`` (batch, height, width, channel), from 0 to 1, and the states to the frame ``predicted`` after it."""
    graph = OnnxGraph()
    frame = graph.input("frame", "FLOAT", ["batch", *network.shape])
    initial = _states_in(graph, network.recurrent, _folded(network))
    predicted, finals = _predicted(graph, network, graph.op("Unsqueeze", frame, graph.integers(0)), initial)
    graph.op("Squeeze", predicted, graph.integers(0), name="predicted")
    graph.output("predicted", "FLOAT", ["batch", *network.shape])
    _states_out(graph, network.recurrent, finals, _folded(network))
    return graph.model("frame_predictor_step")


def _predicted(
    graph: OnnxGraph, network: FramePredictor, values: str, initial: list[str] | None
) -> tuple[str, list[str]]:
    """The pixels after each frame of (time, batch, height, width, channel), from 0 to 1, and the final states."""
    height, width, channels = network.shape
    size = network.patch_size
    rows, columns = _folded(network)
    lead = graph.op("Shape", values, start=0, end=2)
    # Each patch becomes one place: its pixels are channels, in the order of torch's pixel_unshuffle.
    patches = graph.op("Reshape", values, graph.integers(-1, rows, size, columns, size, channels))
    folded = graph.op("Transpose", patches, perm=[0, 5, 2, 4, 1, 3])
    shape = graph.op("Concat", lead, graph.integers(channels * size * size, rows, columns), axis=0)
    hidden, finals = add_convolutional(graph, network.recurrent, graph.op("Reshape", folded, shape), initial=initial)
    pictures = graph.op("Reshape", hidden, graph.integers(-1, network.recurrent.hidden_channels, rows, columns))
    weights = [graph.weight(f"output.{name}", network.output.get_parameter(name)) for name in ("weight", "bias")]
    scores = graph.op("Conv", pictures, *weights, kernel_shape=[1, 1])
    unfolded = graph.op("DepthToSpace", scores, blocksize=size, mode="CRD")
    pixels = graph.op("Transpose", graph.op("Sigmoid", unfolded), perm=[0, 2, 3, 1])
    shape = graph.op("Concat", lead, graph.integers(height, width, channels), axis=0)
    return graph.op("Reshape", pixels, shape), finals


def _folded(network: FramePredictor) -> tuple[int, int]:
    height, width, _ = network.shape
    return height // network.patch_size, width // network.patch_size


def _read(
    graph: OnnxGraph,
    network: RecurrentVideoClassifier,
    frames: str,
    lengths: str | None,
    initial: list[str] | None,
) -> tuple[str, list[str]]:
    """A vector for each frame of (time, batch, ...), as it is pooled, and the final states."""
    images = network.images
    lead = graph.op("Shape", frames, start=0, end=2)
    pictures = graph.op("Reshape", frames, graph.integers(-1, *images.input_shape))
    places = looked_at(graph, images, pictures)
    if isinstance(network.recurrent, ConvolutionalRecurrent):
        maps = graph.op("Transpose", places, perm=[0, 2, 1])
        shape = graph.op("Concat", lead, graph.integers(images.output_size, *images.grid), axis=0)
        values = graph.op("Reshape", maps, shape)
        hidden, finals = add_convolutional(graph, network.recurrent, values, lengths=lengths, initial=initial)
        return graph.op("ReduceMax", hidden, axes=[3, 4], keepdims=0), finals
    flat = graph.op("Reshape", places, graph.integers(-1, images.places * images.output_size))
    vectors = graph.op("Relu", linear(graph, network.frame, flat, "frame"))
    shape = graph.op("Concat", lead, graph.integers(network.frame.out_features), axis=0)
    return add_recurrent(
        graph, network.recurrent, graph.op("Reshape", vectors, shape), lengths=lengths, initial=initial
    )


def _classified(graph: OnnxGraph, network: RecurrentVideoClassifier, vector: str) -> OnnxGraph:
    graph.op("Identity", linear(graph, network.output, vector, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_classes])
    return graph


def _states_in(graph: OnnxGraph, layer: Any, space: tuple[int, ...]) -> list[str]:
    if not isinstance(layer, ConvolutionalRecurrent):
        return state_inputs(graph, layer)
    shape = [layer.num_layers * layer.num_directions, "batch", layer.hidden_channels, *space]
    return [graph.input(name, "FLOAT", shape) for name in layer.cell.states]


def _states_out(graph: OnnxGraph, layer: Any, finals: list[str], space: tuple[int, ...]) -> None:
    if not isinstance(layer, ConvolutionalRecurrent):
        state_outputs(graph, layer, finals)
        return
    shape = [layer.num_layers * layer.num_directions, "batch", layer.hidden_channels, *space]
    for name, final in zip(layer.cell.states, finals, strict=True):
        graph.op("Identity", final, name=f"{name}_n")
        graph.output(f"{name}_n", "FLOAT", shape)
