"""``throughtime reproduce``: run a recipe and print the result beside its target."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from throughtime.commands.results import print_json
from throughtime.commands.training_runs import Output
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.reproduction import figure_of, read_recipe, recipe_names
from throughtime.tasks.reproduction import reproduce as run_recipe
from throughtime.training import Display, duration


def reproduce(
    name: str | None = None,
    *data: Path,
    output: Output = None,
    seed: int = 0,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Train as a recipe says and compare with its target; without a name, list the recipes.

    Args:
        name: The recipe.
        data: The files or folders that it asks for.
        output: A model folder to keep.
        seed: Of everything random.
        quiet: Show no progress.
        json: Print JSON.
    """
    console = Console(highlight=False)
    if name is None:
        for recipe in map(read_recipe, recipe_names()):
            console.print(
                f"[bold]{recipe.name}[/]: {recipe.title}\n  {recipe.command}\n  data: {recipe.data or 'generated'}"
            )
        return 0
    recipe = read_recipe(name)
    keep_freed_memory()
    result = run_recipe(recipe, *data, output=output, display=Display(quiet=quiet), seed=seed)
    if json:
        print_json(asdict(result))
        return 0
    table = Table(title=recipe.title, title_justify="left", show_header=False)
    verdict = "reached" if result.reached else "missed"
    bound = "at least" if recipe.higher_is_better else "at most"
    part = recipe.part if recipe.folds is None else f"{recipe.folds} {recipe.part}"
    for label, value in (
        ("command", recipe.command),
        ("target", f"{recipe.metric} on {part} {bound} {recipe.target}"),
        ("source", recipe.source),
        ("result", f"[bold]{result.result:.4f}[/] ({verdict})"),
        *((metric, f"{figure_of(result.rows[0], metric):.4f}") for metric in recipe.beside),
        *((row.model, f"{figure_of(row, recipe.metric):.4f}") for row in result.rows[1:]),
        ("wall time", duration(result.seconds)),
        ("cores", str(result.cores)),
        ("seed", str(result.seed)),
    ):
        table.add_row(label, value)
    console.print(table)
    return 0
