"""What goes with a model's ONNX files: its vocabulary, and what config.json is to say of inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime.models.forecast_outputs import QuantileOutput
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.captioning_model import CaptioningModel
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.image_features import PictureReader
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.sentence_tokenizers import save_tokenizers
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.training import ModelFolder

TOKENIZER = "tokenizer.json"


def write_companions(model: Any, folder: Path) -> dict[str, Any]:
    """Write the vocabulary into a folder, if the model has one, and the answers that it gives.

    Returns:
        What config.json is to say beside the files' inputs and outputs.
    """
    if isinstance(model, LanguageModel | TextClassifier):
        model.tokenizer.save(folder / TOKENIZER)
    elif isinstance(model, CaptioningModel | VisualQuestionAnswerer):
        model.tokenizer.tokenizer.save(folder / TOKENIZER)
        if isinstance(model, VisualQuestionAnswerer):
            model.answers.save(ModelFolder(folder))
    elif isinstance(model, Translator):
        save_tokenizers(ModelFolder(folder), model.source, model.target)
    said = {name: of(model) for name, kinds, of in _SAID if isinstance(model, kinds)}
    if isinstance(model, AnomalyDetector):
        said |= _normal(model)
    return {**said, **_series(model)} if isinstance(model, Forecaster) else said


def _pictures(reader: PictureReader) -> dict[str, Any]:
    """How a picture becomes pixels; and which network is to make features of these, where the files want features."""
    how = reader.preprocessing
    said: dict[str, Any] = {"height": how.height, "width": how.width, "channels": how.channels, "fit": how.fit}
    if not reader.gives_pixels and reader.backbone is not None:
        backbone = reader.backbone
        said["backbone"] = {"config": backbone.config, "mean": how.mean, "std": how.std, "spatial": backbone.spatial}
    return said


def _normal(model: AnomalyDetector) -> dict[str, Any]:
    """The windows of an anomaly detector, and what is odd."""
    return {
        "window": model.window,
        "hop": model.settings.hop,
        "threshold": model.thresholds["model"],
        "recordings": {name: asdict(scale) for name, scale in model.scales.items()},
    }


def _series(model: Forecaster) -> dict[str, Any]:
    """The units of the series of a forecaster, and what its covariates are, feature by feature."""
    encoder, settings, network = model.data.encoder, model.settings, model.network
    past: dict[str, Any] = {name: asdict(one) for name, one in encoder.past.items()}
    if encoder.shows_missing:
        past["missing"] = "1 where the value is missing, and filled from before"
    output = network.output
    scales = {one.unique_id: model.data.scale(one) for one in model.data.table.series}
    return {
        "window": network.first.window,
        "horizon": network.first.horizon,
        "context": settings.complete("context"),
        "quantiles": output.probabilities if isinstance(output, QuantileOutput) else (),
        "series": {name: {"offset": scale.offset, "unit": scale.unit} for name, scale in scales.items()},
        "past_covariates": past,
        "future_covariates": {
            **{name: asdict(one) for name, one in encoder.future.items()},
            **dict.fromkeys(encoder.calendar, "of the calendar"),
        },
        "static_covariates": {name: asdict(one) for name, one in encoder.static.items()},
    }


_SEES = (CaptioningModel, ImageClassifier, VideoClassifier, VideoPredictor, VisualQuestionAnswerer)
_SAID: list[tuple[str, tuple[type[Any], ...], Callable[[Any], object]]] = [
    ("end", (Translator, CaptioningModel), lambda model: model.network.end),
    ("grid", (Captioner,), lambda model: model.network.images.grid),
    ("grid", (VisualQuestionAnswerer,), lambda model: model.network.encoder.images.grid),
    ("pictures", _SEES, lambda model: _pictures(model.reader)),
    ("channels", (SequenceClassifier, AnomalyDetector), lambda model: model.channels),
    (
        "classes",
        (TextClassifier, SequenceClassifier, ImageClassifier, VideoClassifier),
        lambda model: model.targets.classes,
    ),
]
"""What config.json says under which name, and of which models."""
