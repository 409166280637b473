"""A report of a look inside any trained model: one page that works by itself, its figures, and its numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.errors import ArgumentError
from throughtime.files import replacing, write_text
from throughtime.inspection import (
    anomaly_report,
    caption_report,
    classifier_report,
    forecast_report,
    frame_report,
    image_report,
    language_report,
    question_report,
    sequence_report,
    translation_report,
    video_caption_report,
    video_report,
)
from throughtime.inspection.coloured_text import STYLE
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section, page
from throughtime.inspection.recurrent_report import Numbers, flow_of
from throughtime.inspection.word_report import word_sections
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.loading import AnyModel, load
from throughtime.tasks.reading import Reading
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.training import ModelFolder
from throughtime.word2vec import WordVectors

PAGE, NUMBERS, FIGURES, PROJECTOR = "index.html", "numbers.json", "figures", "projector"


@dataclass(frozen=True)
class Report:
    """What is to be seen in a model.

    Attributes:
        title: what was looked at.
        facts: names and values of the model.
        sections: the parts of the page.
        numbers: what was measured, for JSON.
        vectors: word vectors to write for the embedding projector; None where there are none.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    numbers: Numbers
    vectors: WordVectors | None = None

    def save(self, folder: Path | str) -> None:
        """Write index.html, numbers.json and figures/*.svg into a folder, and projector/ of word vectors.

        Files of an earlier report are replaced.

        Raises:
            ArgumentError: where the folder can't be made.
        """
        place = check_report_folder(folder)
        figures = place / FIGURES
        figures.mkdir(parents=True, exist_ok=True)
        for section in self.sections:
            for picture in section.pictures:
                with replacing(figures / f"{picture.name}.svg") as temporary:
                    temporary.write_bytes(picture.light)
        if self.vectors is not None:
            (place / PROJECTOR).mkdir(exist_ok=True)
            self.vectors.save(place / PROJECTOR / "vectors.tsv", "projector")
        write_text(place / NUMBERS, json.dumps(_finite(self.numbers), ensure_ascii=False, indent=1) + "\n")
        write_text(place / PAGE, page(self.title, self.facts, self.sections, style=STYLE))


