"""``throughtime video``: train, evaluate, predict."""

from __future__ import annotations

from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from throughtime.commands.classification_results import print_evaluation, print_prediction
from throughtime.commands.results import given_paths, print_json
from throughtime.commands.training_runs import Output, Sample, tell_training, train_model
from throughtime.data import gliding_digits
from throughtime.errors import ArgumentError
from throughtime.tasks.classification_evaluation import summary
from throughtime.tasks.video_classification import Settings
from throughtime.tasks.video_classifier import VideoClassifier

ClassifierSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE = Sample(lambda: gliding_digits(400), {"epochs": 12.0})

app = App(name="video", help="Video classification: learn labels from videos, judge, predict.")


@app.command
def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: ClassifierSettings = DEFAULTS,
) -> int:
    """Train a classifier on labelled videos and write a model folder.

    Data: a folder for each class with animated GIFs or folders of pictures, a picture for each frame; or NPZ with
    videos of shape (videos, time, height, width) or (..., channel) and labels. Files or folders named train, valid and
    test are those parts; else a tenth is for validation.

    Args:
        data: Files or folders.
        output: The model folder to write.
        sample: Learn from generated videos of gliding digits, to tell in which direction they go.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    model = train_model(
        VideoClassifier, data, settings, SAMPLE if sample else None, output=output, resume=resume, quiet=quiet
    )
    return tell_training(
        model,
        model.evaluate,
        summary,
        partial(print_evaluation, title="validation", unit="video"),
        json=json,
        go_on=f"video predict {output} video.gif",
    )


@app.command
def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    baselines: bool = True,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a model classifies, beside the most frequent class and the nearest middle frame.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        baselines: Whether to show what stands beside the model.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    loaded = VideoClassifier.load(model, device=device)
    evaluation = loaded.evaluate(*given_paths(data), part=part, baselines=baselines)
    if json:
        print_json(summary(evaluation))
    else:
        print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation", unit="video")
    return 0


@app.command
def predict(model: Path, *video: Path, device: str = "auto", json: bool = False) -> int:
    """Give the label and the probabilities of videos.

    Args:
        model: The model folder.
        video: GIFs, or folders with a picture for each frame.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    if not video:
        raise ArgumentError("there are no videos; give GIFs, or folders with a picture for each frame")
    loaded = VideoClassifier.load(model, device=device)
    for one, prediction in zip(video, loaded.predict(video), strict=True):
        if json:
            content = {"video": str(one), "labels": prediction.labels, "probabilities": prediction.probabilities}
            print(dumps(content, ensure_ascii=False), flush=True)
            continue
        print_prediction(prediction.labels, prediction.probabilities, before=f"{one}\t")
    return 0
