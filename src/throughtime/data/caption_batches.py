"""Batches of pictures with several captions each, so that a picture is looked at once for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from throughtime.data.pair_batches import PairBatch
from throughtime.data.sentence_tokenizer import with_ends
from throughtime.data.sequences import Sequences, pad_sequences
from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import ArgumentError, check_positive_integer


class CaptionBatches(ShuffledBatches):
    """Sources in random batches, with some of the targets of each; all can be made again from their epoch and index.

    An epoch has each source once. Of a source that has more targets than are taken, each epoch draws others; of one
    that has fewer, some are taken twice.

    Args:
        sources: the pictures.
        targets: of each source its targets, token ids of shape (length,), without ends.
        end: the id of the end of a sentence.
        batch_size: sources of a batch, of each process.
        together: targets of each source in a batch.
        seed: of the orders.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where there are fewer sources than processes.
    """

    def __init__(
        self,
        sources: Sequences,
        targets: Sequence[Sequence[Ids]],
        *,
        end: int,
        batch_size: int,
        together: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_positive_integer("batch_size", batch_size)
        check_positive_integer("together", together)
        if len(sources) != len(targets):
            raise ArgumentError(f"`targets` must be as many as the sources, {len(sources)}, got {len(targets)}")
        super().__init__(len(sources), seed=seed, rank=rank, world_size=world_size)
        self.sources = sources
        self.targets = targets
        self.end = end
        self.size = batch_size * world_size
        self.together = together
        whole, rest = divmod(len(sources), self.size)
        # What doesn't fill a last batch is one itself where each process gets a part of it.
        self._length = whole + (rest >= world_size)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> PairBatch:
        """Make the batch at that place: targets of shape (target, batch * together), those of a source side by side."""
        rows = self.rows(epoch, index)
        chosen: list[Ids] = []
        for row in rows:
            own = self.targets[row]
            order = np.random.default_rng((self.seed, epoch, row)).permutation(len(own))
            chosen += [with_ends(own[place], self.end) for place in np.resize(order, self.together).tolist()]
        return PairBatch(self.sources.batch(rows), pad_sequences(chosen))

    def draw(self, generator: np.random.Generator) -> list[Ids]:  # noqa: D102
        order = generator.permutation(len(self.sources))[: self._length * self.size]
        return [order[start : start + self.size] for start in range(0, len(order), self.size)]
