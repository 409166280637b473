"""``throughtime classify``: train, evaluate, predict."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from throughtime.commands import STANDARD_INPUT
from throughtime.commands.classification_results import print_evaluation, print_prediction
from throughtime.commands.results import given_paths, print_json, training_result
from throughtime.data import LabelledText, read_text_file, sample_reviews
from throughtime.errors import ArgumentError
from throughtime.tasks.classification_evaluation import summary
from throughtime.tasks.classification_figures import plot_confusion
from throughtime.tasks.cross_validation import cross_validate
from throughtime.tasks.text_classification import Settings
from throughtime.tasks.text_classifier import Explanation, Prediction, TextClassifier
from throughtime.training import Display, keep_freed_memory

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
ClassifierSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE_EPOCHS = 12.0
TEXTS_AT_ONCE = 64


def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    folds: int | None = None,
    quiet: bool = False,
    json: bool = False,
    settings: ClassifierSettings = DEFAULTS,
) -> int:
    """Train a classifier on labelled texts and write a model folder.

    Data: CSV, TSV or JSONL with columns, lines with __label__ or with the label first, a file or a folder for each
    class, also .gz. Files or folders named train, valid and test are those parts; else a tenth is for validation.

    Args:
        data: Files, folders, or - for standard input.
        output: The model folder to write; needed but for --folds.
        sample: Learn from generated reviews.
        resume: Go on with the run in the output folder.
        folds: Cross-validate instead: train so many times, each time judged on a part that was not learned from.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    if sample and data:
        raise ArgumentError("give data or --sample, not both")
    begins = not (resume and output is not None and (output / "config.json").exists())
    sources: Sequence[LabelledText | Path] = [sample_reviews()] if sample and begins else given_paths(data)
    if sample and begins and settings.epochs is settings.steps is settings.time_budget is None:
        settings = settings.replaced(epochs=SAMPLE_EPOCHS)
    if folds is not None:
        if output is not None or resume:
            raise ArgumentError("--folds trains models that are not kept; leave out --output and --resume")
        return _cross_validate(sources, settings, folds, quiet=quiet, json=json)
    if output is None:
        raise ArgumentError("give --output, the model folder to write, or --folds to cross-validate")
    model = TextClassifier.train(sources, settings, output=output, resume=resume, display=Display(quiet=quiet))
    if not model.is_main:
        return 0
    evaluation = model.evaluate()
    if json:
        print_json(training_result(model.folder, summary(evaluation)))
        return 0
    print_evaluation(evaluation, "validation", unit="texts")
    print(f"\nThe model is in {output}; go on with: throughtime classify predict {output} 'a text'")
    return 0


def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    baselines: bool = True,
    figure: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a model classifies, beside the most frequent class and TF-IDF with logistic regression.

    Args:
        model: The model folder.
        data: Files, folders, or - for standard input; a part of the model's own data by default.
        text_column: The column of the text; that of the training data by default.
        label_column: The column of the label.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        baselines: Whether to learn what stands beside the model.
        figure: A PNG file to draw the confusion matrix into.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    loaded = TextClassifier.load(model, device=device)
    if figure is not None and loaded.targets.multi_label:
        raise ArgumentError("--figure needs a model of texts with one label each, and this one may give several")
    used = loaded.settings.columns
    columns = replace(used, text=text_column or used.text, label=label_column or used.label)
    evaluation = loaded.evaluate(*given_paths(data), part=part, columns=columns, baselines=baselines)
    if figure is not None and evaluation.confusion is not None:
        plot_confusion(evaluation.confusion, loaded.targets.classes, figure)
    if json:
        print_json(summary(evaluation))
    else:
        print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation", unit="texts")
    return 0


def predict(
    model: Path,
    *text: str,
    file: Path | None = None,
    explain: bool = False,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Give the label and the probabilities of texts.

    Without a text or a file, standard input is read and answered line by line.

    Args:
        model: The model folder.
        text: The texts.
        file: A file with a text on each line.
        explain: Show what each word does to the prediction.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    if text and file is not None:
        raise ArgumentError("give texts or --file, not both")
    loaded = TextClassifier.load(model, device=device)
    at_once = 1
    if file is not None:
        lines, at_once = iter(read_text_file(file, loaded.settings.encoding).text.split("\n")), TEXTS_AT_ONCE
    elif text and text != (STANDARD_INPUT,):
        lines, at_once = iter(text), TEXTS_AT_ONCE
    else:
        lines = (line.rstrip("\n") for line in sys.stdin)
    texts = (line for line in lines if line.strip())
    for some in _some(texts, at_once):
        for one, prediction in zip(some, loaded.predict(some), strict=True):
            explanation = loaded.explain(one) if explain else None
            _print_prediction(one, prediction, explanation, json=json)
    return 0


def _some(texts: Iterator[str], count: int) -> Iterator[list[str]]:
    while some := list(islice(texts, count)):
        yield some


def _cross_validate(
    sources: Sequence[LabelledText | Path], settings: Settings, folds: int, *, quiet: bool, json: bool
) -> int:
    if not sources:
        raise ArgumentError("there are no texts to learn from; give a file or folder of labelled texts, or --sample")
    found = cross_validate(sources, settings, folds, display=Display(quiet=quiet))
    if json:
        print_json(asdict(found))
        return 0
    table = Table(title=f"{folds}-fold cross-validation", title_justify="left")
    table.add_column("fold", justify="right")
    for row in found.rows:
        table.add_column(row.model, justify="right")
    for number, fold in enumerate(found.folds, start=1):
        table.add_row(str(number), *(f"{row.accuracy:.1%}" for row in fold.rows), end_section=number == folds)
    table.add_row("mean", *(f"[bold]{row.accuracy:.2%}[/]" for row in found.rows))
    table.caption = f"accuracy; standard deviation of the model's over the folds {found.deviation:.2%}"
    Console(highlight=False).print(table)
    return 0


def _print_prediction(text: str, prediction: Prediction, explanation: Explanation | None, *, json: bool) -> None:
    if json:
        content = {"text": text, "labels": prediction.labels, "probabilities": prediction.probabilities}
        if explanation is not None:
            content["explanation"] = asdict(explanation)
        print(dumps(content, ensure_ascii=False), flush=True)
        return
    print_prediction(prediction.labels, prediction.probabilities)
    if explanation is not None:
        _print_explanation(explanation)


def _print_explanation(explanation: Explanation) -> None:
    """The words, green where they speak for the class and red where against it, and the strongest as numbers."""
    console = Console(highlight=False)
    line = Text("  ")
    largest = max(abs(one.change) for one in explanation.contributions) or 1.0
    for one in explanation.contributions:
        strength = abs(one.change) / largest
        colour = "green" if one.change > 0 else "red"
        line.append(one.word, style=f"bold {colour}" if strength > 0.5 else colour if strength > 0.15 else "")
        line.append(" ")
    console.print(line)
    strongest = sorted(explanation.contributions, key=lambda one: -abs(one.change))[:8]
    shown = "  ".join(f"{one.word} {one.change:+.2f}" for one in strongest)
    console.print(f"  log-odds of {explanation.label}, by which word: {shown}", markup=False, soft_wrap=True)
