"""The loss of a forecaster: of the forecasts from each step of a window, where there is a value to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.training.objectives import Objective


@dataclass(frozen=True)
class ForecastBatch:
    """Windows to forecast from.

    Attributes:
        past: what the network reads.
        targets: shape (time, batch, horizon), what follows on each step.
        counted: bool, of that shape: which of them the loss is over.
    """

    past: Any
    targets: Tensor
    counted: Tensor


class ForecastObjective(nn.Module):
    """The mean loss of all forecasts.

    Args:
        network: an ensemble, each member of which learns for itself.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: ForecastBatch, _: object = None) -> Objective:
        """Score the batch; nothing is carried."""
        found = [forecast_loss(member, batch) for member in self.network.members]
        count = found[0][1]
        return Objective(torch.stack([loss for loss, _ in found]).mean() / max(count, 1), count)


def forecast_loss(network: Any, batch: ForecastBatch) -> tuple[Tensor, int]:
    """The sum of the losses of a batch, and how many they are."""
    found = network(batch.past.to(next(network.parameters()).device))
    losses = counted_losses(network.output, found.scores, found.locale, batch)
    return losses.sum(), int(batch.counted.sum())


def counted_losses(output: Any, scores: Tensor, locale: Any, batch: ForecastBatch) -> Tensor:
    """The loss of each forecast, of the shape of the targets; zero where there is nothing to compare with."""
    losses: Tensor = output.loss(scores.float(), locale, batch.targets.to(scores.device))
    return torch.where(batch.counted.to(scores.device), losses, losses.new_zeros(()))
