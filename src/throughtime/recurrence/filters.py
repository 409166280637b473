"""What the kernel of a convolution does to pictures, and its derivatives: by torch, or on a CPU by the native core."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from throughtime._core import Convolution, PlaceStep
from throughtime.cells.product import channels_first, channels_last, product, space_of

_aten: Any = torch.ops.aten

LEAST_INPUTS = 8
"""Channels from which on the core's products are worth the transforms around them."""


class Filters:
    """The filters of a weight, slid over pictures, by torch's own convolutions.

    Args:
        weight: shape (outputs, inputs, *kernel). Pictures are contiguous, of shape (..., *space, channels); zeros stand
            beyond their edges.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = channels_last(weight)

    def product(self, values: Tensor, bias: Tensor | None) -> Tensor:
        """W * x + b."""
        return product(values, self.weight, bias).contiguous()

    def add_product(self, values: Tensor, to: Tensor, step: PlaceStep | None = None) -> None:
        """Add W * x, and then take a step at each place, if one is given."""
        to.add_(product(values, self.weight))
        if step is not None:
            step.run()

    def values_derivative(self, derivatives: Tensor) -> Tensor:
        """That of x, from that of W * x."""
        values = derivatives.new_empty(*derivatives.shape[:-1], self.weight.shape[1])  # of which the shape is asked
        return self._backward(derivatives, values, "values")

    def add_values_derivative(self, derivatives: Tensor, to: Tensor, step: PlaceStep | None = None) -> None:
        """Add that of x, and then take a step at each place, if one is given."""
        to.add_(self.values_derivative(derivatives))
        if step is not None:
            step.run()

    def weight_derivative(self, values: Tensor, derivatives: Tensor) -> Tensor:
        """That of W, the sum over all pictures."""
        return self._backward(derivatives, values, "weight")

    def _backward(self, derivatives: Tensor, values: Tensor, of: str) -> Tensor:
        space = space_of(self.weight)
        ones, padding = [1] * space, [size // 2 for size in self.weight.shape[2:]]
        pictures = [channels_first(part.reshape(-1, *part.shape[-1 - space :])) for part in (derivatives, values)]
        wanted = [of == "values", of == "weight", False]
        found = _aten.convolution_backward(
            *pictures, self.weight, None, ones, padding, ones, False, [0] * space, 1, wanted
        )
        return found[0].movedim(1, -1).reshape(values.shape) if of == "values" else found[1]


class CoreFilters(Filters):
    """The same by Winograd's minimal filtering, see csrc/winograd.h; filters of 3 x 3 or 5 x 5."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._weight = weight.movedim(1, -1).contiguous()
        self._transformed: dict[bool, Tensor] = {}

    def product(self, values: Tensor, bias: Tensor | None) -> Tensor:  # noqa: D102
        shape = (*values.shape[:-1], len(self.weight))
        found = values.new_empty(shape)
        bias = None if bias is None else bias.contiguous()
        self._convolve(values, found, bias=bias, add=False, backwards=False)
        return found

    def add_product(self, values: Tensor, to: Tensor, step: PlaceStep | None = None) -> None:  # noqa: D102
        self._convolve(values, to, step, add=True, backwards=False)

    def values_derivative(self, derivatives: Tensor) -> Tensor:  # noqa: D102
        found = derivatives.new_empty(*derivatives.shape[:-1], self.weight.shape[1])
        self._convolve(derivatives, found, add=False, backwards=True)
        return found

    def add_values_derivative(  # noqa: D102
        self, derivatives: Tensor, to: Tensor, step: PlaceStep | None = None
    ) -> None:
        self._convolve(derivatives, to, step, add=True, backwards=True)

    def weight_derivative(self, values: Tensor, derivatives: Tensor) -> Tensor:  # noqa: D102
        found = torch.empty_like(self._weight)
        call = self._call(values, derivatives)
        call.derive_filters(values.data_ptr(), derivatives.data_ptr(), weights=found.data_ptr())
        return found.movedim(-1, 1)

    def _convolve(
        self,
        values: Tensor,
        to: Tensor,
        step: PlaceStep | None = None,
        *,
        bias: Tensor | None = None,
        add: bool,
        backwards: bool,
    ) -> None:
        call = self._call(values, to)
        if backwards not in self._transformed:
            self._transformed[backwards] = transformed = values.new_empty(call.filters_size)
            call.transform_filters(self._weight.data_ptr(), backwards=backwards, transformed=transformed.data_ptr())
        call.convolve(
            values.data_ptr(),
            self._transformed[backwards].data_ptr(),
            bias=0 if bias is None else bias.data_ptr(),
            add=add,
            result=to.data_ptr(),
            step=step,
        )

    def _call(self, values: Tensor, results: Tensor) -> Convolution:
        *lead, height, width, inputs = values.shape
        for pictures in (values, results):
            assert pictures.is_contiguous()  # noqa: S101 - the core reads and writes where they lie
        return Convolution(
            double_precision=values.dtype == torch.float64,
            kernel=self.weight.shape[-1],
            pictures=torch.Size(lead).numel(),
            height=height,
            width=width,
            inputs=inputs,
            outputs=results.shape[-1],
            threads=torch.get_num_threads(),
        )


def core_takes(weight: Tensor) -> bool:
    """Whether the core convolves by filters like these, and is quicker than torch."""
    suits = weight.ndim == 4 and weight.shape[2:] in {(3, 3), (5, 5)} and weight.shape[1] >= LEAST_INPUTS
    return suits and weight.is_cpu and weight.dtype in {torch.float32, torch.float64}


def filters_of(weight: Tensor) -> Filters:
    """The filters of a weight, by what is fastest for it."""
    return CoreFilters(weight) if core_takes(weight) else Filters(weight)
