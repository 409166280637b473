"""From windows of numbers and an autoencoder to the loss that training lowers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from throughtime.training.objectives import Objective


class WindowsWithPresence(Protocol):
    """A batch of windows, as ``data.series_windows`` makes it.

    Attributes:
        values: shape (time, batch, 2 * channels): the numbers, and whether each was there, 1 or 0.
    """

    @property
    def values(self) -> Tensor: ...  # noqa: D102


class ReconstructionObjective(nn.Module):
    """The mean squared error of windows as an autoencoder tells them; what was missing doesn't count.

    Args:
        network: from windows of shape (time, batch, channels) to the same.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: WindowsWithPresence, _: object = None) -> Objective:
        """Tell the batch; nothing is carried."""
        device = next(self.parameters()).device
        values, present = batch.values.to(device).chunk(2, dim=2)
        told: Tensor = self.network(values)
        return Objective(reconstruction_loss(told, values, present), values.shape[1])


def reconstruction_loss(told: Tensor, values: Tensor, present: Tensor) -> Tensor:
    """Mean squared error over what is present, a scalar; all of one shape."""
    return ((told - values).square() * present).sum() / present.sum().clamp(min=1)
