"""How well a classifier tells the classes of examples, always beside what needs no network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from throughtime.data import LabelledExamples, LabelledText
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_figures import (
    CalibrationBin,
    ClassFigures,
    accuracy,
    calibration,
    class_figures,
    confusion,
    expected_calibration_error,
    macro_f1,
)


@dataclass(frozen=True)
class EvaluationRow:
    """How well one model tells the classes.

    Attributes:
        model: which.
        accuracy: share of the examples whose label, or whose labels without exception, are right.
        macro_f1: mean of the classes' F1.
    """

    model: str
    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a classifier on labelled examples.

    Attributes:
        examples: how many there are.
        rows: the model's, then those of the most frequent class and of a model without a network (of texts TF-IDF with
            logistic regression), learned from the model's training examples; without these the model's alone.
        classes: how well each class is told.
        confusion: how many examples of each class (row) were given each (column); None where an example may have
            several labels.
        calibration: whether predictions are as often right as their probabilities say.
        calibration_error: the expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
    """

    examples: int
    rows: tuple[EvaluationRow, ...]
    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]] | None
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float


def evaluate_probabilities(
    probabilities: Tensor,
    examples: LabelledExamples[Any],
    targets: ClassTargets,
    *,
    name: str,
    beside: Mapping[str, Tensor],
) -> Evaluation:
    """Compare a model's probabilities with the labels.

    Args:
        probabilities: shape (examples, classes).
        examples: with their labels.
        targets: the classes.
        name: of the model, for its row.
        beside: what else predicts, by name: predictions in the form of ``ClassTargets.encode``.

    Raises:
        DataError: where a label is not among the classes.
    """
    right = targets.encode(examples)
    likely = targets.likely(probabilities)
    predictions = {name: likely, **beside}
    bins = calibration(probabilities, right)
    return Evaluation(
        len(examples),
        tuple(EvaluationRow(model, accuracy(own, right), macro_f1(own, right)) for model, own in predictions.items()),
        class_figures(likely, right, targets.classes),
        None if targets.multi_label else confusion(likely, right, len(targets.classes)),
        bins,
        expected_calibration_error(bins),
    )


def beside_texts(train: LabelledText | None, texts: Sequence[str], targets: ClassTargets) -> dict[str, Tensor]:
    """What stands beside a classifier of texts: the most frequent class, and logistic regression on TF-IDF.

    Args:
        train: what the classifier learned from; without it nothing stands beside.
        texts: to predict for.
        targets: the classes.
    """
    if train is None:
        return {}
    return {
        "most frequent class": most_frequent(train, len(texts), targets),
        "TF-IDF + logistic regression": tfidf_predictions(train, texts, targets),
    }


def most_frequent(train: LabelledExamples[Any], count: int, targets: ClassTargets) -> Tensor:
    """Predict for each example what most training examples have: their most frequent class, or set of labels.

    Returns:
        The predictions, in the form of ``ClassTargets.encode``.
    """
    encoded = targets.encode(train)
    values, counts = encoded.unique(dim=0, return_counts=True)
    return values[counts.argmax()].expand(count, *values.shape[1:])


def tfidf_predictions(train: LabelledText, texts: Sequence[str], targets: ClassTargets) -> Tensor:
    """Predict by logistic regression on TF-IDF of words and of pairs of words, as scikit-learn has them.

    Returns:
        The predictions, in the form of ``ClassTargets.encode``.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow to import
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    # Single letters and punctuation are words too, so that no text is without any.
    words = r"\w+|[^\w\s]"
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=words)
    regression: Any = LogisticRegression(C=10, max_iter=1000)
    if targets.multi_label:
        regression = OneVsRestClassifier(regression)
    model: Any = make_pipeline(features, regression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that all or no examples have
        model.fit(train.texts, targets.encode(train).long().numpy())
        predicted = torch.from_numpy(np.asarray(model.predict(list(texts))))
    return predicted.bool() if targets.multi_label else predicted


def summary(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values, for JSON."""
    return asdict(evaluation)
