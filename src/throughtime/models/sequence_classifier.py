"""The network of a classifier of numeric sequences: what was measured at each step in, a score of each class out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from throughtime.errors import check_positive_integer
from throughtime.models.recurrent_classifier import RecurrentClassifier


class RecurrentSequenceClassifier(RecurrentClassifier):
    """Numbers brought to one scale, and what ``RecurrentClassifier`` puts on them.

    Args:
        input_size: numbers of a step.
        num_classes: number of classes.
        **stages: those of ``RecurrentClassifier``.

    Attributes:
        mean: what is taken away from the numbers, shape (input_size,); a part of the weights, zero at first.
        scale: what the rest is divided by, shape (input_size,); one at first.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, input_size: int, num_classes: int, **stages: Any) -> None:
        check_positive_integer("input_size", input_size)
        super().__init__(input_size, num_classes, **stages)
        self.input_size = input_size
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("scale", torch.ones(input_size))

    def vectors(self, values: Tensor) -> Tensor:
        """Numbers of shape (time, batch, input_size), of any dtype, on one scale."""
        return (values.to(self.mean.dtype) - self.mean) / self.scale
