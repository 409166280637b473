"""``throughtime bench``: what recurrent cells can and can't do, measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from throughtime.appearance import check_figure_file
from throughtime.commands.results import print_json
from throughtime.errors import ArgumentError
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.dependency_figures import explain, plot_dependencies, share, verdict
from throughtime.tasks.long_term_dependencies import INTERRUPTED, Comparison, Settings, compare, load_data
from throughtime.training import Display, duration

DEFAULTS = Settings()


def dependencies(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    figure: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    json: bool = False,
    settings: Annotated[Settings, Parameter(name="*")] = DEFAULTS,
) -> int:
    """Compare cells on sequences in which the beginning decides about the end.

    The adding problem marks two of many numbers and asks for their sum; the copy task asks for ten symbols after a long
    silence. Beside each cell's error stands how much of the gradient comes back to the beginning.

    Args:
        output: A folder to keep the trained networks, their logs and the picture in.
        figure: A PNG, SVG or PDF file to draw loss against updates and gradient against lag into.
        resume: Go on with what is in the output folder.
        quiet: Show no progress.
        json: Print the result as JSON.
        settings: The task, the cells and their training.
    """
    keep_freed_memory()
    if figure is not None:
        check_figure_file(figure)
    if resume and output is None:
        raise ArgumentError("--resume needs --output, the folder of the comparison to go on with")
    guess = load_data(settings).guess
    comparison = compare(
        settings,
        output=output,
        resume=resume,
        display=Display(quiet=quiet),
        told=lambda row: f"{row.model}: {verdict(row, guess)} after {duration(row.seconds)}, loss {row.loss:.6f}",
    )
    if output is not None:
        plot_dependencies(comparison, output / "dependencies.png")
    if figure is not None:
        plot_dependencies(comparison, figure)
    if json:
        print_json(asdict(comparison))
        return 0
    _print_comparison(comparison, settings)
    if any(row.failure == INTERRUPTED for row in comparison.rows) and output is not None:
        print("interrupted; --resume goes on from there")
    return 0


def _print_comparison(comparison: Comparison, settings: Settings) -> None:
    console = Console(highlight=False)
    lag = load_data(settings).span - 1
    what = "adding problem" if comparison.task == "adding" else "copy task"
    title = f"{what} over {comparison.length} steps; a guess's loss is {comparison.guess:.4f}"
    table = Table(title=title, title_justify="left")
    table.add_column("cell", no_wrap=True)
    for column in ("loss", "right", "solved after", f"gradient {lag} back"):
        table.add_column(column, justify="right")
    table.add_column("in words")
    for row in comparison.rows:
        table.add_row(
            row.model,
            f"{row.loss:.6f}",
            f"{row.right:.1%}",
            f"{row.solved_at:,}" if row.solved_at else "-",
            share(row.gradient_before[-1]),
            verdict(row, comparison.guess),
        )
    table.caption = f"loss: {comparison.measure}; gradient: before training, relative to that one step back"
    console.print(table)
    for row in comparison.rows:
        if row.failure:
            console.print(f"{row.model}: {row.failure}", markup=False)
    for sentence in explain(comparison):
        console.print(sentence)
