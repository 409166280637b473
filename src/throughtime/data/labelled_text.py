"""Texts with their labels, as rows that know where they stood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from throughtime.errors import ArgumentError, DataError, ModelFolderError, check_range
from throughtime.files import write_text


class Example(NamedTuple):
    """A text and its labels.

    Attributes:
        text: as it was read.
        labels: one, or any number where a text may have several or none.
        place: where it stood, such as "reviews.csv:17".
    """

    text: str
    labels: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class LabelledText:
    """Examples in the order in which they were read.

    Attributes:
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
    """

    examples: tuple[Example, ...]
    name: str
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[object], name: str = "texts") -> LabelledText:
        """Make it from two lists; each label is a string or a number, or a list of them.

        Raises:
            ArgumentError: where the lists are of different lengths, or a text is no string.
        """
        if len(texts) != len(labels):
            raise ArgumentError(f"`labels` must be as many as the texts, {len(texts)}, got {len(labels)}")
        examples: list[Example] = []
        for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ArgumentError(f"each of `texts` must be a string, number {number} is {type(text).__name__}")
            several = label if isinstance(label, list | tuple | set | frozenset) else (label,)
            examples.append(Example(text, tuple(map(str, several)), f"{name}[{number}]"))
        return cls(tuple(examples), name)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.examples)

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [example.text for example in self.examples]

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """The labels alone."""
        return [example.labels for example in self.examples]

    def counts(self) -> dict[str, int]:
        """How many examples each label has, in the order of ``label_order``."""
        counts = Counter(label for example in self.examples for label in example.labels)
        return {label: counts[label] for label in label_order(counts)}

    def summary(self) -> str:
        """How many texts there are, and how many of each of the first twelve labels."""
        counts = self.counts()
        shares = ", ".join(f"{label} {count:,}" for label, count in islice(counts.items(), 12))
        more = f", and {len(counts) - 12} more" if len(counts) > 12 else ""
        return f"{len(self):,} texts; {shares}{more}"

    def chosen(self, rows: Iterable[int]) -> LabelledText:
        """These examples alone."""
        return LabelledText(tuple(self.examples[row] for row in rows), self.name)

    def joined(self, *others: LabelledText | None) -> LabelledText:
        """These examples and then the others'."""
        parts = [self, *(other for other in others if other is not None)]
        examples = tuple(example for part in parts for example in part.examples)
        return LabelledText(examples, ", ".join(part.name for part in parts))

    def save(self, path: Path) -> None:
        """Write one JSON object a line."""
        write_text(path, "".join(json.dumps(example._asdict(), ensure_ascii=False) + "\n" for example in self.examples))

    @classmethod
    def load(cls, path: Path, name: str) -> LabelledText:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
            return cls(tuple(Example(row["text"], tuple(row["labels"]), row["place"]) for row in rows), name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error


def label_order(labels: Iterable[str]) -> list[str]:
    """Different labels in order: by number where all are whole numbers, else by the alphabet.

    >>> label_order(["10", "9", "9"]), label_order(["pos", "neg"])
    (['9', '10'], ['neg', 'pos'])
    """
    different = set(labels)
    if all(label.isdecimal() for label in different):
        return sorted(different, key=lambda label: (int(label), label))
    return sorted(different)


def split_off(examples: LabelledText, fraction: float, *, seed: int) -> tuple[LabelledText, LabelledText]:
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
            f"{examples.name}: has {len(examples):,} examples, too few to keep some for validation; "
            "give more, or a validation file"
        )
    rows = range(len(examples))
    return examples.chosen(row for row in rows if row not in taken), examples.chosen(
        row for row in rows if row in taken
    )
