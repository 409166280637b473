"""What all ``train`` commands do: the output folder, the sample, the run, and what is told of it in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from throughtime.commands.results import given_paths, print_json, training_result
from throughtime.errors import ArgumentError
from throughtime.freed_memory import keep_freed_memory
from throughtime.tasks.network_training import TrainingSettings
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.tasks.trained_model import TrainedModel
from throughtime.training import Display

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
LIMITS = frozenset({"epochs", "steps", "time_budget"})
_Settings = TypeVar("_Settings", bound=TrainingSettings)
_Model = TypeVar("_Model", bound=TrainableModel[Any, Any, Any])
_Evaluation = TypeVar("_Evaluation")


def output_folder(output: Path | None) -> Path:
    """The model folder to write.

    Raises:
        ArgumentError: where none is given.
    """
    if output is None:
        raise ArgumentError("give --output, the model folder to write")
    return output


def goes_on(output: Path | None, *, resume: bool) -> bool:
    """Whether there is a run to go on with, which has its data and its settings."""
    return resume and output is not None and (output / "config.json").exists()


def takes_sample(output: Path, *, sample: bool, has_data: bool, resume: bool) -> bool:
    """Whether a run learns from the task's sample: one that begins, and was asked to.

    Raises:
        ArgumentError: where data is given, too.
    """
    if sample and has_data:
        raise ArgumentError("give data or --sample, not both")
    return sample and not goes_on(output, resume=resume)


def for_sample(settings: _Settings, best: Mapping[str, object]) -> _Settings:
    """The settings that are best for a sample, and over them what the user gave; its limit is the only one.

    Args:
        settings: what the user gave.
        best: settings by their names, with epochs, steps or a time budget.
    """
    limited = bool(settings.model_fields_set & LIMITS)
    own = {name: value for name, value in best.items() if not (limited and name in LIMITS)}
    return type(settings).of({**own, **settings.model_dump(exclude_unset=True)})


@dataclass(frozen=True)
class Sample:
    """What ``--sample`` learns from, and how.

    Attributes:
        make: generates the data.
        settings: that are best for it; with epochs, steps or a time budget.
    """

    make: Callable[[], object]
    settings: Mapping[str, object]


def train_model(
    kind: type[_Model],
    data: Sequence[Path],
    settings: TrainingSettings,
    sample: Sample | None,
    *,
    output: Path | None,
    resume: bool,
    quiet: bool,
) -> _Model:
    """Train a model as the flags of its ``train`` command say.

    Args:
        kind: of the model.
        data: files and folders.
        settings: the model's and its training's.
        sample: what to learn from in place of data; None unless it is asked for.
        output: the model folder to write.
        resume: whether to go on with the run in it.
        quiet: whether no progress is shown.

    Raises:
        ArgumentError: where there is no output folder, or data and a sample.
    """
    keep_freed_memory()
    folder = output_folder(output)
    sources: list[Any] = [*given_paths(data)]
    if takes_sample(folder, sample=sample is not None, has_data=bool(data), resume=resume) and sample is not None:
        sources = [sample.make()]
        settings = for_sample(settings, sample.settings)
    return kind.train(sources, settings, output=folder, resume=resume, display=Display(quiet=quiet))


def tell_training(
    model: TrainedModel[Any, Any],
    evaluate: Callable[[], _Evaluation],
    summary: Callable[[_Evaluation], Mapping[str, object]],
    show: Callable[[_Evaluation], None],
    *,
    json: bool,
    go_on: str,
) -> int:
    """Judge a model that was trained and tell how good it is, in one of the processes that trained it.

    Args:
        model: the model.
        evaluate: judges it.
        summary: an evaluation as plain values.
        show: prints it.
        json: whether it is printed as JSON.
        go_on: a command to go on with.

    Returns:
        The command's exit status.
    """
    if not model.is_main:
        return 0
    evaluation = evaluate()
    if json:
        print_json(training_result(model.folder, summary(evaluation)))
        return 0
    show(evaluation)
    print(f"\nThe model is in {model.folder.path}; go on with: throughtime {go_on}")
    return 0
