"""``throughtime caption``: train, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands.image import picture_files
from throughtime.commands.results import check_columns_have_data, print_json
from throughtime.commands.training_runs import Output, Sample, goes_on, tell_training, train_model
from throughtime.data import captioned_scenes, moving_shapes, sample_scenes
from throughtime.data.captioned_images import picture_name
from throughtime.errors import ArgumentError, check_positive_integer, counted
from throughtime.files import check_output_file, write_text
from throughtime.tasks.attention_overlays import check_overlay_file, save_overlays
from throughtime.tasks.caption_evaluation import Evaluation, summary
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.captioning import Settings
from throughtime.tasks.captioning_model import Caption
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.training import ModelFolder

app = App(name="caption", help="Captioning: learn to say what is in pictures, caption, judge, show where it looked.")

CaptionerSettings = Annotated[Settings, Parameter(name="*")]
DEFAULTS = Settings()
SAMPLE = Sample(
    lambda: captioned_scenes(sample_scenes(1_500, side=32, objects=(1, 1))),
    {
        "channels": (24, 48),
        "hidden_size": 96,
        "embedding_size": 48,
        "attention": "general",
        "attention_penalty": 0.0,
        "dropout": 0.0,
        "learning_rate": 6e-3,
        "together": 2,
        "validation_pictures": 100,
        "validations": 5,
        "time_budget": "60s",
    },
)
VIDEO_SAMPLE = Sample(
    lambda: moving_shapes(1_000, frames=5, side=24),
    {**SAMPLE.settings, "channels": (16, 32), "batch_size": 16, "validation_pictures": 60},
)


@app.command
def train(
    *data: Path,
    output: Output = None,
    videos: bool = False,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: CaptionerSettings = DEFAULTS,
) -> int:
    """Train a captioner on pictures, or with --videos on videos, and write a model folder.

    Data: CSV, TSV or JSONL with a picture and a caption on each row, beside the pictures or with --images; the captions
    JSON of COCO; the split JSON of Karpathy; the token file of Flickr8k; or a folder that has one of these. A video is
    a GIF, or a folder with a picture for each frame.

    Args:
        data: Files or folders.
        output: The model folder to write.
        videos: The captions are of videos.
        sample: Learn to describe generated scenes of coloured shapes, with --videos shapes that move.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    if goes_on(output, resume=resume) and output is not None:
        kind = _kind_of(output)
    else:
        kind = VideoCaptioner if videos else Captioner
    own_sample = VIDEO_SAMPLE if kind is VideoCaptioner else SAMPLE
    model = train_model(kind, data, settings, own_sample if sample else None, output=output, resume=resume, quiet=quiet)
    return tell_training(
        model,
        partial(model.evaluate, beam_size=3, examples=5),
        summary,
        partial(_print_evaluation, title="validation"),
        json=json,
        go_on=f"caption predict {output} {'clip.gif' if kind is VideoCaptioner else 'photo.jpg'}",
    )


