"""Open any model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from throughtime.errors import ModelFolderError
from throughtime.tasks import (
    anomaly_detection,
    captioning,
    forecasting,
    image_classification,
    language_modelling,
    next_frame,
    sequence_classification,
    text_classification,
    translation,
    video_captioning,
    video_classification,
    visual_question_answering,
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
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import ModelFolder

NetworkModel = (
    AnomalyDetector
    | Captioner
    | Forecaster
    | ImageClassifier
    | LanguageModel
    | SequenceClassifier
    | TextClassifier
    | Translator
    | VideoCaptioner
    | VideoClassifier
    | VideoPredictor
    | VisualQuestionAnswerer
)
"""A model of any task that trains a network: of any but word vectors."""

AnyModel = NetworkModel | Word2Vec
"""A model of any task."""


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
    if task not in _LOADERS:
        raise ModelFolderError(f"{folder}: holds a model for {task!r}, which this throughtime doesn't know")
    return _LOADERS[task](folder, device=device)


_LOADERS: dict[str, Callable[..., AnyModel]] = {
    anomaly_detection.TASK: AnomalyDetector.load,
    captioning.TASK: Captioner.load,
    forecasting.TASK: Forecaster.load,
    image_classification.TASK: ImageClassifier.load,
    language_modelling.TASK: LanguageModel.load,
    sequence_classification.TASK: SequenceClassifier.load,
    text_classification.TASK: TextClassifier.load,
    next_frame.TASK: VideoPredictor.load,
    translation.TASK: Translator.load,
    video_captioning.TASK: VideoCaptioner.load,
    video_classification.TASK: VideoClassifier.load,
    visual_question_answering.TASK: VisualQuestionAnswerer.load,
}
