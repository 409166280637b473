"""Weights where cuDNN wants them: those of a layer in one block of memory, which it otherwise copies at each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from throughtime.cells import CELLS, Cell, projected
from throughtime.recurrence.stack import StackSizes

TORCH_LAYERS: dict[Cell, type[nn.RNN | nn.LSTM | nn.GRU]] = {
    CELLS["rnn_tanh"]: nn.RNN,
    CELLS["rnn_relu"]: nn.RNN,
    CELLS["lstm"]: nn.LSTM,
    projected(CELLS["lstm"]): nn.LSTM,
    CELLS["gru"]: nn.GRU,
}


def flatten_for_cudnn(
    sizes: StackSizes, parameters: Mapping[str, Tensor | None], names: Sequence[Mapping[str, str]]
) -> None:
    """Move the weights of each layer on CUDA into one block, if torch has a kernel for the cell.

    Args:
        sizes: of the stack.
        parameters: the module's own, by name; they stay the same objects, their memory is a new one.
        names: of each layer's and direction's weights, to the parameters'.
    """
    weights = [{name: parameters.get(own) for name, own in one.items()} for one in names]
    if sizes.cell not in TORCH_LAYERS or not all(
        weight is not None and weight.is_cuda for one in weights for weight in one.values()
    ):
        return
    for first in range(0, len(weights), sizes.num_directions):
        own = weights[first : first + sizes.num_directions]
        options: dict[str, Any] = {"bias": "bias_ih" in own[0], "bidirectional": len(own) > 1, "device": "meta"}
        if "weight_hr" in own[0]:
            options["proj_size"] = sizes.output_size
        input_size = sizes.input_size if first == 0 else sizes.num_directions * sizes.output_size
        twin = TORCH_LAYERS[sizes.cell](input_size, sizes.hidden_size, **options)
        for suffix, one in zip(("_l0", "_l0_reverse"), own, strict=False):
            for name, weight in one.items():
                setattr(twin, name + suffix, weight)
        twin.flatten_parameters()
