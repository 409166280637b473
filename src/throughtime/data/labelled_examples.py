"""Examples with labels, whatever an example is: a text, a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from throughtime.data.examples import Examples, Placed
from throughtime.errors import DataError, check_range, counted


class Labelled(Placed, Protocol):
    """An example that has labels and knows where it stood."""

    @property
    def labels(self) -> tuple[str, ...]:
        """One, or any number where an example may have several or none."""
        ...


ExampleT = TypeVar("ExampleT", bound=Labelled)


@dataclass(frozen=True)
class LabelledExamples(Examples[ExampleT], Generic[ExampleT]):
    """Examples with labels; the attributes are those of all ``Examples``."""

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """The labels alone."""
        return [example.labels for example in self.examples]

    def counts(self) -> dict[str, int]:
        """How many examples each label has, in the order of ``label_order``."""
        counts = Counter(label for example in self.examples for label in example.labels)
        return {label: counts[label] for label in label_order(counts)}

    def summary(self) -> str:
        """How many examples there are, and how many of each of the first twelve labels."""
        counts = self.counts()
        shares = ", ".join(f"{label} {count:,}" for label, count in islice(counts.items(), 12))
        more = f", and {len(counts) - 12} more" if len(counts) > 12 else ""
        return f"{counted(len(self), self.UNIT)}; {shares}{more}"


Part = TypeVar("Part", bound=LabelledExamples[Any])


def label_order(labels: Iterable[str]) -> list[str]:
    """Different labels in order: by number where all are whole numbers, else by the alphabet.

    >>> label_order(["10", "9", "9"]), label_order(["pos", "neg"])
    (['9', '10'], ['neg', 'pos'])
    """
    different = set(labels)
    if all(label.isdecimal() for label in different):
        return sorted(different, key=lambda label: (int(label), label))
    return sorted(different)


def split_off(examples: Part, fraction: float, *, seed: int) -> tuple[Part, Part]:
    """Take a random part of the examples out, so that each class has the same share of both parts.

    The first of several labels is what counts here. At least one example of each class stays.

    Args:
        examples: what to split.
        fraction: the part's share, between 0 and 1.
        seed: of the choice.

    Returns:
        What stays, and the part.

    Raises:
        ArgumentError: where the fraction is not between 0 and 1.
        DataError: where there are too few examples to take one out.
    """
    check_range("fraction", fraction, low=0, high=1, low_open=True, high_open=True)
    order = np.random.default_rng(seed).permutation(len(examples)).tolist()
    by_class: dict[str, list[int]] = {}
    for row in order:
        by_class.setdefault(next(iter(examples.examples[row].labels), ""), []).append(row)
    taken: set[int] = set()
    owed = 0.5
    for label in sorted(by_class):
        rows = by_class[label]
        owed += fraction * len(rows)
        share = min(int(owed), len(rows) - 1)
        owed -= share
        taken.update(rows[:share])
    if not taken:
        raise DataError(
            f"{examples.name}: has {counted(len(examples), 'example')}, too few to keep some for validation; "
            "give more, or a validation file"
        )
    rows = range(len(examples))
    return examples.chosen(row for row in rows if row not in taken), examples.chosen(
        row for row in rows if row in taken
    )
