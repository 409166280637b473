"""Trained models as folders of ONNX files, checked against the models that they were made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from throughtime.errors import ArgumentError
from throughtime.export.companions import write_companions
from throughtime.export.onnx_autoencoder import detector_files
from throughtime.export.onnx_classifiers import classifier_files
from throughtime.export.onnx_decoders import captioner_files, translator_files
from throughtime.export.onnx_file import OnnxFile, check_file, runtime
from throughtime.export.onnx_forecaster import forecaster_files
from throughtime.export.onnx_graph import onnx
from throughtime.export.onnx_language import language_files
from throughtime.export.onnx_pictures import image_classifier_files
from throughtime.export.onnx_questions import question_files
from throughtime.export.onnx_video_captioner import video_captioner_files
from throughtime.export.onnx_videos import frame_predictor_files, video_classifier_files
from throughtime.files import replacing, write_text
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.loading import NetworkModel
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer

CONFIG = "config.json"


@dataclass(frozen=True)
class OnnxExport:
    """What ``export_onnx`` wrote.

    Attributes:
        folder: where.
        files: their names and sizes in bytes.
        errors: of each ONNX file, the largest difference from the network at the lengths and batch sizes that were
            checked, relative to the largest output.
    """

    folder: Path
    files: dict[str, int] = field(default_factory=dict[str, int])
    errors: dict[str, float] = field(default_factory=dict[str, float])


def export_onnx(model: NetworkModel, folder: Path | str) -> OnnxExport:
    """Write a trained model as ONNX files into a new folder, and what goes with them: vocabulary, classes, names.

    Which files there are of each task docs/export.md says. Each is run by onnxruntime at three lengths and batch sizes
    and compared with the network.

    Args:
        model: the model.
        folder: a folder that is empty or doesn't exist.

    Raises:
        ArgumentError: where the model can't be written in ONNX, the folder can't be used, or onnx or onnxruntime is
            not installed.
        BackendError: where a file gives other numbers than the network; nothing is left in the folder.
    """
    kind = next((kind for kind in _FILES if isinstance(model, kind)), None)
    if kind is None:
        raise ArgumentError(f"a {type(model).__name__} can't be written in ONNX")
    place = _new_folder(folder)
    runtime()
    model.network.cpu()
    files = _FILES[kind](model)
    errors = {file.name: check_file(file) for file in files}
    place.mkdir(parents=True, exist_ok=True)
    for file in files:
        with replacing(place / f"{file.name}.onnx") as temporary:
            onnx().save(file.model, str(temporary))
    config: dict[str, Any] = {
        "task": model.folder.read_config()["task"],
        "files": {f"{file.name}.onnx": _described(file.model) for file in files},
        "settings": model.settings.model_dump(exclude_none=True),
        **write_companions(model, place),
    }
    write_text(place / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    sizes = {path.name: path.stat().st_size for path in sorted(place.iterdir()) if path.is_file()}
    return OnnxExport(place, sizes, errors)


def _new_folder(folder: Path | str) -> Path:
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ArgumentError(f"{place}: this is a file; give a folder that doesn't exist yet")
    if place.is_dir() and any(place.iterdir()):
        raise ArgumentError(f"{place}: is not empty; give a folder that is empty or doesn't exist yet")
    return place


def _described(model: Any) -> dict[str, dict[str, list[Any]]]:
    def shapes(values: Any) -> dict[str, list[Any]]:
        return {
            own.name: [axis.dim_param or axis.dim_value for axis in own.type.tensor_type.shape.dim] for own in values
        }

    return {"inputs": shapes(model.graph.input), "outputs": shapes(model.graph.output)}


def _forecaster_files(model: Forecaster) -> list[OnnxFile]:
    encoder = model.data.encoder
    sizes = encoder.past_size, encoder.future_size, encoder.static_size
    return forecaster_files(
        model.network, sizes, is_positive=model.data.is_positive, is_logarithmic=encoder.is_logarithmic
    )


_FILES: dict[type[Any], Callable[[Any], Sequence[OnnxFile]]] = {
    AnomalyDetector: lambda model: detector_files(model.network, model.normal),
    Captioner: lambda model: captioner_files(model.network),
    Forecaster: _forecaster_files,
    ImageClassifier: lambda model: image_classifier_files(model.network),
    LanguageModel: lambda model: language_files(model.network),
    SequenceClassifier: lambda model: classifier_files(model.network),
    TextClassifier: lambda model: classifier_files(model.network),
    Translator: lambda model: translator_files(model.network),
    VideoCaptioner: lambda model: video_captioner_files(model.network),
    VideoClassifier: lambda model: video_classifier_files(model.network),
    VideoPredictor: lambda model: frame_predictor_files(model.network),
    VisualQuestionAnswerer: lambda model: question_files(model.network),
}
"""One line a task."""
