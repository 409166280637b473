"""Layers above each other by the native core in one call, for inference; prepared once for each shape of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime._core import Direction as CoreDirection
from throughtime._core import Layer as CoreLayer
from throughtime._core import Stack as CoreStack
from throughtime.cells import Cell
from throughtime.recurrence.passes import KERNELS, NORMALISATION, PLAIN_WEIGHTS

WEIGHT_FORMATS = ("float32", "bfloat16", "int8")
MATRICES = ("weight_ih", "weight_hh", "weight_hr", "weight_peephole")


class StoredWeights(NamedTuple):
    """The weights of one direction of a layer as the core reads them, and the factors of the rows of int8 matrices."""

    weights: Mapping[str, Tensor]
    scales: Mapping[str, Tensor] = {}


class StackSizes(NamedTuple):
    """What a stack is beside its weights.

    Attributes:
        cell: of all layers.
        input_size, hidden_size: features of the input, and units.
        output_size: of one direction: the projection's size, or hidden_size.
        num_layers, num_directions: how many above each other, and side by side.
    """

    cell: Cell
    input_size: int
    hidden_size: int
    output_size: int
    num_layers: int
    num_directions: int

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The size of each of the cell's states."""
        return (self.output_size, *(self.hidden_size for _ in self.cell.states[1:]))


def make_stack(
    sizes: StackSizes,
    stored: Sequence[StoredWeights],
    *,
    time: int,
    batch: int,
    weight_format: str = "float32",
    bfloat16_parts: int = 0,
) -> CoreStack:
    """Describe the layers to the core, which reads the weights where they lie: the caller keeps them.

    Args:
        sizes: of the stack.
        stored: contiguous weights of each layer and direction, all directions of a layer together.
        time: steps of a call.
        batch: sequences of a call.
        weight_format: of the matrices, one of WEIGHT_FORMATS; "float32" also stands for float64.
        bfloat16_parts: of each factor of a product; see ``throughtime.recurrence.passes.bfloat16_parts``.
    """
    kernel, stack = KERNELS[sizes.cell], CoreStack()
    input_size = sizes.input_size
    for layer in range(sizes.num_layers):
        directions = stored[layer * sizes.num_directions : (layer + 1) * sizes.num_directions]
        core = CoreLayer(
            kernel.number,
            directions[0].weights["weight_ih"].dtype == torch.float64,
            kernel.projected,
            input_size,
            sizes.hidden_size,
            sizes.output_size,
            time,
            batch,
            0,
            torch.get_num_threads(),
        )
        core.set_weight_format(WEIGHT_FORMATS.index(weight_format))
        core.set_bfloat16_parts(bfloat16_parts)
        for reverse, (weights, scales) in enumerate(directions):
            direction = CoreDirection()
            direction.reverse = bool(reverse)
            direction.set_weights(*(_address(weights.get(name)) for name in PLAIN_WEIGHTS))
            direction.set_normalisation(*(_address(weights.get(name)) for name in NORMALISATION))
            direction.set_scales(*(_address(scales.get(name)) for name in MATRICES))
            core.add_direction(direction)
        stack.add(core)
        input_size = sizes.num_directions * sizes.output_size
    return stack


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
