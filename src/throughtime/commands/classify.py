"""``throughtime classify``: train, evaluate, predict."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from throughtime.appearance import check_figure_file
from throughtime.commands import STANDARD_INPUT
from throughtime.commands.classification_results import print_evaluation, print_prediction
from throughtime.commands.results import check_columns_have_data, given_paths, print_json
from throughtime.commands.standard_input import some_lines, standard_input_lines
from throughtime.commands.training_runs import Output, for_sample, goes_on, tell_training
from throughtime.data import find_sequences, read_text_file, sample_gestures, sample_reviews
from throughtime.errors import ArgumentError, ThroughTimeError, data_error
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks import sequence_classification, text_classification
from throughtime.tasks.classification_evaluation import summary
from throughtime.tasks.classification_figures import plot_confusion
from throughtime.tasks.classifier import Prediction
from throughtime.tasks.classifiers import AnyClassifier, classifier_for, load_classifier
from throughtime.tasks.cross_validation import cross_validate
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import Explanation, TextClassifier
from throughtime.training import Display, ModelFolder


class EitherSettings(text_classification.Settings, sequence_classification.Settings):
    """The settings of both classifiers; those of one alone are refused where the data is for the other."""


DEFAULTS = EitherSettings()
SAMPLE_EPOCHS = 12.0
TEXTS_AT_ONCE = 64


def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    sample_sequences: bool = False,
    resume: bool = False,
    folds: int | None = None,
    quiet: bool = False,
    json: bool = False,
    settings: Annotated[EitherSettings, Parameter(name="*")] = DEFAULTS,
) -> int:
    """Train a classifier on labelled texts or sequences of numbers, and write a model folder.

    Texts: CSV, TSV or JSONL with columns, lines with __label__ or with the label first, a file or a folder for each
    class, also .gz. Sequences: NPZ, JSONL with lists of numbers, tables with a row for each step or for each sequence,
    IDX pictures, read row by row. Files or folders named train, valid and test are those parts; else a tenth is for
    validation.

    Args:
        data: Files, folders, or - for standard input (texts).
        output: The model folder to write; needed but for --folds.
        sample: Learn from generated reviews.
        sample_sequences: Learn from generated gestures.
        resume: Go on with the run in the output folder.
        folds: Cross-validate instead: train so many times, each time judged on a part that was not learned from.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    samples = [make for asked, make in ((sample, sample_reviews), (sample_sequences, sample_gestures)) if asked]
    if len(samples) + bool(data) > 1:
        raise ArgumentError(
            "give data or --sample, not both" if data else "give one of --sample and --sample-sequences"
        )
    begins = not goes_on(output, resume=resume)
    sources: Sequence[Any] = [samples[0]()] if samples and begins else given_paths(data)
    classifier = classifier_for(sources, settings.sequence_columns) if begins or output is None else _kind_of(output)
    own = _own_settings(settings, classifier)
    if samples and begins:
        own = for_sample(own, {"epochs": SAMPLE_EPOCHS})
    if folds is not None:
        if output is not None or resume:
            raise ArgumentError("--folds trains models that are not kept; leave out --output and --resume")
        return _cross_validate(classifier, sources, own, folds, quiet=quiet, json=json)
    if output is None:
        raise ArgumentError("give --output, the model folder to write, or --folds to cross-validate")
    model = classifier.train(sources, own, output=output, resume=resume, display=Display(quiet=quiet))
    example = "'a text'" if classifier is TextClassifier else "DATA"
    return tell_training(
        model,
        model.evaluate,
        summary,
        partial(print_evaluation, title="validation", unit=_unit(classifier)),
        json=json,
        go_on=f"classify predict {output} {example}",
    )


def _kind_of(folder: Path) -> AnyClassifier:
    task = ModelFolder(folder).read_config()["task"]
    return SequenceClassifier if task == SequenceClassifier.TASK else TextClassifier


def _unit(classifier: AnyClassifier) -> str:
    return "text" if classifier is TextClassifier else "sequence"


