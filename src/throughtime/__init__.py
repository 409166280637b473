"""Recurrent neural networks on PyTorch: exact layers, backpropagation through time, and the tasks they are used for.

>>> import throughtime
>>> layer = throughtime.nn.LSTM(3, 5, bidirectional=True)
>>> model = throughtime.LanguageModel.fit("book.txt", time_budget="3m")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from throughtime.version import __version__

if TYPE_CHECKING:
    from throughtime import bptt, cells, data, decoding, export, inspection, models, nn, recurrence, training, word2vec
    from throughtime.configuration import show_config
    from throughtime.data import (
        CaptionedImages,
        CaptionedVideos,
        LabelledImages,
        LabelledSequences,
        LabelledText,
        LabelledVideos,
        ParallelText,
        TextInMemory,
        VisualQuestions,
    )
    from throughtime.errors import ThroughTimeError
    from throughtime.nn.replacement import replace_recurrent
    from throughtime.sequence import SequenceBatch
    from throughtime.tasks.anomaly_detector import AnomalyDetector
    from throughtime.tasks.captioner import Captioner
    from throughtime.tasks.forecaster import Forecaster
    from throughtime.tasks.image_classifier import ImageClassifier
    from throughtime.tasks.language_model import LanguageModel
    from throughtime.tasks.loading import load
    from throughtime.tasks.sequence_classifier import SequenceClassifier
    from throughtime.tasks.text_classifier import TextClassifier
    from throughtime.tasks.translator import Translator
    from throughtime.tasks.video_captioner import VideoCaptioner
    from throughtime.tasks.video_classifier import VideoClassifier
    from throughtime.tasks.video_predictor import VideoPredictor
    from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
    from throughtime.tasks.word2vec_model import Word2Vec
    from throughtime.word2vec.vectors import WordVectors

# Importing torch takes a second, which `throughtime --help` need not wait for.
_MODULES = (
    "bptt", "cells", "data", "decoding", "export", "inspection", "models", "nn", "recurrence", "training", "word2vec",
)  # fmt: skip
_NAMES = {
    "AnomalyDetector": "throughtime.tasks.anomaly_detector",
    "CaptionedImages": "throughtime.data",
    "CaptionedVideos": "throughtime.data",
    "Captioner": "throughtime.tasks.captioner",
    "Forecaster": "throughtime.tasks.forecaster",
    "ImageClassifier": "throughtime.tasks.image_classifier",
    "LabelledImages": "throughtime.data",
    "LabelledSequences": "throughtime.data",
    "LabelledText": "throughtime.data",
    "LabelledVideos": "throughtime.data",
    "LanguageModel": "throughtime.tasks.language_model",
    "ParallelText": "throughtime.data",
    "SequenceBatch": "throughtime.sequence",
    "SequenceClassifier": "throughtime.tasks.sequence_classifier",
    "TextClassifier": "throughtime.tasks.text_classifier",
    "TextInMemory": "throughtime.data",
    "ThroughTimeError": "throughtime.errors",
    "Translator": "throughtime.tasks.translator",
    "VideoCaptioner": "throughtime.tasks.video_captioner",
    "VideoClassifier": "throughtime.tasks.video_classifier",
    "VideoPredictor": "throughtime.tasks.video_predictor",
    "VisualQuestionAnswerer": "throughtime.tasks.visual_question_answerer",
    "VisualQuestions": "throughtime.data",
    "Word2Vec": "throughtime.tasks.word2vec_model",
    "WordVectors": "throughtime.word2vec.vectors",
    "load": "throughtime.tasks.loading",
    "replace_recurrent": "throughtime.nn.replacement",
    "show_config": "throughtime.configuration",
}

__all__ = [
    "AnomalyDetector",
    "CaptionedImages",
    "CaptionedVideos",
    "Captioner",
    "Forecaster",
    "ImageClassifier",
    "LabelledImages",
    "LabelledSequences",
    "LabelledText",
    "LabelledVideos",
    "LanguageModel",
    "ParallelText",
    "SequenceBatch",
    "SequenceClassifier",
    "TextClassifier",
    "TextInMemory",
    "ThroughTimeError",
    "Translator",
    "VideoCaptioner",
    "VideoClassifier",
    "VideoPredictor",
    "VisualQuestionAnswerer",
    "VisualQuestions",
    "Word2Vec",
    "WordVectors",
    "__version__",
    "bptt",
    "cells",
    "data",
    "decoding",
    "export",
    "inspection",
    "load",
    "models",
    "nn",
    "recurrence",
    "replace_recurrent",
    "show_config",
    "training",
    "word2vec",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"throughtime.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'throughtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
