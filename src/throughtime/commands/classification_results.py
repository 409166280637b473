"""How well a classifier does, as tables in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from throughtime.errors import counted
from throughtime.tasks.classification_evaluation import Evaluation, EvaluationRow

MOST_SHOWN = 20


def print_prediction(labels: Sequence[str], probabilities: Mapping[str, float], *, before: str = "") -> None:
    """Print what was predicted, and the five likeliest classes, after what is to stand before it."""
    ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])[:5]
    shown = "  ".join(f"{label} {probability:.1%}" for label, probability in ranked)
    print(f"{before}{', '.join(labels) or '(none)'}\t{shown}", flush=True)


def print_evaluation(evaluation: Evaluation, title: str, *, unit: str) -> None:
    """Print the table of the models, that of the classes, the confusion matrix and the calibration.

    Args:
        evaluation: what to print.
        title: what was classified.
        unit: what one example is.
    """
    console = Console(highlight=False)
    table = Table(title=f"{title}: {counted(evaluation.examples, unit)}", title_justify="left")
    table.add_column("model")
    for column in ("accuracy", "macro F1"):
        table.add_column(column, justify="right")
    for row in evaluation.rows:
        table.add_row(row.model, f"{row.accuracy:.2%}", f"{row.macro_f1:.4f}")
    if len(evaluation.rows) == 1:
        table.caption = "nothing beside it: it would be learned from the model folder's tokens/train.jsonl"
    console.print(table)
    remark = _verdict(evaluation.rows)
    if remark:
        console.print(remark)
    _print_classes(console, evaluation, unit)
    console.print(
        f"calibration: the probabilities are off by {evaluation.calibration_error:.1%} on average "
        "(expected calibration error)"
    )


def _verdict(rows: Sequence[EvaluationRow]) -> str | None:
    better = [row.model for row in rows[1:] if row.accuracy > rows[0].accuracy]
    return f"{better[-1]} has the better accuracy here" if better else None


def _print_classes(console: Console, evaluation: Evaluation, unit: str) -> None:
    table = Table(title="classes", title_justify="left")
    table.add_column("class")
    for column in ("precision", "recall", "F1", f"{unit}s"):
        table.add_column(column, justify="right")
    for one in evaluation.classes:
        table.add_row(one.label, f"{one.precision:.1%}", f"{one.recall:.1%}", f"{one.f1:.4f}", f"{one.examples:,}")
    console.print(table)
    if evaluation.confusion is None or len(evaluation.classes) > MOST_SHOWN:
        return
    matrix = Table(title=f"confusion: what the {unit}s of each class (row) were taken for", title_justify="left")
    matrix.add_column("class")
    for one in evaluation.classes:
        matrix.add_column(one.label, justify="right")
    for one, counts in zip(evaluation.classes, evaluation.confusion, strict=True):
        matrix.add_row(one.label, *(f"{count:,}" for count in counts))
    console.print(matrix)
