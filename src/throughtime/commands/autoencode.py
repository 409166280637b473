"""``throughtime autoencode``: learn what series are usually like, find what is odd in them, make vectors of windows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from throughtime.appearance import check_figure_file
from throughtime.commands.results import given_path, print_json, training_result
from throughtime.commands.standard_input import standard_input_lines
from throughtime.commands.training_runs import Output, output_folder, takes_sample
from throughtime.data.sample_signals import sample_signals
from throughtime.errors import ArgumentError, data_error
from throughtime.files import check_output_file, replacing, write_text
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.anomaly_detection import Settings
from throughtime.tasks.anomaly_detector import AnomalyDetector, Detection
from throughtime.tasks.anomaly_evaluation import DetectionRow
from throughtime.tasks.anomaly_figures import plot_detection
from throughtime.tasks.anomaly_stream import AnomalyStream, StreamScore
from throughtime.training import Display

app = App(name="autoencode", help="Recurrent autoencoder of series: find what is odd, make vectors of windows.")

DEFAULTS = Settings()
SAMPLE_LABEL = "anomaly"
MOST_SHOWN = 20


@app.command
def train(
    data: Path | None = None,
    *,
    output: Output = None,
    sample: bool = False,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: Annotated[Settings, Parameter(name="*")] = DEFAULTS,
) -> int:
    """Learn what series are usually like and write a model folder.

    Data: a long table (unique_id, ds, y), a wide one with a channel in each column, or a bare column; CSV, Parquet or
    JSON lines, also .gz. Little in it should be odd.

    Args:
        data: The file, or - for standard input.
        output: The model folder to write.
        sample: Learn from the generated signals of a machine.
        resume: Go on with the run in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The model and its training.
    """
    keep_freed_memory()
    folder = output_folder(output)
    takes = takes_sample(folder, sample=sample, has_data=data is not None, resume=resume)
    source: Any = sample_signals() if takes else None if data is None else given_path(data)
    model = AnomalyDetector.train(source, settings, output=folder, resume=resume, display=Display(quiet=quiet))
    if not model.is_main:
        return 0
    detection = model.detect()
    if json:
        print_json(training_result(model.folder, _summary(detection)))
        return 0
    _print_rows(detection.rows, "what was learned from")
    new = "--sample" if sample else "DATA"
    print(f"\nThe model is in {output}; go on with: throughtime autoencode detect {output} {new} --figure odd.png")
    return 0


@app.command
def detect(
    model: Path,
    data: Path | None = None,
    *,
    sample: bool = False,
    stream: bool = False,
    threshold: float | None = None,
    label_column: str | None = None,
    figure: Path | None = None,
    output: Output = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Find what is odd: spans with their scores, and how much a rolling z-score and principal components find.

    Args:
        model: The model folder.
        data: A file of series, or - for standard input; what was learned from by default.
        sample: Look at generated signals into which faults were put.
        stream: Read numbers from standard input, a step on each line, and answer as soon as a step's score is certain.
        threshold: The score above which a step is odd; the model's by default.
        label_column: A column that says which steps are odd, for AUROC and F1: 0 for those that aren't.
        figure: A PNG, SVG or PDF file to draw channels, scores and spans into.
        output: A CSV file for the score of each step.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print JSON; of a stream an object for each step.
    """
    if figure is not None:
        check_figure_file(figure)
    if output is not None:
        check_output_file("output", output, (".csv",))
    loaded = AnomalyDetector.load(model, device=device)
    if stream:
        if data is not None or sample or figure is not None or output is not None:
            raise ArgumentError("--stream reads standard input and answers line by line; leave out files and --sample")
        _follow(AnomalyStream(loaded, threshold=threshold), standard_input_lines(), json=json)
        return 0
    if sample and data is not None:
        raise ArgumentError("give data or --sample, not both")
    source: Any = sample_signals(seed=1, anomalies=3) if sample else None if data is None else given_path(data)
    label = SAMPLE_LABEL if sample and label_column is None else label_column
    detection = loaded.detect(source, threshold=threshold, label=label)
    if figure is not None:
        plot_detection(detection, figure)
    if output is not None:
        write_text(output, "".join(_score_lines(detection)))
    if json:
        print_json(_summary(detection))
        return 0
    _print_spans(detection)
    _print_rows(detection.rows, str(data or ("generated signals" if sample else "what was learned from")))
    return 0


