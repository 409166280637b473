"""One-hot vectors of tokens, and a linear layer on them that never builds them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from throughtime.errors import ArgumentError, check_positive_integer


class OneHot(nn.Module):
    """Stands where an embedding stands, has no weights, and gives each token an axis of its own.

    >>> OneHot(3)(torch.tensor([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])

    Args:
        num_embeddings: different tokens, which is also the size of a vector.
        dtype: of the vectors; torch's default by default.

    Raises:
        ArgumentError: if ``num_embeddings`` is no positive integer.
    """

    def __init__(self, num_embeddings: int, *, dtype: torch.dtype | None = None) -> None:
        check_positive_integer("num_embeddings", num_embeddings)
        super().__init__()
        self.num_embeddings = num_embeddings
        self.dtype = dtype

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Turn ids, int64 of any shape, into shape (*input.shape, num_embeddings).

        Raises:
            ArgumentError: where an id is not in [0, num_embeddings - 1], or ids are no int64.
        """
        _check_ids(input, self.num_embeddings)
        dense = torch.zeros(*input.shape, self.num_embeddings, dtype=self.dtype, device=input.device)
        return dense.scatter_(-1, input.unsqueeze(-1), 1)

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return str(self.num_embeddings)


class OneHotLinear(nn.Linear):
    """torch.nn.Linear on one-hot vectors, which is to look up a column of its weight: W onehot(i) + b = W[:, i] + b.

    Takes ids rather than vectors; parameters, their initial values and ``state_dict`` are torch.nn.Linear's.

    Args:
        size: different tokens, Linear's in_features.
        out_features: of the output.
        bias: whether there is one.

    Raises:
        ArgumentError: if a size is no positive integer.
    """

    def __init__(self, size: int, out_features: int, bias: bool = True) -> None:
        check_positive_integer("size", size)
        check_positive_integer("out_features", out_features)
        super().__init__(size, out_features, bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Apply the layer to ids, int64 of any shape; return shape (*input.shape, out_features).

        Raises:
            ArgumentError: where an id is not in [0, size - 1], or ids are no int64.
        """
        _check_ids(input, self.in_features)
        columns = embedding(input, self.weight.T)
        bias = cast("Tensor | None", self.bias)  # torch.nn.Linear's annotation doesn't know that there may be none
        return columns if bias is None else columns + bias


def _check_ids(ids: Tensor, size: int) -> None:
    if ids.dtype != torch.int64:
        raise ArgumentError(f"`input` must be ids of dtype torch.int64, got {ids.dtype}")
    if not ids.is_cpu or torch.compiler.is_compiling():
        return  # looking would wait for the device or break the graph; torch's own look-up finds it
    if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= size):
        wrong = int(ids[(ids < 0) | (ids >= size)][0])
        raise ArgumentError(f"`input` must be ids in [0, {size - 1}], got {wrong}")
