"""Open any model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from throughtime.errors import ModelFolderError
from throughtime.tasks import (
    anomaly_detection,
    captioning,
    forecasting,
    image_classification,
    language_modelling,
    sequence_classification,
    text_classification,
    translation,
    word2vec,
)
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import ModelFolder

AnyModel = (
    AnomalyDetector
    | Captioner
    | Forecaster
    | ImageClassifier
    | LanguageModel
    | SequenceClassifier
    | TextClassifier
    | Translator
    | Word2Vec
)

_MODELS: dict[str, Any] = {
    anomaly_detection.TASK: AnomalyDetector,
    captioning.TASK: Captioner,
    forecasting.TASK: Forecaster,
    image_classification.TASK: ImageClassifier,
    language_modelling.TASK: LanguageModel,
    sequence_classification.TASK: SequenceClassifier,
    text_classification.TASK: TextClassifier,
    translation.TASK: Translator,
}


def load(folder: Path | str, *, device: str = "auto") -> AnyModel:
    """Load the model in a folder, whatever its task.

    Args:
        folder: the model folder.
        device: where a network computes: auto, cpu, cuda, mps.

    Raises:
        ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
    """
    task = ModelFolder(folder).read_config()["task"]
    if task == word2vec.TASK:
        return Word2Vec.load(folder)
    if task not in _MODELS:
        raise ModelFolderError(f"{folder}: holds a model for {task!r}, which this throughtime doesn't know")
    return _MODELS[task].load(folder, device=device)
