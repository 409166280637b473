"""From a sequence of vectors to a single one."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, check_choice, check_positive_integer
from throughtime.sequence import SequenceBatch

POOLINGS = ("last", "max", "mean", "attention")


class Pooling(nn.Module):
    """Makes one vector of each sequence, whose padding has no part in it.

    - last: what a recurrent layer has when it has read all: the output at the last step; of a layer with two
      directions, the first half of the features at the last step and the second half at the first step.
    - max: the largest value of each feature over time (Collobert et al. 2011).
    - mean: the mean over time.
    - attention: the mean weighted by softmax over time of v · tanh(W h_t + b) (Yang et al. 2016,
      https://aclanthology.org/N16-1174).

    Args:
        kind: last, max, mean or attention.
        features: of the vectors.
        bidirectional: whether the second half of the features is of a layer that reads backwards (for last).
        attention_size: rows of W; as many as ``features`` if None.

    Raises:
        ArgumentError: for an unknown kind, a number that is not a positive integer, or features that can't be halved.

    >>> Pooling("max", 4)(SequenceBatch(torch.ones(3, 2, 4), torch.tensor([1, 3]))).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, kind: str, features: int, *, bidirectional: bool = False, attention_size: int | None = None
    ) -> None:
        super().__init__()
        check_choice("kind", kind, POOLINGS)
        check_positive_integer("features", features)
        if bidirectional and features % 2:
            raise ArgumentError(f"`features` of two directions must be an even number, got {features}")
        self.kind = kind
        self.features = features
        self.bidirectional = bidirectional
        if kind == "attention":
            size = features if attention_size is None else attention_size
            self.hidden = nn.Linear(features, size)
            self.score = nn.Linear(size, 1, bias=False)

    def forward(self, sequence: SequenceBatch) -> Tensor:
        """Pool values of shape (time, batch, features) to shape (batch, features)."""
        values, mask = sequence.values, sequence.mask()
        if self.kind == "last":
            return self._last(sequence)
        if self.kind == "max":
            return (values if mask is None else values.masked_fill(~mask.unsqueeze(-1), -torch.inf)).amax(0)
        if self.kind == "attention":
            return (self.weights(sequence).unsqueeze(-1) * values).sum(0)
        if mask is None:
            return values.mean(0)
        weights = mask / mask.sum(0)
        return (values * weights.unsqueeze(-1).to(values.dtype)).sum(0)

    def weights(self, sequence: SequenceBatch) -> Tensor:
        """How much of its attention each step gets, shape (time, batch); zero in the padding.

        Raises:
            ArgumentError: for another kind than attention.
        """
        if self.kind != "attention":
            raise ArgumentError(f"`kind` must be 'attention' to have weights, got {self.kind!r}")
        scores = cast("Tensor", self.score(torch.tanh(self.hidden(sequence.values)))).squeeze(-1).float()
        mask = sequence.mask()
        return (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(0)

    def _last(self, sequence: SequenceBatch) -> Tensor:
        values = sequence.values
        if sequence.lengths is None:
            last = values[-1]
        else:
            rows = torch.arange(values.shape[1], device=values.device)
            last = values[sequence.lengths.to(values.device) - 1, rows]
        if not self.bidirectional:
            return last
        half = self.features // 2
        return torch.cat([last[:, :half], values[0, :, half:]], dim=-1)

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"{self.kind!r}, {self.features}, bidirectional={self.bidirectional}"
