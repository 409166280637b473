"""Batches that can be made again from their epoch and index, in an order that each epoch draws anew."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from throughtime.data.tokenizer import Ids
from throughtime.errors import ArgumentError, check_positive_integer, check_range


class ShuffledBatches(ABC):
    """Rows of a data set in random batches; a subclass says how an epoch's rows are put together.

    Args:
        examples: how many rows there are.
        seed: of the orders.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where there are fewer rows than processes.
    """

    def __init__(self, examples: int, *, seed: int, rank: int, world_size: int) -> None:
        check_positive_integer("world_size", world_size)
        check_range("seed", seed, low=0)
        check_range("rank", rank, low=0, high=world_size, high_open=True)
        if examples < world_size:
            raise ArgumentError(f"there are {examples} examples, too few for {world_size} processes")
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._order: tuple[int, list[Ids]] = (-1, [])

    @abstractmethod
    def __len__(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> list[Ids]:
        """The rows of each batch of an epoch, of all processes; as many batches as ``len(self)``."""

    def rows(self, epoch: int, index: int) -> list[int]:
        """This process's rows of the batch at that place; ``index`` runs from 0 to ``len(self) - 1``.

        Raises:
            IndexError: for another index.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, got {index}")
        if self._order[0] != epoch:
            generator = np.random.default_rng((self.seed, epoch))
            batches = self.draw(generator)
            self._order = (epoch, [batches[place] for place in generator.permutation(len(batches)).tolist()])
        rows: list[int] = self._order[1][index][self.rank :: self.world_size].tolist()
        return rows
