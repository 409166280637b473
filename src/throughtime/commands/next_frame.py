"""``throughtime next-frame``: train, evaluate, predict."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands.results import given_paths, print_json
from throughtime.commands.training_runs import Output, Sample, tell_training, train_model
from throughtime.data import moving_digits, save_animation
from throughtime.errors import check_positive_integer, counted
from throughtime.files import check_output_file
from throughtime.tasks.next_frame import Settings
from throughtime.tasks.video_predictor import FrameEvaluation, VideoPredictor

PredictorSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE = Sample(lambda: moving_digits(300, frames=12), {"hidden_channels": 32, "epochs": 20.0})
SHOWN = (1, 2, 5, 10, 20)

app = App(name="next-frame", help="Videos: learn to predict each next frame, judge, let a video go on.")


@app.command
def train(
    *data: Path,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: PredictorSettings = DEFAULTS,
) -> int:
    """Train a network on videos and write a model folder.

    Data: animated GIFs, folders with a picture for each frame, or NPZ with an array of shape (videos, time, height,
    width) or (..., channel). Files or folders named train, valid and test are those parts; else a tenth is for
    validation.

    Args:
        data: Files or folders.
        output: The model folder to write.
        sample: Learn from generated videos of moving digits.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    model = train_model(
        VideoPredictor, data, settings, SAMPLE if sample else None, output=output, resume=resume, quiet=quiet
    )
    return tell_training(
        model,
        model.evaluate,
        asdict,
        partial(_print_evaluation, title="validation"),
        json=json,
        go_on=f"next-frame predict {output} video.gif -o future.gif",
    )


@app.command
def evaluate(
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    observed: int | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how well a network predicts, beside persistence, which takes the last frame for the next one.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        observed: Frames that are given before the network goes on freely; half of them by default.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    loaded = VideoPredictor.load(model, device=device)
    evaluation = loaded.evaluate(*given_paths(data), part=part, observed=observed)
    if json:
        print_json(asdict(evaluation))
    else:
        _print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation")
    return 0


@app.command
def predict(
    model: Path,
    video: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    frames: int = 10,
    device: str = "auto",
) -> int:
    """Go on with a video, and write it with what comes after it as an animated GIF.

    Args:
        model: The model folder.
        video: A GIF, or a folder with a picture for each frame.
        output: The GIF file to write.
        frames: How many frames to predict.
        device: Where to compute: auto, cpu, cuda, mps.
    """
    check_output_file("output", output, (".gif",))
    check_positive_integer("frames", frames)
    found = VideoPredictor.load(model, device=device).predict(video, frames)
    save_animation(found, output)
    print(f"{output}: {len(found) - frames} frames as they were and {frames} predicted ones")
    return 0


def _print_evaluation(evaluation: FrameEvaluation, title: str) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{title}: {counted(evaluation.videos, 'video')}", title_justify="left")
    table.add_column("model")
    table.add_column("next frame", justify="right")
    steps = [step for step in SHOWN if step <= len(evaluation.rows[0].continued)]
    for step in steps:
        table.add_column(f"freely, {step}", justify="right")
    for row in evaluation.rows:
        table.add_row(row.model, f"{row.mse:.2f}", *(f"{row.continued[step - 1]:.2f}" for step in steps))
    table.caption = (
        f"squared error of a frame, summed over its pixels from 0 to 1; freely: so many frames after "
        f"{evaluation.observed} that were given, each prediction the next input"
    )
    console.print(table)
