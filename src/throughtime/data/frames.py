"""Pictures as sequences: one picture is a sequence of one frame, which is what networks of sequences read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from throughtime.data.tokenizer import Ids
from throughtime.sequence import SequenceBatch


class Frames:
    """Some rows of an array, each a sequence of one frame; a row may occur several times.

    Args:
        array: shape (pictures, ...): pixels or features, in memory or mapped.
        rows: which picture each example has, shape (examples,); all in their order if None.
    """

    def __init__(self, array: npt.NDArray[Any], rows: Ids | None = None) -> None:
        self.array = array
        self.rows = np.arange(len(array)) if rows is None else rows

    def __len__(self) -> int:
        """Examples."""
        return len(self.rows)

    @property
    def lengths(self) -> Ids:
        """Frames of each example, shape (examples,)."""
        return np.ones(len(self.rows), dtype=np.int64)

    def chosen(self, rows: Sequence[int]) -> Frames:
        """These examples alone."""
        return Frames(self.array, self.rows[list(rows)])

    def batch(self, rows: Sequence[int]) -> SequenceBatch:
        """The frames of some examples, values of shape (1, batch, ...), in the array's own type."""
        return SequenceBatch(torch.from_numpy(np.ascontiguousarray(self.array[self.rows[list(rows)]]))[None])
