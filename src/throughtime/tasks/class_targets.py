"""Labels as numbers, and scores as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.data import LabelledExamples, label_order
from throughtime.errors import ArgumentError, DataError

LIKELY = 0.5


@dataclass(frozen=True)
class ClassTargets:
    """The classes of a classifier.

    Attributes:
        classes: their names, in the order of the scores.
        multi_label: whether an example may have several, or none.
    """

    classes: tuple[str, ...]
    multi_label: bool = False

    @classmethod
    def of(
        cls, train: LabelledExamples[Any], others: Sequence[LabelledExamples[Any]], *, multi_label: bool
    ) -> ClassTargets:
        """The classes of the training examples.

        Args:
            train: what is learned from.
            others: the other parts of the data.
            multi_label: whether an example may have several labels, or none.

        Raises:
            DataError: naming file and line, where an example has several labels unasked, there are fewer than two
                classes (or none at all), or another part has a class that the training part doesn't have.
        """
        for part in (train, *others):
            for example in part.examples:
                if len(example.labels) != 1 and not multi_label:
                    several = ", ".join(example.labels) or "none"
                    raise DataError(
                        f"{example.place}: must have one label, has {len(example.labels)} ({several}); "
                        f"{part.UNIT}s with several or none need --multi-label"
                    )
        classes = tuple(label_order(label for labels in train.labels for label in labels))
        if len(classes) < (1 if multi_label else 2):
            only = f"all {len(train):,} examples are labelled {classes[0]!r}" if classes else "no example has a label"
            raise DataError(f"{train.name}: {only}; there must be two classes at least to tell apart")
        found = cls(classes, multi_label)
        for part in others:
            found.encode(part)
        return found

    def encode(self, examples: LabelledExamples[Any]) -> Tensor:
        """The examples' classes: shape (examples,), int64; where several are allowed (examples, classes), bool.

        Raises:
            DataError: naming file and line, where there is a label that the training examples don't have, or none
                where each needs one.
        """
        index = {label: number for number, label in enumerate(self.classes)}
        for example in examples.examples:
            if not example.labels and not self.multi_label:
                raise DataError(
                    f"{example.place}: has no label to compare with; each of the {examples.UNIT}s needs one"
                )
            for label in example.labels:
                if label not in index:
                    known = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
                    raise DataError(f"{example.place}: the label {label!r} is not among the training data's: {known}")
        if not self.multi_label:
            return torch.tensor([index[example.labels[0]] for example in examples.examples], dtype=torch.int64)
        there = torch.zeros(len(examples), len(self.classes), dtype=torch.bool)
        for row, example in enumerate(examples.examples):
            for label in example.labels:
                there[row, index[label]] = True
        return there

    def weights(self, spoken: str | None, targets: Tensor) -> Tensor | None:
        """How much each class counts in the loss, shape (classes,); None where all count alike.

        Args:
            spoken: "balanced", where each class counts as much as any other however many examples it has: examples /
                (classes * examples of the class), of which the yes is weighted by no / yes where several labels are
                allowed; or "spam=3,ham=1", where classes that are left out count 1.
            targets: of the training examples.

        Raises:
            ArgumentError: where a class isn't known or a weight isn't a positive number.
        """
        if spoken is None:
            return None
        if spoken == "balanced":
            if self.multi_label:
                there = targets.sum(0).clamp(min=1)
                return ((len(targets) - there).clamp(min=1) / there).float()
            counts = torch.bincount(targets, minlength=len(self.classes))
            return (len(targets) / (len(self.classes) * counts)).float()
        given = parse_class_weights(spoken)
        for label in given:
            if label not in self.classes:
                raise ArgumentError(f"`class_weights` has the class {label!r}; there are {', '.join(self.classes)}")
        return torch.tensor([given.get(label, 1.0) for label in self.classes])

    def probabilities(self, scores: Tensor) -> Tensor:
        """From scores of shape (batch, classes) to probabilities, each on its own where several are allowed."""
        precise = scores.float()
        return precise.sigmoid() if self.multi_label else precise.softmax(-1)

    def likely(self, probabilities: Tensor) -> Tensor:
        """What is likeliest, in the form of ``encode``: the class; or each that is likelier than not."""
        return probabilities >= LIKELY if self.multi_label else probabilities.argmax(-1)

    def names(self, likely: Tensor) -> list[tuple[str, ...]]:
        """The labels of the rows of ``encode`` or ``likely``."""
        if not self.multi_label:
            return [(self.classes[number],) for number in likely.tolist()]
        return [tuple(self.classes[number] for number in row.nonzero()[:, 0].tolist()) for row in likely]


def checked_class_weights(text: str) -> str:
    """Give class weights as they are spoken back, or raise ArgumentError where they can't be read."""
    if text != "balanced":
        parse_class_weights(text)
    return text


def parse_class_weights(text: str) -> Mapping[str, float]:
    """Read class weights.

    >>> parse_class_weights("spam=3, ham=0.5")
    {'spam': 3.0, 'ham': 0.5}

    Raises:
        ArgumentError: where the text is not a list of class=weight, with positive weights.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        label, equals, number = part.strip().rpartition("=")
        try:
            weights[label] = float(number)
        except ValueError:
            equals = ""
        if not equals or not 0 < weights[label] < float("inf"):
            raise ArgumentError(f"class weights are 'balanced', or written like spam=3,ham=1, got {text!r}")
    return weights
