"""How well predicted classes fit the true ones: figures, a table of the classes, confusion and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime.appearance import save_figure

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told.

    Attributes:
        label: its name.
        precision: of the texts that were given the label, the share that have it.
        recall: of the texts that have the label, the share that were given it.
        f1: the harmonic mean of the two.
        examples: texts that have it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    examples: int


@dataclass(frozen=True)
class CalibrationBin:
    """The predictions whose probability lies in one interval.

    Attributes:
        low: the interval's lower end.
        high: its upper end.
        predictions: how many there are.
        confidence: their mean probability; 0 without any.
        accuracy: the share of them that are right.
    """

    low: float
    high: float
    predictions: int
    confidence: float
    accuracy: float


def accuracy(likely: Tensor, targets: Tensor) -> float:
    """The share of texts whose label, or whose labels without exception, are right.

    Args:
        likely: what was predicted, shape (texts,), int64, or (texts, classes), bool.
        targets: what is right, in the same form.
    """
    from sklearn.metrics import accuracy_score  # noqa: PLC0415 - slow to import

    return float(accuracy_score(targets.numpy(), likely.numpy()))


def macro_f1(likely: Tensor, targets: Tensor) -> float:
    """The mean of the F1 of all classes that occur; arguments as of ``accuracy``."""
    from sklearn.metrics import f1_score  # noqa: PLC0415 - slow to import

    # scikit-learn's own annotation says that this is a string.
    without: Any = 0
    return float(f1_score(targets.numpy(), likely.numpy(), average="macro", zero_division=without))


def class_figures(likely: Tensor, targets: Tensor, classes: Sequence[str]) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class; arguments as of ``accuracy``, and the classes' names."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 - slow to import

    without: Any = 0
    table: Any = precision_recall_fscore_support(
        targets.numpy(), likely.numpy(), labels=list(range(len(classes))), zero_division=without
    )
    return tuple(
        ClassFigures(label, float(precision), float(recall), float(f1), int(count))
        for label, precision, recall, f1, count in zip(classes, *table, strict=True)
    )


def confusion(likely: Tensor, targets: Tensor, classes: int) -> list[list[int]]:
    """How many texts of each class (row) were given each (column); for texts with one label each."""
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415 - slow to import

    return confusion_matrix(targets.numpy(), likely.numpy(), labels=list(range(classes))).tolist()


def calibration(probabilities: Tensor, targets: Tensor) -> tuple[CalibrationBin, ...]:
    """Whether predictions are as often right as their probabilities say, in ten intervals (Guo et al. 2017).

    Where a text has one label, its prediction is the likeliest class; where it may have several, each class is one:
    it is there, or it is not.

    Args:
        probabilities: shape (texts, classes).
        targets: shape (texts,), int64, or (texts, classes), bool.
    """
    if targets.ndim == 1:
        confidences, chosen = probabilities.max(-1)
        right = chosen == targets
    else:
        confidences = torch.maximum(probabilities, 1 - probabilities).flatten()
        right = ((probabilities >= 0.5) == targets).flatten()
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    places = np.clip(np.digitize(confidences.numpy(), edges[1:-1], right=True), 0, CALIBRATION_BINS - 1)
    bins: list[CalibrationBin] = []
    for place in range(CALIBRATION_BINS):
        here = torch.from_numpy(places == place)
        count = int(here.sum())
        confidence, share = (
            (float(confidences[here].double().mean()), float(right[here].double().mean())) if count else (0.0, 0.0)
        )
        bins.append(CalibrationBin(float(edges[place]), float(edges[place + 1]), count, confidence, share))
    return tuple(bins)


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The mean distance between probability and accuracy of the intervals, weighted by their predictions."""
    total = sum(one.predictions for one in bins)
    return sum(one.predictions * abs(one.confidence - one.accuracy) for one in bins) / max(total, 1)


def plot_confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix into a PNG file; the colour is the share of the row."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(3.0, 0.55 * len(classes) + 1.5), 20.0)
    figure = Figure(figsize=(side, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90 if len(classes) > 6 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= 30:
        for row, column in np.ndindex(counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "#333333"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=8)
    save_figure(figure, path)
