"""An anomaly detector in ONNX: windows as the autoencoder tells them, and the scores of their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from throughtime.export.onnx_file import Arrays, OnnxFile, arrays
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import linear, part
from throughtime.export.onnx_recurrent import add_recurrent
from throughtime.models import RecurrentAutoencoder
from throughtime.tasks.anomaly_scores import MOST_DEVIATIONS, SMALLEST, ScoreScale, steps_ahead

DOUBLE, FLOAT = 11, 1
LEAST_INTEGER = -(2**63)


def detector_files(network: RecurrentAutoencoder, normal: ScoreScale) -> list[OnnxFile]:
    """The files of an anomaly detector.

    Args:
        network: in evaluation mode.
        normal: what errors are like where nothing is wrong.
    """
    generator = torch.Generator().manual_seed(0)
    channels = len(normal.error)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        deviation = torch.rand(batch, channels, generator=generator, dtype=torch.float64) * 50 + 1
        mean = torch.randn(batch, channels, generator=generator, dtype=torch.float64) * 100
        scaled = torch.randn(time, batch, channels, generator=generator)
        latent = network.encode(scaled)
        told = network.decode(latent, time)
        inputs = arrays(values=scaled.double() * deviation + mean, mean=mean, deviation=deviation)
        return inputs, arrays(told=told.double() * deviation + mean, errors=scaled - told, latent=latent)

    def score(time: int, batch: int) -> tuple[Arrays, Arrays]:
        del batch  # one recording
        errors = torch.randn(time, channels, generator=generator) * torch.tensor(normal.error)
        own = errors.double().numpy()
        return arrays(errors=errors), {"scores": normal.scores(own), "channels": normal.blame(own)}

    return [
        OnnxFile("model", autoencoder_graph(network, channels), whole),
        OnnxFile("score", score_graph(normal), score),
    ]


def autoencoder_graph(network: RecurrentAutoencoder, channels: int) -> Any:
    """Windows in their own units to what the network makes of them.

    ``values`` (time, batch, channel), float64, and ``mean`` and ``deviation`` of their recordings, (batch, channel),
    float64, give ``told``, the windows as the network tells them, in their units; ``errors``, how far they are off, in
    deviations, float32; and the vectors ``latent`` (batch, features).
    """
    graph = OnnxGraph()
    values = graph.input("values", "DOUBLE", ["time", "batch", channels])
    mean, deviation = (graph.input(name, "DOUBLE", ["batch", channels]) for name in ("mean", "deviation"))
    scaled = graph.op("Cast", graph.op("Div", graph.op("Sub", values, mean), deviation), to=FLOAT)
    _, finals = add_recurrent(graph, network.encoder, scaled, prefix="encoder.")
    parts = [graph.op("Reshape", graph.op("Transpose", own, perm=[1, 0, 2]), graph.integers(0, -1)) for own in finals]
    joined = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=-1)
    latent = graph.op("Identity", linear(graph, network.to_latent, joined, "to_latent"), name="latent")
    graph.output(latent, "FLOAT", ["batch", network.to_latent.out_features])
    told = _decoded(graph, network, latent, graph.op("Shape", scaled, start=0, end=1))
    graph.op("Sub", scaled, told, name="errors")
    graph.output("errors", "FLOAT", ["time", "batch", channels])
    restored = graph.op("Mul", graph.op("Cast", told, to=DOUBLE), deviation)
    graph.op("Add", restored, mean, name="told")
    graph.output("told", "DOUBLE", ["time", "batch", channels])
    return graph.model("autoencoder")


def score_graph(normal: ScoreScale) -> Any:
    """From ``errors`` (time, channel) of a recording to ``scores`` (time,), and the ``channels`` furthest off."""
    graph = OnnxGraph()
    errors = graph.input("errors", "FLOAT", ["time", len(normal.error)])
    relative = graph.op("Div", errors, graph.weight("error", _floats(normal.error)))
    before = graph.op("Concat", part(graph, relative, 0, 1), part(graph, relative, 0, -1), axis=0)
    changes = graph.op("Sub", relative, before)
    relative = graph.op("Abs", relative)
    own = graph.op("ReduceMax", relative, axes=[1], keepdims=0)
    together = [own for values in (relative, changes) for own in _means_around(graph, values, normal.smoothings)]
    parts = [own]
    for values, level, spread in zip(together, normal.levels, normal.spreads, strict=True):
        centred = graph.op("Div", graph.op("Sub", values, graph.number(level)), graph.number(spread))
        parts += [centred, graph.op("Neg", centred)]
    divided = [graph.op("Div", one, graph.number(limit)) for one, limit in zip(parts, normal.limits, strict=True)]
    graph.op("Max", *divided, name="scores")
    graph.output("scores", "FLOAT", ["time"])
    graph.op("ArgMax", relative, axis=1, keepdims=0, name="channels")
    graph.output("channels", "INT64", ["time"])
    return graph.model("score")


def _means_around(graph: OnnxGraph, values: str, lengths: Sequence[int]) -> list[str]:
    """The logarithm of the mean square around each step, (time,) for each number of steps."""
    squares = graph.op("Min", graph.op("Mul", values, values), graph.number(MOST_DEVIATIONS**2))
    squares = graph.op("ReduceMean", squares, axes=[1], keepdims=0)
    series = graph.op("Unsqueeze", squares, graph.integers(0, 1))
    found: list[str] = []
    for length in lengths:
        pads = [length // 2, steps_ahead(length)]
        around = graph.op("AveragePool", series, kernel_shape=[length], pads=pads, count_include_pad=0)
        around = graph.op("Squeeze", around, graph.integers(0, 1))
        found.append(graph.op("Log", graph.op("Add", around, graph.number(SMALLEST))))
    return found


def _decoded(graph: OnnxGraph, network: RecurrentAutoencoder, latent: str, time: str) -> str:
    """Windows of ``time`` steps that latent vectors tell of, (time, batch, channel)."""
    flat = graph.op("Tanh", linear(graph, network.from_latent, latent, "from_latent"))
    sizes = [network.num_layers * size for size in network.state_sizes]
    parts = graph.ops("Split", [flat, graph.integers(*sizes)], len(sizes), axis=1) if len(sizes) > 1 else [flat]
    initial = [
        graph.op("Transpose", graph.op("Reshape", own, graph.integers(0, network.num_layers, size)), perm=[1, 0, 2])
        for own, size in zip(parts, network.state_sizes, strict=True)
    ]
    shape = graph.op("Concat", time, graph.integers(1, 1), axis=0)
    read = graph.op("Expand", graph.op("Unsqueeze", latent, graph.integers(0)), shape)
    outputs, _ = add_recurrent(graph, network.decoder, read, initial=initial, prefix="decoder.")
    told = linear(graph, network.output, outputs, "output")
    # The decoder tells the last step first.
    turned = [graph.integers(number) for number in (-1, LEAST_INTEGER, 0, -1)]
    return graph.op("Slice", told, *turned)


def _floats(values: Sequence[float]) -> Any:
    return np.array(values, dtype=np.float32)
