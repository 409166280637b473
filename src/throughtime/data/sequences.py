"""What a network of sequences reads, whatever it is made of: token ids, pictures, numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np
import torch

from throughtime.data.tokenizer import Ids
from throughtime.sequence import SequenceBatch


class Sequences(Protocol):
    """Sequences that can be put side by side into a batch."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    @property
    def lengths(self) -> Ids:
        """The steps of each, shape (sequences,), int64."""
        ...

    def batch(self, rows: Sequence[int]) -> SequenceBatch:
        """Some of them, padded to the longest, values of shape (time, batch, ...)."""
        ...


class TokenSequences:
    """Sequences of token ids.

    Args:
        sequences: of shape (length,) each, int64.
    """

    def __init__(self, sequences: Sequence[Ids]) -> None:
        self.sequences = sequences
        self.lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.sequences)

    def batch(self, rows: Sequence[int]) -> SequenceBatch:
        """Some of them, values of shape (time, batch), with zeros after their ends."""
        return pad_sequences([self.sequences[row] for row in rows])


def sequences_of(given: Sequences | Sequence[Ids]) -> Sequences:
    """Token ids, of shape (length,) each, as ``Sequences``; what is that already stays as it is."""
    return cast("Sequences", given) if hasattr(given, "batch") else TokenSequences(cast("Sequence[Ids]", given))


def pad_sequences(sequences: Sequence[Ids]) -> SequenceBatch:
    """Put token ids of shape (length,) each side by side, shape (time, batch), with zeros after their ends.

    An empty sequence becomes a single zero.
    """
    lengths = np.array([max(len(sequence), 1) for sequence in sequences])
    values = np.zeros((len(sequences), lengths.max()), dtype=np.int64)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return SequenceBatch(torch.from_numpy(values.T.copy()), torch.from_numpy(lengths))


def evaluation_batches(sequences: Sequences | Sequence[Ids], batch_size: int) -> Iterator[tuple[Ids, SequenceBatch]]:
    """All sequences once, the shortest first, in batches.

    Args:
        sequences: any, or token ids of shape (length,) each.
        batch_size: sequences of a batch.

    Yields:
        Which sequences, shape (batch,), and what they are.
    """
    readable = sequences_of(sequences)
    order = np.argsort(readable.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows, readable.batch(rows.tolist())
