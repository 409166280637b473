"""What training asks of the network of any classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class ClassifyingNetwork(nn.Module, ABC):
    """A network that scores classes.

    Attributes:
        num_classes: how many.
    """

    num_classes: int

    @abstractmethod
    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither embedding nor output: what the Muon optimiser may move."""

    @abstractmethod
    def forward(self, inputs: Any) -> Tensor:
        """Scores of shape (batch, num_classes) for a SequenceBatch."""
