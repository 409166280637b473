"""The types that cross rooms: a batch of sequences of different lengths, and one of questions about pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.errors import ArgumentError


@dataclass(frozen=True)
class SequenceBatch:
    """A batch of sequences, padded at the end to the longest.

    Attributes:
        values: shape (time, batch, ...), any dtype. What stands after a sequence's end is padding
            and influences nothing.
        lengths: shape (batch,), int64, on the CPU, each from 1 to time; None where all are of full length.

    Raises:
        ArgumentError: where the lengths do not fit the values.
    """

    values: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if self.lengths is None:
            return
        time, batch = self.values.shape[:2]
        if self.lengths.shape != (batch,):
            raise ArgumentError(f"`lengths` must have shape ({batch},), got {tuple(self.lengths.shape)}")
        if self.lengths.dtype != torch.int64 or self.lengths.device.type != "cpu":
            raise ArgumentError("`lengths` must be an int64 tensor on the CPU")
        if torch.compiler.is_compiling():
            return  # what they are is known when the graph runs, and checked there
        if batch and not (self.lengths.min() >= 1 and self.lengths.max() <= time):
            raise ArgumentError(f"`lengths` must lie between 1 and {time}, got {self.lengths.tolist()}")

    def to(self, device: torch.device) -> Self:
        """The batch with its values on that device."""
        return replace(self, values=self.values.to(device))

    @classmethod
    def from_packed(cls, packed: PackedSequence) -> SequenceBatch:
        """Unpack a PackedSequence into the order of the caller's batch."""
        values, lengths = pad_packed_sequence(packed)
        return cls(values, lengths)

    def to_packed(self, *, like: PackedSequence | None = None) -> PackedSequence:
        """Pack; ``like`` gives the order of its rows, so that both PackedSequences can be used side by side."""
        lengths = self.lengths
        if lengths is None:
            lengths = torch.full(self.values.shape[1:2], self.values.shape[0], dtype=torch.int64)
        if like is None or like.sorted_indices is None:
            return pack_padded_sequence(self.values, lengths, enforce_sorted=like is not None)
        order = like.sorted_indices
        packed = pack_padded_sequence(self.values.index_select(1, order), lengths[order.cpu()])
        return PackedSequence(packed.data, packed.batch_sizes, order, like.unsorted_indices)

    def mask(self) -> Tensor | None:
        """Shape (time, batch), bool, True where there is a value and False in the padding; None if none is padded."""
        if self.lengths is None:
            return None
        steps = torch.arange(self.values.shape[0]).unsqueeze(1)
        return (steps < self.lengths).to(self.values.device)


@dataclass(frozen=True, kw_only=True)
class QuestionBatch(SequenceBatch):
    """Questions about pictures: token ids, values of shape (time, batch), int64, and what each is about.

    Attributes:
        pictures: shape (pictures, ...), each once.
        which: shape (batch,), int64, the picture of each question.
    """

    pictures: Tensor
    which: Tensor

    def to(self, device: torch.device) -> Self:
        """The batch with its questions and pictures on that device."""
        moved = {name: getattr(self, name).to(device) for name in ("values", "pictures", "which")}
        return replace(self, **moved)
