"""A captioner of videos in ONNX."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from throughtime.export.onnx_decoders import begin, describing_files, known_first
from throughtime.export.onnx_file import Arrays, OnnxFile, arrays, random_lengths
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import linear, pooled
from throughtime.export.onnx_pictures import looked_at, picture_input, picture_name, random_pictures
from throughtime.export.onnx_recurrent import add_recurrent, valid_steps
from throughtime.models import DecoderState, VideoCaptioner
from throughtime.sequence import SequenceBatch


def video_captioner_files(network: VideoCaptioner) -> list[OnnxFile]:
    """The files of a captioner of videos."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def encoded(time: int, batch: int) -> tuple[DecoderState, Arrays, dict[str, Tensor]]:
        frames = random_pictures(network.images, (time, batch), generator)
        lengths = random_lengths(time, batch, generator)
        state = network.encode(SequenceBatch(frames, lengths))
        given = known_first(network, state)
        if state.memory is not None and state.memory.padding is not None:
            given["padding"] = state.memory.padding.squeeze(1)
        return state, arrays(**{picture_name(network.images): frames, "lengths": lengths}), given

    return describing_files(network, encoded, video_encoder_graph(network), "time", generator, padded=True)


def video_encoder_graph(network: VideoCaptioner) -> Any:
    """Frames (time, batch, ...) and ``lengths`` (batch,), int64, to what the decoder needs, as of a translator."""
    graph, images = OnnxGraph(), network.images
    frames = picture_input(graph, images, ["time", "batch"])
    lengths = graph.input("lengths", "INT64", ["batch"])
    lead = graph.op("Shape", frames, start=0, end=2)
    places = looked_at(graph, images, graph.op("Reshape", frames, graph.integers(-1, *images.input_shape)))
    flat = graph.op("Reshape", places, graph.integers(-1, images.places * images.output_size))
    vectors = graph.op("Relu", linear(graph, network.frame, flat, "frame"))
    shape = graph.op("Concat", lead, graph.integers(network.frame.out_features), axis=0)
    values, _ = add_recurrent(graph, network.recurrent, graph.op("Reshape", vectors, shape), lengths=lengths)
    mask = valid_steps(graph, values, lengths)
    start = pooled(graph, network.last, values, mask, lengths)
    begin(graph, network, start, graph.op("Transpose", values, perm=[1, 0, 2]), "time")
    if network.decoder.attention is not None:
        own = graph.op("Transpose", graph.op("Squeeze", mask, graph.integers(2)), perm=[1, 0])
        graph.op("Not", own, name="padding")
        graph.output("padding", "BOOL", ["batch", "time"])
    return graph.model("encoder")
