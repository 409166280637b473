"""Embedding of tokens, with dropout of whole words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from throughtime.errors import check_range


class Embedding(nn.Embedding):
    """torch.nn.Embedding that can drop words: in training, every occurrence of a dropped word becomes zero.

    Gal and Ghahramani (2016), https://arxiv.org/abs/1512.05287, section 4.2; used by AWD-LSTM. The rows of
    the other words are scaled by 1 / (1 - dropout), and so is the gradient; ``weight`` itself stays as it is.

    Args:
        *arguments: torch.nn.Embedding's: num_embeddings, embedding_dim, padding_idx, ...
        dropout: the probability with which a word of the table is dropped, anew at each call.
        **options: torch.nn.Embedding's keyword arguments.

    Raises:
        ArgumentError: if ``dropout`` is not in [0, 1].
    """

    def __init__(self, *arguments: Any, dropout: float = 0.0, **options: Any) -> None:
        check_range("dropout", dropout, low=0, high=1)
        super().__init__(*arguments, **options)  # pyright: ignore[reportUnknownMemberType]
        self.dropout = dropout

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Look up ``input``, int64 or int32 of any shape; return shape (*input.shape, embedding_dim)."""
        embedded = super().forward(input)
        if not self.training or self.dropout == 0:
            return embedded
        kept = dropout(torch.ones(self.num_embeddings, 1, dtype=embedded.dtype, device=embedded.device), self.dropout)
        return embedded * kept[input]

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"{super().extra_repr()}, dropout={self.dropout}"
