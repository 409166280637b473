"""Batches of whole sequences, each with a target: sequences of like lengths together, anew in each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from throughtime.data.sequences import Sequences, sequences_of
from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import check_positive_integer
from throughtime.sequence import SequenceBatch

POOL_BATCHES = 50


@dataclass(frozen=True)
class ExampleBatch:
    """Sequences and their targets.

    Attributes:
        tokens: values of shape (time, batch, ...): token ids, or what else the sequences are made of.
        targets: shape (batch, ...).
    """

    tokens: SequenceBatch
    targets: Tensor


class ExampleBatches(ShuffledBatches):
    """Examples in random batches that can be made again from their epoch and index.

    The examples of an epoch come in an order of its own. Those of fifty batches at a time are sorted by length, so
    that a batch has little padding, and the batches are shuffled again.

    Args:
        sequences: of each example: any, or token ids of shape (length,) each.
        targets: shape (examples, ...).
        batch_size: examples of a batch, of each process.
        seed: of the orders.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where there are fewer examples than processes.
    """

    def __init__(
        self,
        sequences: Sequences | Sequence[Ids],
        targets: Tensor,
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_positive_integer("batch_size", batch_size)
        super().__init__(len(sequences), seed=seed, rank=rank, world_size=world_size)
        self.sequences = sequences_of(sequences)
        self.targets = targets
        self.together = batch_size * world_size
        self._lengths = self.sequences.lengths
        # What doesn't fill a last batch is one itself where each process gets a part of it.
        whole, rest = divmod(len(sequences), self.together)
        self._length = whole + (rest >= world_size)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> ExampleBatch:
        """Make the batch at that place; see ``rows``."""
        rows = self.rows(epoch, index)
        return ExampleBatch(self.sequences.batch(rows), self.targets[torch.tensor(rows)])

    def draw(self, generator: np.random.Generator) -> list[Ids]:  # noqa: D102
        order = generator.permutation(len(self.sequences))[: self._length * self.together]
        pool = POOL_BATCHES * self.together
        batches: list[Ids] = []
        for start in range(0, len(order), pool):
            rows = order[start : start + pool]
            rows = rows[np.argsort(self._lengths[rows], kind="stable")]
            batches += [rows[first : first + self.together] for first in range(0, len(rows), self.together)]
        return batches
