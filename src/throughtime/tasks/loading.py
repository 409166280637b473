"""Open any model folder."""

from __future__ import annotations

from pathlib import Path

from throughtime.errors import ModelFolderError
from throughtime.tasks import forecasting, language_modelling, text_classification, translation, word2vec
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import ModelFolder


def load(
    folder: Path | str, *, device: str = "auto"
) -> Forecaster | LanguageModel | TextClassifier | Translator | Word2Vec:
    """Load the model in a folder, whatever its task.

    Args:
        folder: the model folder.
        device: where a network computes: auto, cpu, cuda, mps.

    Raises:
        ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
    """
    task = ModelFolder(folder).read_config()["task"]
    if task == language_modelling.TASK:
        return LanguageModel.load(folder, device=device)
    if task == text_classification.TASK:
        return TextClassifier.load(folder, device=device)
    if task == translation.TASK:
        return Translator.load(folder, device=device)
    if task == forecasting.TASK:
        return Forecaster.load(folder, device=device)
    if task == word2vec.TASK:
        return Word2Vec.load(folder)
    raise ModelFolderError(f"{folder}: holds a model for {task!r}, which this throughtime doesn't know")
