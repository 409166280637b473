"""Open any model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from throughtime.errors import ModelFolderError
from throughtime.tasks import (
    captioning,
    image_classification,
    language_modelling,
    next_frame,
    text_classification,
    translation,
    video_classification,
    visual_question_answering,
    word2vec,
)
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import ModelFolder

Model = (
    Captioner
    | ImageClassifier
    | LanguageModel
    | TextClassifier
    | Translator
    | VideoClassifier
    | VideoPredictor
    | VisualQuestionAnswerer
    | Word2Vec
)

_LOADERS: dict[str, Callable[[Path | str, str], Model]] = {
    captioning.TASK: lambda folder, device: Captioner.load(folder, device=device),
    image_classification.TASK: lambda folder, device: ImageClassifier.load(folder, device=device),
    language_modelling.TASK: lambda folder, device: LanguageModel.load(folder, device=device),
    next_frame.TASK: lambda folder, device: VideoPredictor.load(folder, device=device),
    text_classification.TASK: lambda folder, device: TextClassifier.load(folder, device=device),
    translation.TASK: lambda folder, device: Translator.load(folder, device=device),
    video_classification.TASK: lambda folder, device: VideoClassifier.load(folder, device=device),
    visual_question_answering.TASK: lambda folder, device: VisualQuestionAnswerer.load(folder, device=device),
    word2vec.TASK: lambda folder, _: Word2Vec.load(folder),
}


def load(folder: Path | str, *, device: str = "auto") -> Model:
    """Load the model in a folder, whatever its task.

    Args:
        folder: the model folder.
        device: where a network computes: auto, cpu, cuda, mps.

    Raises:
        ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
    """
    task = ModelFolder(folder).read_config()["task"]
    if task not in _LOADERS:
        raise ModelFolderError(f"{folder}: holds a model for {task!r}, which this throughtime doesn't know")
    return _LOADERS[task](folder, device)
