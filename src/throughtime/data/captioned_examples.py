"""Examples with captions, whatever an example is: a picture, a video."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from throughtime.data.examples import Examples, Placed
from throughtime.data.splits import Splits, splits_of
from throughtime.errors import DataError, counted


class Captioned(Placed, Protocol):
    """An example that has captions and knows where it stood."""

    @property
    def captions(self) -> tuple[str, ...]:
        """At least one."""
        ...


ExampleT = TypeVar("ExampleT", bound=Captioned)


@dataclass(frozen=True)
class CaptionedExamples(Examples[ExampleT], ABC, Generic[ExampleT]):
    """Examples with captions; the attributes are those of all ``Examples``."""

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """The captions of each example."""
        return [example.captions for example in self.examples]

    def summary(self) -> str:
        """How many examples and captions there are."""
        return f"{counted(len(self), self.UNIT)} with {counted(sum(map(len, self.captions)), 'caption')}"

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the examples, without what is captioned, one JSON object a line."""


Part = TypeVar("Part", bound=CaptionedExamples[Any])


def split_captioned(parts: dict[str, Part], examples: int, *, seed: int, by_caption: bool = False) -> Splits[Part]:
    """Take a validation part out of the training part where there is none.

    Args:
        parts: train, valid or test, by name.
        examples: about how many are taken out, but never more than a tenth.
        seed: of the choice.
        by_caption: whether examples that share a caption go to one part together, so that what is validated was never
            said in training.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_off_captioned(train, examples, seed=seed, by_caption=by_caption))


def split_off_captioned(captioned: Part, examples: int, *, seed: int, by_caption: bool = False) -> tuple[Part, Part]:
    """Take a random part of the examples out; arguments as of ``split_captioned``.

    Returns:
        What stays, and the part.
    """
    wanted = min(examples, len(captioned) // 10) or 1
    group = _groups(captioned) if by_caption else list(range(len(captioned)))
    rows_of: dict[int, list[int]] = {}
    for row, number in enumerate(group):
        rows_of.setdefault(number, []).append(row)
    if len(rows_of) < 2:
        have = counted(len(captioned), captioned.UNIT)
        raise DataError(f"{captioned.name}: has {have}, too few to keep one for validation")
    numbers = list(rows_of)
    taken: set[int] = set()
    for place in np.random.default_rng((seed, len(captioned))).permutation(len(numbers)).tolist()[:-1]:
        if len(taken) >= wanted:
            break
        taken.update(rows_of[numbers[place]])
    kept = captioned.chosen(row for row in range(len(captioned)) if row not in taken)
    part = captioned.chosen(row for row in range(len(captioned)) if row in taken)
    return kept, replace(part, name=f"{counted(len(part), part.UNIT)} of {captioned.name}")


def _groups(captioned: CaptionedExamples[Any]) -> list[int]:
    """A number for each example, the same for those that share a caption, also by way of others."""
    above = list(range(len(captioned)))

    def top(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    first: dict[str, int] = {}
    for row, captions in enumerate(captioned.captions):
        for caption in captions:
            other = first.setdefault(" ".join(caption.lower().split()), row)
            above[top(row)] = top(other)
    return [top(row) for row in range(len(captioned))]