@app.command
def evaluate(  # noqa: PLR0913 - the flags that people know from other tools
    model: Path,
    *data: Path,
    part: Literal["valid", "test", "train"] | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    images: Path | None = None,
    beam_size: int = 3,
    length_penalty: float = 1.0,
    block_ngrams: int | None = None,
    examples: int = 5,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Tell how good captions are, beside those of the nearest picture or middle frame, and the most common one.

    Args:
        model: The model folder.
        data: Files or folders; a part of the model's own data by default.
        part: Which part: of the model's own data valid by default, of other data test if there is one.
        image_column: The column that names the picture; that of the training data by default.
        caption_column: The column of the caption.
        images: The folder that the pictures' names start from.
        beam_size: Captions that are kept from step to step.
        length_penalty: Above 0 favours longer captions.
        block_ngrams: No sequence of so many words comes twice.
        examples: Captions to show, taken at equal distances.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON.
    """
    loaded = _kind_of(model).load(model, device=device)
    check_columns_have_data(data, image_column=image_column, caption_column=caption_column, images=images)
    used = loaded.settings.columns
    columns = replace(
        used, image=image_column or used.image, caption=caption_column or used.caption, images=images or used.images
    )
    search: dict[str, Any] = {
        "beam_size": beam_size,
        "length_penalty": length_penalty,
        "block_ngrams": block_ngrams,
    }
    evaluation = loaded.evaluate(*data, part=part, columns=columns, examples=examples, **search)
    if json:
        print_json(summary(evaluation))
    else:
        _print_evaluation(evaluation, ", ".join(map(str, data)) or part or "validation")
    return 0


@app.command
def predict(  # noqa: PLR0913 - the flags that people know from other tools
    model: Path,
    *picture: Path,
    beam_size: int = 3,
    n_best: int = 1,
    length_penalty: float = 1.0,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    max_length: int | None = None,
    block_ngrams: int | None = None,
    attention: Path | None = None,
    coco: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Say what is in pictures, or in videos where the model has learned these.

    Args:
        model: The model folder.
        picture: The pictures' files, or folders of them; or videos.
        beam_size: Captions that are kept from step to step; 1 is greedy search.
        n_best: Captions of each picture.
        length_penalty: Above 0 favours longer captions.
        temperature: Draw captions; below 1 more usual ones.
        top_k: Draw from so many of the likeliest words only.
        top_p: Draw from the fewest words that have this probability together.
        seed: Of the drawing.
        max_length: Words at most.
        block_ngrams: No sequence of so many words comes twice.
        attention: A PNG file that shows where the network looked for each word.
        coco: A file for the results as COCO has them: [{"image_id": ..., "caption": ...}].
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print one JSON object a line.
    """
    check_positive_integer("beam_size", beam_size)
    if attention is not None:
        check_overlay_file(attention)
    if coco is not None:
        check_output_file("coco", coco, (".json",))
    kind = _kind_of(model)
    if kind is VideoCaptioner and attention is not None:
        raise ArgumentError("--attention draws where a network looked in pictures, and this one captions videos")
    files = picture_files(picture) if kind is Captioner else _videos(picture)
    loaded = kind.load(model, device=device)
    if attention is not None and loaded.settings.attention == "none":
        raise ArgumentError("--attention needs a model that has attention, and this one has none")
    search: dict[str, Any] = {
        "beam_size": max(beam_size, n_best),
        "n_best": n_best,
        "length_penalty": length_penalty,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "block_ngrams": block_ngrams,
        **({} if max_length is None else {"max_length": max_length}),
    }
    captions = loaded.caption(files, attention=attention is not None, **search)
    for file, caption in zip(files, captions, strict=True):
        _print_caption(file, caption, named=len(files) > 1, json=json)
    if attention is not None:
        save_overlays([loaded.reader.preprocessing.pixels(file) for file in files], captions, attention)
    if coco is not None:
        results = [
            {"image_id": int(name) if (name := picture_name(str(file))).isdecimal() else name, "caption": caption.text}
            for file, caption in zip(files, captions, strict=True)
        ]
        write_text(coco, dumps(results, ensure_ascii=False) + "\n")
    return 0


def _kind_of(folder: Path) -> type[Captioner] | type[VideoCaptioner]:
    task = ModelFolder(folder).read_config()["task"]
    return VideoCaptioner if task == VideoCaptioner.TASK else Captioner


def _videos(given: Sequence[Path]) -> list[Path]:
    if not given:
        raise ArgumentError("there are no videos; give GIFs, or folders with a picture for each frame")
    return list(given)


def _print_caption(file: Path, caption: Caption, *, named: bool, json: bool) -> None:
    several = (caption, *caption.others)
    if json:
        found = [{"text": one.text, "score": one.score, "log_probability": one.log_probability} for one in several]
        print(dumps({"picture": str(file), "captions": found}, ensure_ascii=False))
        return
    for one in several:
        print(f"{file}\t{one.text}" if named else one.text)


def _print_evaluation(evaluation: Evaluation, title: str) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{title}: {counted(evaluation.count, evaluation.unit)}", title_justify="left")
    table.add_column("model")
    for column in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D"):
        table.add_column(column, justify="right")
    for row in evaluation.rows:
        own = row.scores
        figures = (own.bleu_1, own.bleu_2, own.bleu_3, own.bleu_4, own.rouge_l, own.cider)
        table.add_row(row.model, *(f"{figure:.1f}" for figure in figures))
    console.print(table)
    console.print(evaluation.rows[0].scores.signature, markup=False, soft_wrap=True)
    speed = evaluation.count / max(evaluation.seconds, 1e-9)
    console.print(f"references: {evaluation.nats_per_token:.4f} nats per token; {speed:,.0f} {evaluation.unit}s/s")
    for place, caption, references in evaluation.examples:
        console.print(f"\n  {evaluation.unit:9}  {place}\n  caption    {caption}", markup=False, soft_wrap=True)
        for reference in references[:2]:
            console.print(f"  reference  {reference}", markup=False, soft_wrap=True)
