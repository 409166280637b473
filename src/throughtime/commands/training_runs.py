"""What all ``train`` commands do with what they are given: the output folder, the sample, how long to learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from throughtime.errors import ArgumentError
from throughtime.tasks.network_training import TrainingSettings

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
_Settings = TypeVar("_Settings", bound=TrainingSettings)


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


def lasting(settings: _Settings, epochs: float) -> _Settings:
    """The settings, with so many epochs where they don't say how long to learn."""
    has_limit = not (settings.epochs is settings.steps is settings.time_budget is None)
    return settings if has_limit else settings.replaced(epochs=epochs)


def for_sample(settings: _Settings, best: Mapping[str, object]) -> _Settings:
    """The settings that are best for a sample, and over them what the user gave; its limit is the only one.

    Args:
        settings: what the user gave.
        best: settings by their names, with a time budget.
    """
    limits = settings.model_fields_set & {"epochs", "steps", "time_budget"}
    own = {name: value for name, value in best.items() if not (limits and name == "time_budget")}
    return type(settings).of({**own, **settings.model_dump(exclude_unset=True)})
