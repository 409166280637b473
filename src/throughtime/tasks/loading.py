"""Open any model folder."""

from __future__ import annotations

from pathlib import Path

from throughtime.errors import ModelFolderError
from throughtime.tasks import language_modelling
from throughtime.tasks.language_model import LanguageModel
from throughtime.training import ModelFolder

TASKS = {language_modelling.TASK: LanguageModel}


def load(folder: Path | str, *, device: str = "auto") -> LanguageModel:
    """Load the model in a folder, whatever its task, on any device.

    Raises:
        ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
    """
    task = ModelFolder(folder).read_config()["task"]
    if task not in TASKS:
        raise ModelFolderError(f"{folder}: holds a model for {task!r}, which this throughtime doesn't know")
    return TASKS[task].load(folder, device=device)
