"""Generated sequences in which what matters stands long before it is asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from throughtime.errors import check_positive_integer, check_range

EPOCH_BATCHES = 100
SYMBOLS = 8
"""Different symbols of the copy task."""
COPIED = 10
"""Symbols that the copy task asks for."""


@dataclass(frozen=True)
class GeneratedBatch:
    """Sequences of equal length, and what is asked about them.

    Attributes:
        inputs: shape (time, batch, feature), float32.
        targets: shape (batch,), float32, for a number; (time, batch), int64, for a symbol at each step.
    """

    inputs: Tensor
    targets: Tensor


class LongTermSequences(ABC):
    """Sequences that are drawn anew for each batch, and can be drawn again from an epoch and an index.

    Args:
        length: the time over which something has to be remembered.
        batch_size: sequences of a batch.
        seed: of the numbers; other seeds give other sequences.
        rank: this process among those that train together, which all draw their own.

    Attributes:
        input_size: features of a step.
        output_size: numbers that the network gives.
        measure: what ``loss`` is, for people to read.

    Raises:
        ArgumentError: for a number that can't be.
    """

    input_size: int
    output_size: int
    measure: str

    def __init__(self, length: int, *, batch_size: int = 32, seed: int = 0, rank: int = 0) -> None:
        check_range("length", length, low=2)
        check_positive_integer("batch_size", batch_size)
        check_range("seed", seed, low=0)
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank

    def __len__(self) -> int:
        """Batches that are called an epoch."""
        return EPOCH_BATCHES

    def batch(self, epoch: int, index: int) -> GeneratedBatch:
        """Draw the batch at that place."""
        return self.draw(self.batch_size, np.random.default_rng((self.seed, self.rank, epoch, index)))

    def held_out(self, count: int, number: int = 0) -> GeneratedBatch:
        """Draw sequences that no batch has; another ``number`` draws others, whatever the seed the same."""
        return self.draw(count, np.random.default_rng((2**32, number)))

    @property
    def span(self) -> int:
        """Steps from the first that matters to the last answer."""
        return self.length

    @property
    @abstractmethod
    def guess(self) -> float:
        """The loss of the best answer that does without memory."""

    @abstractmethod
    def draw(self, count: int, generator: np.random.Generator) -> GeneratedBatch:
        """Draw sequences."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a scalar, of outputs of shape (time, batch, output_size)."""

    @abstractmethod
    def last_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the answer at the last step alone."""

    @abstractmethod
    def right(self, outputs: Tensor, targets: Tensor) -> float:
        """The share of the answers that are right."""


class AddingProblem(LongTermSequences):
    """Two of many numbers are marked, one in each half of the sequence; their sum is asked for at its end.

    Each step has a number, uniform in [0, 1), and a mark, 1 at the two steps that count and 0 elsewhere: Hochreiter
    and Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735, as Le et al. (2015),
    https://arxiv.org/abs/1504.00941, simplified it. Who always says 1 has a mean squared error of 1/6, the variance
    of the sum. An answer is right where it is off by less than 0.04, as in the first of the papers.
    """

    input_size = 2
    output_size = 1
    measure = "mean squared error"
    tolerance = 0.04

    @property
    def guess(self) -> float:
        """The variance of the sum of two numbers that are uniform in [0, 1)."""
        return 1 / 6

    def draw(self, count: int, generator: np.random.Generator) -> GeneratedBatch:  # noqa: D102
        values = generator.random((self.length, count), dtype=np.float32)
        marks = np.zeros_like(values)
        rows, half = np.arange(count), self.length // 2
        marks[generator.integers(0, half, count), rows] = 1
        marks[generator.integers(half, self.length, count), rows] = 1
        inputs = np.stack([values, marks], axis=-1)
        return GeneratedBatch(torch.from_numpy(inputs), torch.from_numpy((values * marks).sum(axis=0)))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return mse_loss(outputs[-1, :, 0], targets)

    def last_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return self.loss(outputs, targets)

    def right(self, outputs: Tensor, targets: Tensor) -> float:  # noqa: D102
        return float(((outputs[-1, :, 0] - targets).abs() < self.tolerance).float().mean())


class CopyTask(LongTermSequences):
    """Ten symbols come first, and are asked for in their order after a long silence.

    The sequence has 10 symbols out of 8, ``length`` - 1 blanks, a sign to begin, and 10 more blanks, under which the
    10 symbols are to be said; before that, a blank at each step: Arjovsky et al. (2016),
    https://arxiv.org/abs/1511.06464. The loss is the mean cross-entropy over all ``length`` + 20 steps, in nats. Who
    guesses among the 8 has 10 ln 8 / (length + 20).
    """

    input_size = SYMBOLS + 2
    output_size = SYMBOLS + 1
    measure = "cross-entropy"

    @property
    def span(self) -> int:
        """Steps from a symbol to where it is asked for."""
        return self.length + COPIED

    @property
    def guess(self) -> float:
        """Certain of the blanks, and no idea of the symbols."""
        return COPIED * math.log(SYMBOLS) / (self.length + 2 * COPIED)

    def draw(self, count: int, generator: np.random.Generator) -> GeneratedBatch:  # noqa: D102
        symbols = torch.from_numpy(generator.integers(1, SYMBOLS + 1, (COPIED, count)))
        blank = torch.zeros(self.length + 2 * COPIED, count, dtype=torch.int64)
        tokens, targets = blank.clone(), blank
        tokens[:COPIED] = symbols
        tokens[COPIED + self.length - 1] = SYMBOLS + 1
        targets[-COPIED:] = symbols
        return GeneratedBatch(one_hot(tokens, self.input_size).float(), targets)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def last_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return cross_entropy(outputs[-1], targets[-1])

    def right(self, outputs: Tensor, targets: Tensor) -> float:  # noqa: D102
        return float((outputs[-COPIED:].argmax(-1) == targets[-COPIED:]).float().mean())


LONG_TERM_TASKS: dict[str, type[LongTermSequences]] = {"adding": AddingProblem, "copy": CopyTask}
"""The tasks by their names."""
