"""Convolution of pictures, by the native core where it is quicker than torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from throughtime.recurrence.filters import CoreFilters, core_takes

LEAST_PLACES = 1024
"""Places of all pictures together from which on the transform of the filters doesn't matter."""


class PictureConvolution(nn.Conv2d):
    """``torch.nn.Conv2d`` of stride 1 with as many rows and columns out as in; results differ by rounding alone.

    Args:
        in_channels: of the pictures.
        out_channels: filters.
        kernel_size: rows and columns of a filter, odd.
        bias: whether a number is added to each channel.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Pictures of shape (pictures, out_channels, height, width) for those of (pictures, in_channels, ...)."""
        as_it_is = torch.is_autocast_enabled(input.device.type) or input.dtype != self.weight.dtype
        small = input.shape[0] * input.shape[2] * input.shape[3] < LEAST_PLACES
        if small or as_it_is or torch.compiler.is_compiling() or not core_takes(self.weight):
            return super().forward(input)
        found: Any = _ByCore.apply(input.permute(0, 2, 3, 1).contiguous(), self.weight, self.bias)
        return found.permute(0, 3, 1, 2)


class _ByCore(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.filters, ctx.has_bias = CoreFilters(weight), bias is not None
        ctx.save_for_backward(values, weight)
        return ctx.filters.product(values, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, derivatives: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, _ = ctx.saved_tensors
        filters: CoreFilters = ctx.filters
        of_values, of_weight, _ = ctx.needs_input_grad
        derivatives = derivatives.contiguous()
        return (
            filters.values_derivative(derivatives) if of_values else None,
            filters.weight_derivative(values, derivatives) if of_weight else None,
            derivatives.flatten(0, 2).sum(0) if ctx.has_bias else None,
        )
