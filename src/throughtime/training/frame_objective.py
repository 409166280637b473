"""From videos to the loss of predicting each next frame."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from throughtime.sequence import SequenceBatch
from throughtime.training.objectives import Objective


class Videos(Protocol):
    """A batch of videos.

    Attributes:
        tokens: values of shape (time, batch, height, width, channel), uint8, two frames at least.
    """

    @property
    def tokens(self) -> SequenceBatch: ...  # noqa: D102


class NextFrameObjective(nn.Module):
    """The mean cross-entropy, in nats per pixel, of each next frame given all before it (Shi et al. 2015).

    Args:
        network: from a SequenceBatch of frames to log-odds of the next frames' pixels.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Videos, _: object = None) -> Objective:
        """Predict the batch; nothing is carried."""
        device = next(self.parameters()).device
        videos = batch.tokens.to(device)
        losses = next_frame_losses(self.network, videos)
        return Objective(losses.mean(), len(losses))


def next_frame_losses(network: nn.Module, videos: SequenceBatch) -> Tensor:
    """The cross-entropy of each predicted frame, in nats per pixel, shape (frames that have one before them,)."""
    lengths = None if videos.lengths is None else videos.lengths - 1
    inputs = SequenceBatch(videos.values[:-1], lengths)
    scores: Tensor = network(inputs)
    wanted = videos.values[1:].float() / 255
    losses = binary_cross_entropy_with_logits(scores.float(), wanted, reduction="none").mean((-3, -2, -1))
    mask = inputs.mask()
    return losses.flatten() if mask is None else losses[mask]
