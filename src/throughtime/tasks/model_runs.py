"""What the runs of all tasks do around their stories: make a folder or clean it up, keep settings and take them up."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from throughtime.errors import ArgumentError, ModelFolderError
from throughtime.tasks.settings import TaskSettings
from throughtime.training import ModelFolder, Processes

Trained = TypeVar("Trained")
AnySettings = TypeVar("AnySettings", bound=TaskSettings)


def in_model_folder(output: Path | str | None, train: Callable[[ModelFolder], Trained]) -> Trained:
    """Train a model in a folder; without one in a temporary folder, which lives as long as the model.

    Args:
        output: the folder.
        train: makes the model.
    """
    if output is not None:
        return train(ModelFolder(output))
    temporary = Path(tempfile.mkdtemp(prefix="throughtime-"))
    try:
        model = train(ModelFolder(temporary))
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
    return model


@contextmanager
def new_folder(folder: ModelFolder | None, processes: Processes, *, may_exist: bool) -> Generator[None]:
    """Make the folder of a run that begins; where it can't begin, nothing is left of what was prepared.

    Args:
        folder: the folder; without one there is nothing to make.
        processes: of which the main one makes it.
        may_exist: whether it may hold what a run left that was killed before it had begun.

    Raises:
        ModelFolderError: where something stands there already.
    """
    if folder is None or not processes.is_main:
        yield
        return
    folder.create(may_exist=may_exist)
    try:
        yield
    except BaseException:
        folder.discard()
        raise


def write_settings(folder: ModelFolder, task: str, settings: TaskSettings, **content: object) -> None:
    """Write the config of a model: its task, its settings, and what else is needed to build it again."""
    folder.write_config(task, {"settings": settings.model_dump(exclude_none=True), **content})


def read_settings(folder: ModelFolder, task: str, kind: type[AnySettings]) -> AnySettings:
    """Read the settings of a model.

    Args:
        folder: the model's.
        task: what it must be a model for.
        kind: the class of the task's settings.

    Raises:
        ModelFolderError: where the folder is missing, damaged, of another task or of a newer format.
    """
    config = folder.read_config()
    if config["task"] != task:
        raise ModelFolderError(f"{folder.path}: holds a model for {config['task']}, not for {task}")
    try:
        return kind.of(config["settings"])
    except (KeyError, TypeError, ArgumentError) as error:
        raise ModelFolderError(f"{folder.config_file}: its settings are damaged ({error})") from error


def resumed_settings(folder: ModelFolder, task: str, given: AnySettings) -> AnySettings:
    """The settings of a run that goes on: as they were, but for its limits and where it computes.

    Raises:
        ArgumentError: where another setting is given another value than the run began with.
        ModelFolderError: as ``read_settings``.
    """
    saved = read_settings(folder, task, type(given))
    for name in given.model_fields_set - given.RESUMABLE:
        if getattr(given, name) != getattr(saved, name):
            raise ArgumentError(
                f"`{name}` stays as the run began ({getattr(saved, name)}) when it is resumed; leave it out, "
                "or begin a new run"
            )
    limits = {"epochs", "steps", "time_budget"}
    changed = {name: getattr(given, name) for name in given.model_fields_set & given.RESUMABLE}
    kept = saved.model_dump(exclude_unset=True, exclude=limits if limits & changed.keys() else set[str]())
    return given.of({**kept, **changed})
