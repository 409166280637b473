"""Batches of sources and the sentences that are made of them, with about the same number of tokens each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.data.sentence_tokenizer import with_ends
from throughtime.data.sequences import Sequences, pad_sequences, sequences_of
from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import check_positive_integer
from throughtime.sequence import SequenceBatch

BUCKET_WIDTH = 2
POOL_BATCHES = 8


@dataclass(frozen=True)
class PairBatch:
    """Sources and their targets: sentences and their translations, pictures and their captions.

    Attributes:
        source: values of shape (source, batch, ...); of sentences token ids, (source, batch), int64.
        target: values of shape (target, batch), int64, each between two ends of a sentence.
    """

    source: SequenceBatch
    target: SequenceBatch


class PairBatches(ShuffledBatches):
    """Pairs in random batches that can be made again from their epoch and index.

    Targets of like lengths share a bucket, and a batch is drawn from one bucket: as many pairs as fit into
    ``batch_tokens``, so that every batch is about as much work. Each epoch draws anew.

    Args:
        sources: any sequences, or token ids of each source, of shape (length,) each.
        targets: token ids of each target, without ends.
        end: the id of the end of a sentence.
        batch_tokens: tokens of a batch's targets at most, of each process; a pair that has more is a batch itself.
        seed: of the orders.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where there are fewer pairs than processes.
    """

    def __init__(
        self,
        sources: Sequences | Sequence[Ids],
        targets: Sequence[Ids],
        *,
        end: int,
        batch_tokens: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_positive_integer("batch_tokens", batch_tokens)
        super().__init__(len(sources), seed=seed, rank=rank, world_size=world_size)
        self.sources = sequences_of(sources)
        self.targets = targets
        self.end = end
        self._source_lengths = self.sources.lengths
        lengths = np.array([len(tokens) + 1 for tokens in targets])
        self._buckets: list[tuple[Ids, int]] = []
        for key in np.unique(lengths // BUCKET_WIDTH):
            rows = np.flatnonzero(lengths // BUCKET_WIDTH == key)
            self._buckets.append((rows, max(1, batch_tokens // int(lengths[rows].max())) * world_size))
        # Each process gets a part of every batch.
        self._length = sum(len(rows) // size + (len(rows) % size >= world_size) for rows, size in self._buckets)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> PairBatch:
        """Make the batch at that place; see ``rows``."""
        rows = self.rows(epoch, index)
        return PairBatch(
            self.sources.batch(rows),
            pad_sequences([with_ends(self.targets[row], self.end) for row in rows]),
        )

    def draw(self, generator: np.random.Generator) -> list[Ids]:  # noqa: D102
        batches: list[Ids] = []
        for bucket, size in self._buckets:
            order = generator.permutation(bucket)
            for start in range(0, len(order), POOL_BATCHES * size):
                pool = order[start : start + POOL_BATCHES * size]
                pool = pool[np.argsort(self._source_lengths[pool], kind="stable")]
                parts = [pool[first : first + size] for first in range(0, len(pool), size)]
                batches += [part for part in parts if len(part) >= self.world_size]
        return batches
