"""What stands beside a classifier of numeric sequences and needs no network: logistic regression."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import LabelledSequences
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import most_frequent

MOST_EXAMPLES = 10_000
MOST_FEATURES = 2_000


def beside_sequences(train: LabelledSequences, examples: LabelledSequences, targets: ClassTargets) -> dict[str, Tensor]:
    """The most frequent class, and logistic regression.

    The regression reads all numbers of a sequence where all sequences are equally long and not too long, else what
    sums up each channel: its mean, deviation, smallest, largest, first and last number, and how much it moves from step
    to step; and the length.

    Args:
        train: what the classifier learned from.
        examples: to predict for.
        targets: the classes.
    """
    lengths = np.unique(np.concatenate([train.sequences.lengths, examples.sequences.lengths]))
    is_flat = len(lengths) == 1 and int(lengths[0]) * len(train.channels) <= MOST_FEATURES
    of = _flat if is_flat else _summed_up
    learned = train
    if len(train) > MOST_EXAMPLES:
        chosen = np.random.default_rng(0).choice(len(train), MOST_EXAMPLES, replace=False)
        learned = train.chosen(sorted(chosen.tolist()))
    what = "all numbers" if is_flat else "summary statistics"
    fewer = f", {len(learned):,} sequences" if len(learned) < len(train) else ""
    return {
        "most frequent class": most_frequent(train, len(examples), targets),
        f"logistic regression ({what}{fewer})": _predicted(of(learned), of(examples), learned, targets),
    }


def _flat(examples: LabelledSequences) -> npt.NDArray[np.float32]:
    return np.stack([example.values.ravel() for example in examples.examples]).astype(np.float32)


def _summed_up(examples: LabelledSequences) -> npt.NDArray[np.float32]:
    return np.stack([_summary(example.values.astype(np.float32)) for example in examples.examples])


def _summary(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    moves = np.abs(np.diff(values, axis=0)).mean(axis=0) if len(values) > 1 else np.zeros_like(values[0])
    numbers = (values.mean(0), values.std(0), values.min(0), values.max(0), values[0], values[-1], moves)
    return np.concatenate([*numbers, [len(values)]]).astype(np.float32)


def _predicted(
    learned: npt.NDArray[np.float32], asked: npt.NDArray[np.float32], train: LabelledSequences, targets: ClassTargets
) -> Tensor:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    regression: Any = LogisticRegression(C=0.1, max_iter=200)
    if targets.multi_label:
        regression = OneVsRestClassifier(regression)
    model: Any = make_pipeline(StandardScaler(), regression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that all or no examples have, and of not quite having converged
        model.fit(learned, targets.encode(train).long().numpy())
        predicted = torch.from_numpy(np.asarray(model.predict(asked)))
    return predicted.bool() if targets.multi_label else predicted
