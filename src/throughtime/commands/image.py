"""``throughtime image``: train, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from throughtime.appearance import check_figure_file
from throughtime.commands.classification_results import print_evaluation, print_prediction
from throughtime.commands.results import check_columns_have_data, print_json
from throughtime.commands.training_runs import Output, Sample, tell_training, train_model
from throughtime.data import is_picture, sample_digits
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.classification_evaluation import summary
from throughtime.tasks.classification_figures import plot_confusion
from throughtime.tasks.image_classification import Settings
from throughtime.tasks.image_classifier import ImageClassifier

app = App(name="image", help="Image classification: learn labels of pictures, judge, predict.")

ImageClassifierSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE = Sample(sample_digits, {"epochs": 15.0})


@app.command
def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: ImageClassifierSettings = DEFAULTS,
) -> int:
    """Train a classifier on labelled pictures and write a model folder.

    Data: a folder with a folder of pictures for each class; IDX (as MNIST has it); NPZ with images and labels; CSV,
    TSV or JSONL that name pictures, or CSV of pixels. Folders and files named train, valid and test are those parts.

    Args:
        data: Files or folders.
        output: The model folder to write.
        sample: Learn the handwritten digits that come with scikit-learn.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    model = train_model(
        ImageClassifier, data, settings, SAMPLE if sample else None, output=output, resume=resume, quiet=quiet
    )
    return tell_training(
        model,
        model.evaluate,
        summary,
        partial(print_evaluation, title="validation", unit="picture"),
        json=json,
        go_on=f"image predict {output} picture.png",
    )


@app.command
def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    images: Path | None = None,
    baselines: bool = True,
    figure: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a model classifies, beside the most frequent class and the nearest picture.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        image_column: The column that names the picture; that of the training data by default.
        label_column: The column of the label.
        images: The folder that the names in tables start from.
        baselines: Whether what stands beside the model is computed.
        figure: A PNG, SVG or PDF file to draw the confusion matrix into.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    if figure is not None:
        check_figure_file(figure)
    loaded = ImageClassifier.load(model, device=device)
    if figure is not None and loaded.targets.multi_label:
        raise ArgumentError("--figure needs a model of pictures with one label each, and this one may give several")
    columns = {"image_column": image_column, "label_column": label_column, "images": images and str(images)}
    check_columns_have_data(data, **columns)
    given = {name: column for name, column in columns.items() if column is not None}
    evaluation = loaded.evaluate(*data, part=part, settings=loaded.settings.replaced(**given), baselines=baselines)
    if figure is not None and evaluation.confusion is not None:
        plot_confusion(evaluation.confusion, loaded.targets.classes, figure)
    if json:
        print_json(summary(evaluation))
    else:
        print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation", unit="picture")
    return 0


@app.command
def predict(
    model: Path,
    *picture: Path,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Give the label and the probabilities of pictures.

    Args:
        model: The model folder.
        picture: The pictures' files, or folders of them.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    loaded = ImageClassifier.load(model, device=device)
    files = picture_files(picture)
    for file, prediction in zip(files, loaded.predict(files), strict=True):
        if json:
            content = {"picture": str(file), "labels": prediction.labels, "probabilities": prediction.probabilities}
            print(dumps(content, ensure_ascii=False))
        else:
            before = f"{file}\t" if len(files) > 1 else ""
            print_prediction(prediction.labels, prediction.probabilities, before=before)
    return 0


def picture_files(given: Sequence[Path]) -> list[Path]:
    """The pictures that are meant: files, and those in folders.

    Raises:
        ArgumentError: where none is given.
        DataError: where a folder has none.
    """
    if not given:
        raise ArgumentError("give a picture's file, or a folder of pictures")
    files: list[Path] = []
    for path in given:
        inside = sorted(file for file in path.rglob("*") if is_picture(file)) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path}: has no pictures in it")
        files += inside
    return files
