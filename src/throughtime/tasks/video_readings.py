"""What the recurrent layers of networks that look at videos read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from throughtime.models import FramePredictor, RecurrentVideoClassifier
from throughtime.sequence import SequenceBatch
from throughtime.tasks.reading import Reading, heard


@torch.no_grad()
def video_reading(network: RecurrentVideoClassifier, videos: SequenceBatch) -> Reading:
    """What the recurrent layers of a video classifier read, a step being a frame.

    The loss at a step is that of a reader who has what stands there alone: how unsure the class is that the whole video
    was given.

    Args:
        network: in evaluation mode.
        videos: values of shape (time, batch, ...), as the network gets them.
    """
    scores: list[Tensor] = []
    inputs, state = heard(network.recurrent, lambda: scores.append(network(videos)))
    chosen = scores[0].argmax(-1)

    def loss(outputs: Tensor, _: Tensor) -> Tensor:
        seen = outputs if outputs.ndim == 2 else outputs.amax((-2, -1))
        return functional.cross_entropy(network.output(seen), chosen, reduction="none")

    return Reading("recurrent layers", network.recurrent, inputs, state, loss)


@torch.no_grad()
def frame_reading(network: FramePredictor, videos: SequenceBatch) -> Reading:
    """What a network that predicts frames reads; the loss at a step is the cross-entropy of the next frame's pixels.

    Args:
        network: in evaluation mode.
        videos: values of shape (time + 1, batch, height, width, channel); the last frames are only predicted.
    """
    lengths = None if videos.lengths is None else videos.lengths - 1
    inputs, state = heard(network.recurrent, lambda: network(SequenceBatch(videos.values[:-1], lengths)))
    values = videos.values
    wanted = (values.float() / 255 if values.dtype == torch.uint8 else values)[1:]

    def loss(outputs: Tensor, steps: Tensor) -> Tensor:
        own = wanted[steps, torch.arange(len(steps), device=wanted.device)]
        scores: Any = network.pixels(outputs)
        return functional.binary_cross_entropy_with_logits(scores, own, reduction="none").flatten(1).mean(1)

    return Reading("recurrent layers", network.recurrent, inputs, state, loss)
