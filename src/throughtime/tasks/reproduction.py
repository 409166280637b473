"""Recipes: published figures that anybody can train again with one command."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml

from throughtime.data import VisualQuestions, sample_questions, sort_of_clevr
from throughtime.data.series_files import read_series
from throughtime.errors import ArgumentError, check_choice
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.captioning import Settings as CaptionSettings
from throughtime.tasks.classifiers import classifier_for
from throughtime.tasks.cross_validation import cross_validate
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.forecasting_settings import Settings as ForecastSettings
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.long_term_dependencies import Settings as DependencySettings
from throughtime.tasks.long_term_dependencies import compare
from throughtime.tasks.scene_captioning import learn_scenes
from throughtime.tasks.translator import Translator
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.tasks.visual_question_settings import Settings as QuestionSettings
from throughtime.training import Display

HIGHER_IS_BETTER = frozenset({"accuracy", "macro_f1", "bleu", "chrf", "cider", "bleu_4", "right"})


@dataclass(frozen=True)
class Recipe:
    """How to reach a figure.

    Attributes:
        name: of the recipe's file.
        task: the command that trains, such as lm.
        command: the command that does the same.
        title: what is trained on what.
        data: the files that the user gives; None where it is generated.
        settings: of the task.
        part: the part of the data that counts: valid, test, or folds.
        metric: the figure that counts, of those in the evaluation's rows.
        target: the figure to reach.
        source: where the target comes from.
        folds: of a cross-validation.
        backtest: of a forecaster: ``steps`` at the end to forecast, from each step, and ``values`` of each series, of
            which the first count; all by default.
        beside: more figures of the same row, which have no target.
    """

    name: str
    task: str
    command: str
    title: str
    data: str | None
    settings: dict[str, Any]
    part: str
    metric: str
    target: float
    source: str
    folds: int | None = None
    backtest: dict[str, int] | None = None
    beside: Sequence[str] = ()

    @property
    def higher_is_better(self) -> bool:
        """Whether the target is to be reached from below."""
        return self.metric.partition(" of ")[0] in HIGHER_IS_BETTER


@dataclass(frozen=True)
class Reproduction:
    """What running a recipe gave.

    Attributes:
        recipe: what ran.
        result: the figure.
        reached: whether it is as good as the target.
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

    Raises:
        ArgumentError: where its data is missing, or there is some that it doesn't take.
    """
    if data and recipe.data is None:
        raise ArgumentError(f"the recipe {recipe.name!r} generates its data; leave out {data[0]}")
    if not data and recipe.data is not None:
        raise ArgumentError(f"the recipe {recipe.name!r} needs its data: {recipe.data}")
    begun = time.monotonic()
    rows = _RUNS[recipe.task](recipe, data, output, display, seed)
    result = figure_of(rows[0], recipe.metric)
    seconds = time.monotonic() - begun
    cores = min(torch.get_num_threads(), os.cpu_count() or 1)
    reached = result >= recipe.target if recipe.higher_is_better else result <= recipe.target
    return Reproduction(recipe, result, reached, seconds, cores, seed, rows)


def figure_of(row: Any, metric: str) -> float:
    """A figure of an evaluation's row; "accuracy of KIND" is that of one kind of question."""
    name, of, kind = metric.partition(" of ")
    figure: float = row.by_kind[kind] if of else getattr(row, name)
    return figure


def _run_language_model(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    model = LanguageModel.fit(*data, output=output, display=display, **recipe.settings, seed=seed)
    return model.evaluate(part=recipe.part, lanes=1).rows


def _run_classifier(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    classifier = classifier_for(data)
    settings = classifier.SETTINGS.of({**recipe.settings, "seed": seed})
    if recipe.folds is None:
        return classifier.train(data, settings, output=output, display=display).evaluate(part=recipe.part).rows
    if output is not None:
        raise ArgumentError(
            f"the recipe {recipe.name!r} trains {recipe.folds} models and keeps none; leave out --output"
        )
    return cross_validate(classifier, data, settings, recipe.folds, display=display).rows


def _run_translator(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    model = Translator.fit(*data, output=output, display=display, **recipe.settings, seed=seed)
    return model.evaluate(part=recipe.part).rows


def _run_image_classifier(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    model = ImageClassifier.fit(*data, output=output, display=display, **recipe.settings, seed=seed)
    return model.evaluate(part=recipe.part).rows


def _run_captioner(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    if data:
        model = Captioner.fit(*data, output=output, display=display, **recipe.settings, seed=seed)
        return model.evaluate(part=recipe.part).rows
    given = dict(recipe.settings)
    scenes = given.pop("scenes")
    return learn_scenes(scenes, CaptionSettings.of({**given, "seed": seed}), output=output, display=display)


def _run_dependencies(
    recipe: Recipe, _data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    settings = DependencySettings.of({**recipe.settings, "seed": seed})
    return compare(settings, output=output, display=display).rows


def _run_forecaster(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    settings = ForecastSettings.of({**recipe.settings, "seed": seed})
    plan = recipe.backtest or {}
    table = read_series(data[0], settings.columns)
    values = plan.get("values", table.longest)
    table = table.mapped(lambda one: one.between(one.first, one.first + values))
    model = Forecaster.train(table.without_last(plan["steps"]), settings, output=output, display=display)
    return model.evaluate(table, steps=plan["steps"], step_size=1).rows


def _run_questions(
    recipe: Recipe, data: Sequence[Path], output: Path | None, display: Display | None, seed: int
) -> tuple[Any, ...]:
    settings = QuestionSettings.of({**recipe.settings, "seed": seed})
    if recipe.name not in QUESTIONS:
        model = VisualQuestionAnswerer.train(data, settings, output=output, display=display)
        return model.evaluate(part=recipe.part).rows
    train, test = QUESTIONS[recipe.name]()
    model = VisualQuestionAnswerer.train([train], settings, output=output, display=display)
    return model.evaluate(test).rows


QUESTIONS: dict[str, Callable[[], tuple[VisualQuestions, VisualQuestions]]] = {
    "scenes-vqa": lambda: (sample_questions(4_000), sample_questions(1_000, seed=1)),
    "sort-of-clevr": lambda: (sort_of_clevr(9_800), sort_of_clevr(200, seed=1)),
}
"""The generated data of recipes, by their names: what is learned from and what is judged."""

_Run = Callable[[Recipe, Sequence[Path], Path | None, Display | None, int], tuple[Any, ...]]
_RUNS: dict[str, _Run] = {
    "caption": _run_captioner,
    "image": _run_image_classifier,
    "lm": _run_language_model,
    "classify": _run_classifier,
    "translate": _run_translator,
    "dependencies": _run_dependencies,
    "forecast": _run_forecaster,
    "vqa": _run_questions,
}


def _folder() -> Any:
    return files("throughtime") / "recipes"
