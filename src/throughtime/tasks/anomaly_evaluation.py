"""How well odd steps are found, where it is known which they are; beside a rolling z-score and principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class DetectionRow:
    """What one method says of a set of recordings.

    Attributes:
        model: which.
        threshold: above which a score is odd: the same quantile of the training steps for each method.
        odd: the share of the steps that it calls odd.
        auroc: the probability that an odd step has a higher score than one that isn't; None without labels.
        f1: of the odd steps, at the threshold; None without labels.
        precision: the share of the steps called odd that are.
        recall: the share of the odd steps that are called so.
        events: the share of the odd stretches of which at least one step is called odd.
    """

    model: str
    threshold: float
    odd: float
    auroc: float | None = None
    f1: float | None = None
    precision: float | None = None
    recall: float | None = None
    events: float | None = None


def detection_row(
    model: str, threshold: float, scores: Sequence[Numbers], labels: Sequence[NDArray[np.bool_]] | None
) -> DetectionRow:
    """Judge the scores of each recording.

    Args:
        model: its name.
        threshold: above which a step is called odd.
        scores: shape (time,) each.
        labels: which steps are odd, shape (time,) each; None where nobody says.
    """
    together = np.concatenate(list(scores))
    called = together > threshold
    share = float(called.mean())
    if labels is None:
        return DetectionRow(model, threshold, share)
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score  # noqa: PLC0415 - slow to import

    odd = np.concatenate(list(labels))
    auroc = float(roc_auc_score(odd, together)) if 0 < odd.sum() < len(odd) else None
    without: Any = 0
    figures: Any = precision_recall_fscore_support(odd, called, average="binary", zero_division=without)
    precision, recall, f1 = (float(figure) for figure in figures[:3])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], odd, [False]]).astype(np.int8)))
    events = [bool(called[begin:end].any()) for begin, end in edges.reshape(-1, 2)]
    return DetectionRow(
        model, threshold, share, auroc, f1, precision, recall, float(np.mean(events)) if events else None
    )
