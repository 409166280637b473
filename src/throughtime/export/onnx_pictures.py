"""Networks that look at pictures in ONNX: their encoders, and classifiers of pictures."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.export.onnx_file import Arrays, OnnxFile, arrays
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import linear
from throughtime.models import (
    ConvolutionalEncoder,
    FullyConnectedEncoder,
    GivenFeatures,
    ImageClassifier,
    ImageEncoder,
)
from throughtime.models.image_encoder import PixelEncoder, with_coordinates
from throughtime.sequence import SequenceBatch

FLOAT = 1


def image_classifier_files(network: ImageClassifier) -> list[OnnxFile]:
    """The file of an image classifier."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        del time  # a picture has no length
        pictures = random_pictures(network.images, (batch,), generator)
        scores = network(SequenceBatch(pictures.unsqueeze(0)))
        return arrays(**{picture_name(network.images): pictures}), arrays(scores=scores)

    return [OnnxFile("model", image_classifier_graph(network), whole)]


def image_classifier_graph(network: ImageClassifier) -> Any:
    """Pictures (batch, ...) to ``scores`` (batch, classes)."""
    graph = OnnxGraph()
    vectors = looked_at(graph, network.images, picture_input(graph, network.images, ["batch"]))
    if network.pooling == "flatten":
        vector = graph.op("Reshape", vectors, graph.integers(0, -1))
    else:
        kind = "ReduceMean" if network.pooling == "mean" else "ReduceMax"
        vector = graph.op(kind, vectors, axes=[1], keepdims=0)
    if network.hidden is not None:
        vector = graph.op("Relu", linear(graph, network.hidden, vector, "hidden"))
    graph.op("Identity", linear(graph, network.output, vector, "output"), name="scores")
    graph.output("scores", "FLOAT", ["batch", network.num_classes])
    return graph.model("image_classifier")


def picture_name(images: ImageEncoder) -> str:
    """What the input of a picture is called: ``pixels``, or ``features`` where a backbone that isn't here gave them."""
    return "features" if isinstance(images, GivenFeatures) else "pixels"


def picture_input(graph: OnnxGraph, images: ImageEncoder, axes: list[int | str]) -> str:
    """The input of pictures: ``pixels`` (..., height, width, channel), uint8, or ``features`` (..., place, feature)."""
    kind = "FLOAT" if isinstance(images, GivenFeatures) else "UINT8"
    return graph.input(picture_name(images), kind, [*axes, *images.input_shape])


def random_pictures(images: ImageEncoder, axes: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Pictures at random, of any values that can be."""
    shape = (*axes, *images.input_shape)
    if isinstance(images, GivenFeatures):
        return torch.randn(shape, generator=generator)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def looked_at(graph: OnnxGraph, images: ImageEncoder, pictures: str) -> str:
    """The vectors of the places of pictures, (pictures, places, size).

    Raises:
        ArgumentError: for an encoder that can't be written, a backbone that was trained on.
    """
    if isinstance(images, GivenFeatures):
        return pictures
    if isinstance(images, ConvolutionalEncoder):
        return _convolutional(graph, images, pictures)
    if isinstance(images, FullyConnectedEncoder):
        return _fully_connected(graph, images, pictures)
    raise ArgumentError(
        "a network with a backbone that was fine-tuned can't be written in ONNX; train it with the backbone frozen"
    )


def placed(graph: OnnxGraph, vectors: str, images: ImageEncoder) -> str:
    """The vectors of places with their row and column as two more features."""
    places = with_coordinates(torch.zeros(1, images.places, 0), images.grid)
    shape = graph.op("Concat", graph.op("Shape", vectors, start=0, end=1), graph.integers(1, 1), axis=0)
    return graph.op("Concat", vectors, graph.op("Expand", graph.weight("coordinates", places), shape), axis=2)


def normalised(graph: OnnxGraph, images: PixelEncoder, pixels: str) -> str:
    """Pixels (pictures, height, width, channel) as a network looks at them, (pictures, channel, height, width)."""
    values = graph.op("Div", graph.op("Cast", pixels, to=FLOAT), graph.number(255.0))
    centred = graph.op("Sub", values, graph.weight("pixel_mean", images.mean))
    return graph.op("Transpose", graph.op("Div", centred, graph.weight("pixel_std", images.std)), perm=[0, 3, 1, 2])


def _convolutional(graph: OnnxGraph, images: ConvolutionalEncoder, pixels: str) -> str:
    maps = normalised(graph, images, pixels)
    for number, stage in enumerate(images.stages):
        layers = list(cast("nn.ModuleList", stage))
        for place in range(0, len(layers), 2):
            name = f"images.{number}.{place}"
            convolution, norm = layers[place : place + 2]
            weights = [graph.weight(f"{name}.{part}", tensor) for part, tensor in convolution.state_dict().items()]
            maps = graph.op("Conv", maps, *weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            if isinstance(norm, nn.BatchNorm2d):
                maps = _batch_normalised(graph, norm, maps, name)
            maps = graph.op("Relu", maps)
        maps = graph.op("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    flat = graph.op("Reshape", maps, graph.integers(0, 0, -1))
    return graph.op("Transpose", flat, perm=[0, 2, 1])


def _fully_connected(graph: OnnxGraph, images: FullyConnectedEncoder, pixels: str) -> str:
    values = graph.op("Reshape", normalised(graph, images, pixels), graph.integers(0, -1))
    for place, (layer, norm) in enumerate(zip(images.layers, images.norms, strict=True)):
        product = linear(graph, layer, values, f"images.{place}")
        values = graph.op("Relu", _batch_normalised(graph, norm, product, f"images.{place}"))
    return graph.op("Unsqueeze", values, graph.integers(1))


def _batch_normalised(graph: OnnxGraph, norm: nn.Module, values: str, name: str) -> str:
    tensors = norm.state_dict()
    parts = [
        graph.weight(f"{name}.norm.{key}", tensors[key]) for key in ("weight", "bias", "running_mean", "running_var")
    ]
    return graph.op("BatchNormalization", values, *parts, epsilon=float(cast("nn.BatchNorm2d", norm).eps))
