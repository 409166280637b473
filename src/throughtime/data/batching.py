"""Token streams cut into lanes: for truncated backpropagation through time, and for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.errors import ArgumentError, check_positive_integer, check_range

Tokens = npt.NDArray[Any]
"""Token ids, shape (tokens,), of any unsigned integer dtype; may be a memory map."""


@dataclass(frozen=True)
class TrainingWindow:
    """The part of every lane between two updates.

    Attributes:
        inputs: shape (time, batch), int64.
        targets: shape (loss steps, batch), int64: what follows each of the last inputs.
        carry: after how many of the inputs the state is kept for the next window.
        starts_sequence: whether the state before it is zero.
    """

    inputs: Tensor
    targets: Tensor
    carry: int
    starts_sequence: bool


@dataclass(frozen=True)
class EvaluationWindow:
    """A part of every lane of an evaluation.

    Attributes:
        inputs: shape (time, batch), int64.
        targets: shape (time, batch), int64.
        counts: shape (time, batch), bool: which targets count; the others only warm up the state, or are padding.
        starts_sequence: whether the state before it is zero.
    """

    inputs: Tensor
    targets: Tensor
    counts: Tensor
    starts_sequence: bool


class Lanes:
    """A token stream cut into contiguous lanes that are read side by side, window after window.

    Every epoch starts a little later in the text (fewer than k1 tokens, drawn from the seed), so that the windows'
    borders move; what does not fill a last window of all lanes is left out of that epoch. A window can be made
    again from its epoch and its index alone.

    Args:
        tokens: the stream.
        batch_size: lanes of this process.
        k1: steps from one update to the next.
        k2: steps that the gradient flows back, at least k1, which is the default (``throughtime.bptt``).
        seed: of the epochs' starts.
        rank: this process among ``world_size``; it reads its ``batch_size`` of all their lanes.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where the text is too short for so many lanes of at least
            one window.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        batch_size: int,
        k1: int,
        k2: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_positive_integer("batch_size", batch_size)
        check_positive_integer("k1", k1)
        check_positive_integer("world_size", world_size)
        check_range("seed", seed, low=0)
        check_range("rank", rank, low=0, high=world_size, high_open=True)
        self.k2 = k1 if k2 is None else k2
        if self.k2 < k1:
            raise ArgumentError(f"`k2` must be at least `k1` ({k1}), got {k2}")
        lanes = batch_size * world_size
        if len(tokens) < lanes * k1 + k1:
            most = largest_batch_size(len(tokens), k1) // world_size
            least = (world_size + 1) * k1
            advice = (
                f"`batch_size` may be at most {most}" if most else f"give at least {least} tokens or a shorter bptt"
            )
            raise ArgumentError(
                f"the text has {len(tokens):,} tokens, too few for {lanes} lanes of one window of {k1}; {advice}"
            )
        self.tokens = tokens
        self.batch_size = batch_size
        self.lanes = lanes
        self.k1 = k1
        self.seed = seed
        self.rank = rank
        self._length = (len(tokens) - k1) // (lanes * k1)

    def __len__(self) -> int:
        """Windows in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> TrainingWindow:
        """Make the window at that place; ``index`` runs from 0 to ``len(self) - 1``.

        Raises:
            IndexError: for another index.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"`index` must be from 0 to {self._length - 1}, got {index}")
        shift = int(np.random.default_rng((self.seed, epoch)).integers(self.k1))
        lane_length = (len(self.tokens) - 1 - shift) // self.lanes
        stop = (index + 1) * self.k1
        start = max(0, stop - self.k2)
        following = max(0, stop + self.k1 - self.k2)
        first = shift + self.rank * self.batch_size * lane_length
        rows = [
            self.tokens[first + row * lane_length + start : first + row * lane_length + stop + 1]
            for row in range(self.batch_size)
        ]
        block = torch.from_numpy(np.stack(rows, axis=1).astype(np.int64))
        return TrainingWindow(block[:-1], block[-self.k1 :], min(following, stop) - start, starts_sequence=index == 0)


def largest_batch_size(tokens: int, k1: int) -> int:
    """How many lanes a text of so many tokens can be cut into at most."""
    return max(0, (tokens - k1) // k1)


def evaluation_windows(
    tokens: Tokens, *, batch_size: int, time: int = 512, warm_up: int = 256
) -> Iterator[EvaluationWindow]:
    """Cover each token after the first exactly once as a target, each but the earliest with context before it.

    With one lane the text is read as it is, from its beginning to its end. With more, each lane after the first
    reads ``warm_up`` tokens, which don't count, before its own.

    Args:
        tokens: the text.
        batch_size: lanes; fewer are used where the text is short.
        time: steps of a window.
        warm_up: tokens that a lane reads before those that count; 0 for none.

    Raises:
        ArgumentError: for a number that cannot be.
    """
    check_positive_integer("batch_size", batch_size)
    check_positive_integer("time", time)
    check_range("warm_up", warm_up, low=0)
    count = len(tokens) - 1
    lanes = max(1, min(batch_size, count // max(1, 2 * warm_up)))
    warm = 0 if lanes == 1 else warm_up
    # Lane b reads warm + length inputs from b * length on; all count in the first lane, the last `length` elsewhere.
    length = -(-(count - warm) // lanes)
    starts = np.arange(lanes) * length
    for begin in range(0, warm + length, time):
        steps = np.arange(begin, min(begin + time, warm + length))[:, None]
        places = starts[None] + steps
        counts = (places < count) & ((steps >= warm) | (starts[None] == 0))
        inputs = tokens[np.minimum(places, count - 1)].astype(np.int64)
        targets = tokens[np.minimum(places, count - 1) + 1].astype(np.int64)
        yield EvaluationWindow(*map(torch.from_numpy, (inputs, targets, counts)), starts_sequence=begin == 0)
