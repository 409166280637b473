"""Convolution along time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from throughtime.errors import ArgumentError, check_positive_integer, check_shape
from throughtime.sequence import SequenceBatch


class Convolution(nn.Module):
    """Slides filters over a batch of sequences; the output is as long as the input.

    At step t a filter of width w sees the steps from t - (w - 1) // 2 to t + w // 2 of its sequence, and zeros beyond
    its ends, whatever stands in the padding. With several widths (Kim 2014, https://arxiv.org/abs/1408.5882) their
    outputs stand side by side.

    Args:
        input_size: features of the input.
        channels: filters of each width.
        widths: steps that a filter sees; one number or several.

    Raises:
        ArgumentError: if a number is not a positive integer.

    >>> output = Convolution(8, 16, [3, 4])(torch.randn(7, 2, 8))
    >>> output.shape
    torch.Size([7, 2, 32])
    """

    def __init__(self, input_size: int, channels: int, widths: int | Sequence[int] = 3) -> None:
        super().__init__()
        self.widths = (widths,) if isinstance(widths, int) else tuple(widths)
        if not self.widths:
            raise ArgumentError("`widths` must be a number or several, got none")
        for name, value in (("input_size", input_size), ("channels", channels), *(("widths", w) for w in self.widths)):
            check_positive_integer(name, value)
        self.input_size = input_size
        self.output_size = channels * len(self.widths)
        self.filters = nn.ModuleList(nn.Conv1d(input_size, channels, width) for width in self.widths)

    @overload
    def forward(self, input: Tensor) -> Tensor: ...
    @overload
    def forward(self, input: SequenceBatch) -> SequenceBatch: ...
    def forward(self, input: Tensor | SequenceBatch) -> Tensor | SequenceBatch:  # noqa: A002 - torch's name
        """Convolve.

        Args:
            input: a tensor of shape (time, batch, input_size), or a SequenceBatch of such values.

        Returns:
            The same type, of shape (time, batch, channels * number of widths); what it has in the padding means
            nothing.

        Raises:
            ArgumentError: if the shape does not fit.
        """
        sequence = input if isinstance(input, SequenceBatch) else SequenceBatch(input)
        check_shape("input", sequence.values.shape, ("time", "batch", self.input_size))
        mask = sequence.mask()
        values = sequence.values if mask is None else sequence.values * mask.unsqueeze(-1)
        by_row = values.permute(1, 2, 0)
        outputs = [
            filters(pad(by_row, ((width - 1) // 2, width // 2)))
            for width, filters in zip(self.widths, self.filters, strict=True)
        ]
        joined = torch.cat(outputs, dim=1).permute(2, 0, 1)
        return SequenceBatch(joined, sequence.lengths) if isinstance(input, SequenceBatch) else joined

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"{self.input_size}, {self.output_size // len(self.widths)}, {self.widths}"
