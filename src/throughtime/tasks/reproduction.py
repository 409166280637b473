"""Recipes: published figures that anybody can train again with one command."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml

from throughtime.errors import check_choice
from throughtime.tasks.language_model import LanguageModel
from throughtime.training import Display


@dataclass(frozen=True)
class Recipe:
    """How to reach a figure.

    Attributes:
        name: of the recipe's file.
        command: the command that does the same.
        title: what is trained on what.
        data: the files that the user gives.
        settings: of the task.
        part: the part of the data that counts: valid or test.
        metric: nats_per_token or perplexity; lower is better.
        target: the figure to reach.
        source: where the target comes from.
    """

    name: str
    command: str
    title: str
    data: str
    settings: dict[str, Any]
    part: str
    metric: str
    target: float
    source: str


@dataclass(frozen=True)
class Reproduction:
    """What running a recipe gave.

    Attributes:
        recipe: what ran.
        result: the figure.
        reached: whether it is no higher than the target.
        seconds: wall time, from reading the text to the last evaluation.
        cores: processor threads.
        seed: of the run.
        rows: the evaluation's rows, baselines among them.
    """

    recipe: Recipe
    result: float
    reached: bool
    seconds: float
    cores: int
    seed: int
    rows: tuple[Any, ...]


def recipe_names() -> list[str]:
    """The recipes in the package."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def read_recipe(name: str) -> Recipe:
    """Read a recipe.

    Raises:
        ArgumentError: where there is none of that name.
    """
    check_choice("name", name, recipe_names())
    text = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    command = text.splitlines()[0].removeprefix("# ")
    return Recipe(name=name, command=command, **yaml.safe_load(text))


def reproduce(
    recipe: Recipe, *data: Path, output: Path | None = None, display: Display | None = None, seed: int = 0
) -> Reproduction:
    """Train as the recipe says and evaluate on its part of the data.

    Args:
        recipe: from ``read_recipe``.
        *data: the files or folders that it asks for.
        output: a model folder to keep.
        display: shows progress.
        seed: of everything random.
    """
    begun = time.monotonic()
    model = LanguageModel.fit(*data, output=output, display=display, **recipe.settings, seed=seed)
    evaluation = model.evaluate(part=recipe.part, lanes=1)
    result = getattr(evaluation.rows[0], recipe.metric)
    seconds = time.monotonic() - begun
    cores = min(torch.get_num_threads(), os.cpu_count() or 1)
    return Reproduction(recipe, result, result <= recipe.target, seconds, cores, seed, evaluation.rows)


def _folder() -> Any:
    return files("throughtime") / "recipes"