@app.command
def encode(
    model: Path,
    data: Path | None = None,
    *,
    output: Output = None,
    hop: int | None = None,
    device: str = "auto",
) -> int:
    """Make a vector of each window.

    Args:
        model: The model folder.
        data: A file of series, or - for standard input; what was learned from by default.
        output: A .npy file for the vectors, shape (windows, features), or a .csv file with the windows' places, too.
        hop: Steps between the beginnings of two windows; a window by default.
        device: Where to compute: auto, cpu, cuda, mps.
    """
    if output is None:
        raise ArgumentError("give --output, a file whose name ends in .npy or .csv")
    check_output_file("output", output, (".npy", ".csv"))
    if hop is not None and hop < 1:
        raise ArgumentError(f"`hop` must be a positive integer, got {hop}")
    loaded = AnomalyDetector.load(model, device=device)
    places, vectors = loaded.encode(None if data is None else given_path(data), hop=hop)
    if output.suffix.lower() == ".npy":
        with replacing(output) as temporary, temporary.open("wb") as file:
            np.save(file, vectors)
    else:
        names = ",".join(f"z{number + 1}" for number in range(vectors.shape[1]))
        numbers = [",".join(f"{number:.6g}" for number in row) for row in vectors.tolist()]
        rows = (f"{_quoted(place)},{row}\n" for place, row in zip(places, numbers, strict=True))
        write_text(output, f"window,{names}\n" + "".join(rows))
    print(f"{len(vectors):,} windows of {loaded.window} steps, {vectors.shape[1]} features each, are in {output}")
    return 0


def _follow(stream: AnomalyStream, lines: Iterable[str], *, json: bool) -> None:
    count = len(stream.detector.channels)
    stamps: dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.replace("\t", ",").rstrip("\n").split(",")]
        if not any(cells):
            continue
        values = _numbers(cells[-count:])
        if values is None or len(cells) not in {count, count + 1}:
            if number == 1:
                continue  # names of columns
            wanted = f"{count} number{'' if count == 1 else 's'} between commas, and a stamp before them or not"
            raise data_error("standard input", f"must be {wanted}, got {line.strip()!r}", line=number)
        if len(cells) > count:
            stamps[stream.steps] = cells[0]
        _print_scores(stream.feed(values), stamps, json=json)
    _print_scores(stream.finish(), stamps, json=json)


def _numbers(cells: Sequence[str]) -> list[float] | None:
    try:
        numbers = [math.nan if cell.lower() in {"", "na", "nan", "null"} else float(cell) for cell in cells]
    except ValueError:
        return None
    return None if any(map(math.isinf, numbers)) else numbers


def _print_scores(scores: Iterable[StreamScore], stamps: dict[int, str], *, json: bool) -> None:
    for one in scores:
        stamp = stamps.pop(one.step, None)
        if json:
            said = {"step": one.step + 1, "score": round(one.score, 6), "odd": one.odd, "channel": one.channel}
            print(dumps(said if stamp is None else {"stamp": stamp, **said}, ensure_ascii=False), flush=True)
        elif one.odd:
            print(f"{stamp or f'step {one.step + 1}'}\tscore {one.score:.2f}\t{one.channel}", flush=True)


def _summary(detection: Detection) -> dict[str, object]:
    return {
        "threshold": detection.threshold,
        "rows": [asdict(row) for row in detection.rows],
        "spans": [{**asdict(span), "steps": span.steps} for span in detection.spans],
    }


def _score_lines(detection: Detection) -> Iterator[str]:
    yield "recording,stamp,score,odd\n"
    for one in detection.found:
        name = _quoted(one.recording.name)
        for step, score in enumerate(one.scores.tolist()):
            stamp = detection.table.stamp(one.recording.first + step)
            yield f"{name},{stamp},{score:.6g},{int(score > detection.threshold)}\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _print_spans(detection: Detection) -> None:
    console = Console(highlight=False)
    spans = detection.spans
    if not spans:
        console.print(f"nothing is odd: no score is above {detection.threshold:.2f}")
        return
    several = len(detection.found) > 1
    title = f"odd: {len(spans):,} span{'' if len(spans) == 1 else 's'}, the oddest first"
    table = Table(title=title, title_justify="left")
    for column in (*(("series",) if several else ()), "from", "to"):
        table.add_column(column)
    for column in ("steps", "score"):
        table.add_column(column, justify="right")
    table.add_column("furthest off")
    for span in spans[:MOST_SHOWN]:
        cells = (*((span.recording,) if several else ()), span.first, span.last, f"{span.steps:,}", f"{span.peak:.2f}")
        table.add_row(*cells, span.channel)
    table.caption = f"a score above {detection.threshold:.2f} is odd" + (
        f"; {len(spans) - MOST_SHOWN} more spans" if len(spans) > MOST_SHOWN else ""
    )
    console.print(table)


def _print_rows(rows: Sequence[DetectionRow], title: str) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("method")
    judged = rows[0].f1 is not None
    for column in ("odd steps", *(("AUROC", "F1", "spans found") if judged else ())):
        table.add_column(column, justify="right")
    for row in rows:
        figures = (f"{row.auroc:.3f}" if row.auroc is not None else "-", f"{row.f1:.3f}" if row.f1 is not None else "-",
                   f"{row.events:.0%}" if row.events is not None else "-")  # fmt: skip
        table.add_row(row.model, f"{row.odd:.1%}", *(figures if judged else ()))
    if len(rows) > 1:
        table.caption = "each at the threshold that as many of the training steps are below"
    console = Console(highlight=False)
    console.print(table)
    best = max(rows, key=lambda row: row.auroc or 0.0)
    if judged and best is not rows[0]:
        console.print(f"{best.model} has the better AUROC here")