def _own_settings(settings: EitherSettings, classifier: AnyClassifier) -> Any:
    """What was set, as the settings of the classifier that the data asks for."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    for name in given:
        if name not in classifier.SETTINGS.model_fields:
            other = "texts" if classifier is SequenceClassifier else "sequences of numbers"
            raise ArgumentError(
                f"`{name}` is for {other}, and the data is taken for {_unit(classifier)}s; leave it out, or say by "
                "--id-column or --text-column where the table has what"
            )
    return classifier.SETTINGS.of(given)


def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    baselines: bool = True,
    figure: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a model classifies, beside the most frequent class and logistic regression.

    Args:
        model: The model folder.
        data: Files, folders, or - for standard input; a part of the model's own data by default.
        text_column: The column of the text; that of the training data by default.
        label_column: The column of the label.
        id_column: The column that says to which sequence a row belongs.
        time_column: The column that the rows of a sequence are sorted by.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        baselines: Whether to learn what stands beside the model.
        figure: A PNG, SVG or PDF file to draw the confusion matrix into.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    if figure is not None:
        check_figure_file(figure)
    loaded: Any = load_classifier(model, device=device)
    if figure is not None and loaded.targets.multi_label:
        raise ArgumentError("--figure needs a model of examples with one label each, and this one may give several")
    columns = {"text_column": text_column, "label_column": label_column, "id_column": id_column,
               "time_column": time_column}  # fmt: skip
    check_columns_have_data(data, **columns)
    given = {name: column for name, column in columns.items() if column is not None}
    for name in given:
        if name not in type(loaded.settings).model_fields:
            raise ArgumentError(f"this is a model of {_unit(type(loaded))}s, which have no `{name}`")
    evaluation = loaded.evaluate(
        *given_paths(data), part=part, settings=loaded.settings.replaced(**given), baselines=baselines
    )
    if figure is not None and evaluation.confusion is not None:
        plot_confusion(evaluation.confusion, loaded.targets.classes, figure)
    if json:
        print_json(summary(evaluation))
    else:
        print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation", unit=_unit(type(loaded)))
    return 0


def predict(
    model: Path,
    *text: str,
    file: Path | None = None,
    explain: bool = False,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Give the label and the probabilities of texts, or of sequences of numbers.

    Without a text or a file, standard input is read and answered line by line: a text, or a JSON list of numbers.

    Args:
        model: The model folder.
        text: The texts; for a model of sequences, files of any kind that it can be trained on, labels not needed.
        file: A file with a text on each line; or one of sequences.
        explain: Show what each word does to the prediction (texts).
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    if text and file is not None:
        raise ArgumentError("give texts or --file, not both")
    loaded = load_classifier(model, device=device)
    asks_standard_input = (not text and file is None) or text == (STANDARD_INPUT,)
    if isinstance(loaded, SequenceClassifier):
        if explain:
            raise ArgumentError("--explain shows what each word does, and this is a model of sequences of numbers")
        files = [] if asks_standard_input else [Path(path) for path in text or (str(file),)]
        for place, prediction in _of_sequences(loaded, files):
            _print_prediction("sequence", place, prediction, None, json=json)
        return 0
    at_once = 1 if asks_standard_input else TEXTS_AT_ONCE
    if file is not None:
        lines = iter(read_text_file(file, loaded.settings.encoding).text.split("\n"))
    else:
        lines = standard_input_lines() if asks_standard_input else iter(text)
    for some in some_lines((line for line in lines if line.strip()), at_once):
        for one, prediction in zip(some, loaded.predict(some), strict=True):
            explanation = loaded.explain(one) if explain else None
            _print_prediction("text", one, prediction, explanation, json=json)
    return 0


def _of_sequences(model: SequenceClassifier, files: Sequence[Path]) -> Iterator[tuple[str, Prediction]]:
    """The predictions for the sequences of files, or for those of standard input, each as soon as its line is there."""
    if not files:
        yield from _of_lines(model, standard_input_lines())
    for path in files:
        found = find_sequences(
            [path], model.settings.sequence_columns, encoding=model.settings.encoding, labelled=False
        )
        for part in found.values():
            predictions = model.predictions(model.probabilities(part))
            yield from zip((example.place for example in part.examples), predictions, strict=True)


def _of_lines(model: SequenceClassifier, lines: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values: Any = json_format.loads(line)
            values = values["values"] if isinstance(values, dict) else values
        except (ValueError, KeyError) as error:
            message = "must be a JSON list of numbers, or an object whose values are one"
            raise data_error("standard input", message, line=number) from error
        try:
            prediction = model.predict([values])[0]
        except ThroughTimeError as error:
            message = str(error).removeprefix("sequences[0]: ").removeprefix("sequences: ")
            raise data_error("standard input", message, line=number) from error
        yield f"standard input:{number}", prediction


def _cross_validate(
    classifier: AnyClassifier,
    sources: Sequence[Any],
    settings: Any,
    folds: int,
    *,
    quiet: bool,
    json: bool,
) -> int:
    if not sources:
        raise ArgumentError(f"there is nothing to learn from; give {classifier.WANTED}, or --sample")
    found = cross_validate(classifier, sources, settings, folds, display=Display(quiet=quiet))
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


def _print_prediction(
    kind: str, example: str, prediction: Prediction, explanation: Explanation | None, *, json: bool
) -> None:
    if json:
        content: dict[str, Any] = {
            kind: example,
            "labels": prediction.labels,
            "probabilities": prediction.probabilities,
        }
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
