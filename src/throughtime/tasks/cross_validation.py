"""k-fold cross-validation of a classifier: trained k times, each time judged on a part that it hasn't seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from throughtime.data import LabelledExamples
from throughtime.errors import ArgumentError, DataError, counted
from throughtime.tasks.classification import LabelSettings
from throughtime.tasks.classification_evaluation import Evaluation, EvaluationRow
from throughtime.tasks.classifiers import AnyClassifier
from throughtime.training import Display, Processes


@dataclass(frozen=True)
class CrossValidation:
    """What cross-validation found.

    Attributes:
        folds: the evaluation of each fold.
        rows: the means over the folds, of the model and of what stands beside it.
        deviation: the standard deviation of the model's accuracy over the folds.
    """

    folds: tuple[Evaluation, ...]
    rows: tuple[EvaluationRow, ...]
    deviation: float


def cross_validate(
    classifier: AnyClassifier,
    sources: Sequence[LabelledExamples[Any] | Path | str],
    settings: LabelSettings,
    folds: int,
    *,
    display: Display | None = None,
    baselines: bool = True,
) -> CrossValidation:
    """Train and judge a classifier ``folds`` times.

    The examples, without those of a test part, are dealt out at random so that each class has the same share of all
    folds. What a fold's model learns from are the others', less the validation part that decides on its weights.

    Args:
        classifier: of texts or of sequences of numbers.
        sources: files, folders, or labelled examples.
        settings: of each model.
        folds: how many, at least 2.
        display: shows progress.
        baselines: whether the other models are learned and shown.

    Raises:
        ArgumentError: for fewer than 2 folds, or where several processes were started.
        DataError: where the data can't be used, or a class has fewer examples than there are folds.
    """
    if folds < 2:
        raise ArgumentError(f"`folds` must be at least 2, got {folds}")
    if (count := Processes.join(settings.device).count) > 1:
        raise ArgumentError(
            f"cross-validation runs in one process, and {count} were started; start it without torchrun"
        )
    reader: Any = classifier
    parts: dict[str, LabelledExamples[Any]] = reader.read(sources, settings)
    if "train" not in parts:
        names = ", ".join(part.name for part in parts.values())
        raise DataError(f"{names}: there is no training part to take folds of")
    examples = parts["train"].joined(parts["valid"]) if "valid" in parts else parts["train"]
    deal = deal_out(examples, folds, seed=settings.seed)
    shown = display or Display(quiet=True)
    for remark in parts["train"].remarks:
        shown.line(remark)
    evaluations: list[Evaluation] = []
    for fold in range(folds):
        train = examples.chosen(np.flatnonzero(deal != fold).tolist())
        held_out = examples.chosen(np.flatnonzero(deal == fold).tolist())
        with TemporaryDirectory(prefix="throughtime-", ignore_cleanup_errors=True) as scratch:
            model = reader.train([train], settings, output=Path(scratch) / "model", display=Display(quiet=True))
            evaluations.append(model.evaluate(held_out, baselines=baselines))
        figures = "  ".join(f"{row.model}: {row.accuracy:.2%}" for row in evaluations[-1].rows)
        shown.line(f"fold {fold + 1} of {folds}: {figures}")
    accuracies = [evaluation.rows[0].accuracy for evaluation in evaluations]
    rows = tuple(
        EvaluationRow(
            same[0].model,
            float(np.mean([row.accuracy for row in same])),
            float(np.mean([row.macro_f1 for row in same])),
        )
        for same in zip(*(evaluation.rows for evaluation in evaluations), strict=True)
    )
    return CrossValidation(tuple(evaluations), rows, float(np.std(accuracies, ddof=1)))


def deal_out(examples: LabelledExamples[Any], folds: int, *, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The fold of each example, from 0, shape (examples,): each class is spread evenly, by its first label.

    Raises:
        DataError: where a class has fewer examples than there are folds.
    """
    for label, count in examples.counts().items():
        if count < folds:
            raise DataError(
                f"{examples.name}: the class {label!r} has {counted(count, 'example')}, fewer than the {folds} folds; "
                "give fewer folds or more examples"
            )
    order: list[int] = np.random.default_rng(seed).permutation(len(examples)).tolist()
    first = [next(iter(labels), "") for labels in examples.labels]
    by_class = sorted(order, key=first.__getitem__)
    fold = np.empty(len(examples), dtype=np.int64)
    fold[by_class] = np.arange(len(examples)) % folds
    return fold
