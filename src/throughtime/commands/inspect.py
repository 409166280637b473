"""``throughtime inspect``: look inside a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from throughtime.commands.results import print_json
from throughtime.data import read_text_file
from throughtime.errors import ArgumentError
from throughtime.inspection import Report, inspect_model, inspect_vectors
from throughtime.inspection.given import Given
from throughtime.inspection.report import NUMBERS, PAGE, check_report_folder
from throughtime.word2vec import WordVectors


def inspect(
    model: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    text: Annotated[list[str] | None, Parameter(negative="")] = None,
    file: Path | None = None,
    input: Annotated[list[Path] | None, Parameter(negative="")] = None,  # noqa: A002 - the flag's name
    beside: Annotated[list[Path] | None, Parameter(negative="")] = None,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Look inside a model: gradient flow, gates, memory, neurons, attention, saliency; of word vectors, maps.

    The report is one page that needs nothing else, index.html, with its figures and numbers beside it.

    Args:
        model: The model folder, or a file of word vectors.
        output: The folder to write the report into.
        text: What to look at it with: a text, a sentence or a word; again for more. Some of its own data by default.
        file: A file with more of them, one a line; of a language model the whole text.
        input: A picture, a video or a table of series to look at it with, by its task; again for more.
        beside: The folder of another model of the task, whose gradient flow is shown beside; again for more.
        device: Where to compute: auto, cpu, cuda, mps.
        json: Print the numbers as JSON.
    """
    check_report_folder(output)
    texts = list(text or [])
    if file is not None:
        texts += [line for line in read_text_file(file, None).text.split("\n") if line.strip()]
        if not texts:
            raise ArgumentError(f"{file}: has no text in it")
    if model.is_file():
        Given(tuple(texts), tuple(input or [])).check("words", texts=True, files=False)
        report = inspect_vectors(WordVectors.load(model), texts, title=str(model))
    else:
        report = inspect_model(model, texts, files=input or [], beside=beside or [], device=device)
    report.save(output)
    if json:
        print_json(_json_numbers(output))
    else:
        _print_summary(report, output)
    return 0


def _json_numbers(output: Path) -> Any:
    from json import loads  # noqa: PLC0415 - a name that the flag has here

    return loads((output / NUMBERS).read_text(encoding="utf-8"))


def _print_summary(report: Report, output: Path) -> None:
    console = Console(highlight=False)
    for name, rows in report.numbers.get("gradient_flow", {}).items():
        for row in rows:
            verdict = "reaches back over all steps" if row["verdict"] == "reaches" else row["verdict"]
            horizon = "beyond what was looked at" if row["horizon"] is None else f"{row['horizon']} steps"
            line = f"{name}, {row['layer']}: the gradient {verdict}; effective horizon {horizon}"
            console.print(line, markup=False, soft_wrap=True)
    best: dict[str, Any] = {}
    for one in report.numbers.get("neurons", []):
        best.setdefault(one["feature"], one)
    for one in best.values():
        held_out = "" if one["held_out"] is None else f", {one['held_out']:.2f} on the rest of the text"
        console.print(
            f"{one['feature']}: {one['neuron']} ({one['measure']} {one['score']:.2f}{held_out})", markup=False
        )
    console.print(f"The report is in {output / PAGE}", markup=False, soft_wrap=True)