def check_report_folder(folder: Path | str) -> Path:
    """The folder, if a report may be written there.

    Raises:
        ArgumentError: where a file stands there, or a folder that holds other things than a report.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ArgumentError(f"{place}: this is a file; give a folder to write the report into")
    if place.is_dir() and any(place.iterdir()) and not (place / PAGE).exists():
        raise ArgumentError(f"{place}: is not empty and holds no report; give a folder that is empty or doesn't exist")
    return place


def inspect_model(
    model: Path | str,
    texts: Sequence[str] = (),
    *,
    files: Sequence[Path | str] = (),
    beside: Sequence[Path | str] = (),
    device: str = "auto",
) -> Report:
    """Look inside a trained model.

    Args:
        model: the model folder.
        texts: what to look at it with: text, sentences or words, by its task; some of its own if there are none.
        files: pictures, videos or a table of series to look at it with, by its task.
        beside: folders of other models of the same task, whose gradient flow is shown beside this one's.
        device: where to compute: auto, cpu, cuda, mps.

    Raises:
        ModelFolderError: where a folder can't be used.
        ArgumentError: where models are of different tasks, or the texts can't be used.
    """
    loaded = load(model, device=device)
    given = Given(tuple(texts), tuple(Path(file) for file in files))
    if isinstance(loaded, Word2Vec):
        given.check("words", texts=True, files=False)
        if beside:
            raise ArgumentError("word vectors have no gradient flow to show beside others; leave out `beside`")
        return inspect_vectors(loaded.vectors, texts, title=str(model))
    look = next((own for kind, own in _LOOKS.items() if isinstance(loaded, kind)), None)
    task: str = loaded.folder.read_config()["task"]
    if look is None:
        raise ArgumentError(f"{model}: holds a model for {task}, which this throughtime can't look inside yet")
    numbers: Numbers = {"model": str(model), "task": task}
    names = [Path(other).name for other in beside]
    alike = len({Path(model).name, *names}) <= len(names)
    flows = {
        str(other) if alike else name: _flow_beside(other, loaded, look, given, device)
        for other, name in zip(beside, names, strict=True)
    }
    sections = look.sections(loaded, given, flows, numbers)
    weights = f"{sum(weight.numel() for weight in loaded.network.parameters()):,}"
    network = look.describe(loaded).removesuffix(f", {weights} weights")
    facts = (("task", task.replace("_", " ")), ("network", network), ("weights", weights))
    return Report(f"Inside {Path(model).name}", facts, tuple(sections), numbers)


def inspect_vectors(vectors: WordVectors, words: Sequence[str] = (), *, title: str = "word vectors") -> Report:
    """Look at word vectors, a model's or a file's.

    Raises:
        ArgumentError: where a word has no vector.
    """
    numbers: Numbers = {"model": title, "task": "word2vec"}
    sections = word_sections(vectors, words, numbers)
    facts = (("words", f"{len(vectors):,}"), ("features", f"{vectors.vectors.shape[1]:,}"))
    return Report(f"Inside {Path(title).name}", facts, tuple(sections), numbers, vectors)


def flow_reading(model: AnyModel, texts: Sequence[str] = ()) -> Reading | None:
    """What a model's recurrent layers read of texts, or of some of its own data if there are none.

    Returns:
        None where the model has no recurrent layers that are looked into.

    Raises:
        ArgumentError: where it can't read texts, or there are none and none were kept.
    """
    look = next((look for kind, look in _LOOKS.items() if isinstance(model, kind)), None)
    return None if look is None else look.flow_reading(model, Given(tuple(texts)))


@dataclass(frozen=True)
class _Look:
    """How to look inside the models of one task."""

    sections: Callable[[Any, Given, dict[str, GradientFlow], Numbers], list[Section]]
    flow_reading: Callable[[Any, Given], Reading | None]
    describe: Callable[[Any], str]


def _by_texts(
    reads: str,
    sections: Callable[[Any, Sequence[str], dict[str, GradientFlow], Numbers], list[Section]],
    flow_reading: Callable[[Any, Sequence[str]], Reading | None],
    describe: Callable[[Any], str],
) -> _Look:
    """How to look inside models that read no files."""

    def texts_of(given: Given) -> Sequence[str]:
        given.check(reads, texts=True, files=False)
        return given.texts

    return _Look(
        lambda model, given, beside, numbers: sections(model, texts_of(given), beside, numbers),
        lambda model, given: flow_reading(model, texts_of(given)),
        describe,
    )


def _layers(model: LanguageModel) -> str:
    settings = model.settings
    return f"{settings.cell.upper()}, {settings.num_layers} x {settings.hidden_size} units, {settings.tokens} tokens"


_LOOKS: dict[type[Any], _Look] = {
    AnomalyDetector: _Look(
        anomaly_report.anomaly_sections,
        anomaly_report.flow_reading,
        lambda model: model.name,
    ),
    Captioner: _Look(
        caption_report.caption_sections,
        caption_report.flow_reading,
        lambda model: model.settings.network_name,
    ),
    Forecaster: _by_texts(
        "series",
        forecast_report.forecast_sections,
        forecast_report.flow_reading,
        lambda model: model.title,
    ),
    ImageClassifier: _Look(
        image_report.image_sections,
        image_report.flow_reading,
        lambda model: model.name,
    ),
    LanguageModel: _by_texts("text", language_report.language_sections, language_report.flow_reading, _layers),
    SequenceClassifier: _by_texts(
        "sequences of numbers",
        sequence_report.sequence_sections,
        sequence_report.flow_reading,
        lambda model: model.settings.name,
    ),
    TextClassifier: _by_texts(
        "texts",
        classifier_report.classifier_sections,
        classifier_report.flow_reading,
        lambda model: model.settings.name,
    ),
    Translator: _by_texts(
        "sentences",
        translation_report.translation_sections,
        lambda model, texts: translation_report.flow_readings(model, texts)[0],
        lambda model: model.settings.network_name,
    ),
    VideoCaptioner: _Look(
        video_caption_report.video_caption_sections,
        lambda model, given: video_caption_report.flow_readings(model, given)[0],
        lambda model: model.settings.network_name,
    ),
    VideoClassifier: _Look(
        video_report.video_sections,
        video_report.flow_reading,
        lambda model: model.name,
    ),
    VideoPredictor: _Look(
        frame_report.frame_sections,
        frame_report.flow_reading,
        lambda model: model.name,
    ),
    VisualQuestionAnswerer: _Look(
        question_report.question_sections,
        question_report.flow_reading,
        lambda model: model.name,
    ),
}
"""One line a task."""


def _flow_beside(folder: Path | str, model: Any, look: _Look, given: Given, device: str) -> GradientFlow:
    task, own = (place.read_config()["task"] for place in (ModelFolder(folder), model.folder))
    if task != own:
        raise ArgumentError(f"{folder}: holds a model for {task}, which can't stand beside one for {own}")
    other = type(model).load(folder, device=device)
    reading = look.flow_reading(other, given)
    if reading is None:
        raise ArgumentError(f"{folder}: holds a model without recurrent layers")
    return flow_of(reading)


def _finite(value: Any) -> Any:
    """JSON knows neither infinity nor NaN."""
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
