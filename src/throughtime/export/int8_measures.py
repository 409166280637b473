"""What int8 costs: the ONNX files of a model on its own validation data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from throughtime.data import (
    CaptionedImages,
    CaptionedVideos,
    Ids,
    LabelledExamples,
    LabelledImages,
    LabelledSequences,
    LabelledText,
    LabelledVideos,
    ParallelText,
    QuestionSequences,
    Sequences,
    TokenFile,
    VideoSequences,
    VisualQuestions,
    evaluation_batches,
    with_ends,
)
from throughtime.errors import ArgumentError
from throughtime.export.onnx_file import Arrays, run_onnx
from throughtime.export.onnx_forecaster import COVARIATES
from throughtime.export.onnx_pictures import picture_name
from throughtime.export.onnx_questions import question_arrays
from throughtime.models import AnswerWriter, DecodingNetwork
from throughtime.tasks.anomaly_detection import kept_windows, open_data
from throughtime.tasks.anomaly_detector import AnomalyDetector
from throughtime.tasks.answer_evaluation import accuracy_of
from throughtime.tasks.answer_forms import ListedAnswers, WrittenAnswers
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.forecast_backtest import Origins, pasts
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.image_features import open_pictures
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.sequence_classification import SUFFIX
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classification import encode
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.visual_question_answerer import VisualQuestionAnswerer
from throughtime.tasks.visual_question_answering import sequences_of_questions

LANES, WINDOW, MOST_PAIRS, MOST_ORIGINS, MOST_VIDEOS = 16, 256, 64, 256, 32
SIZE_OF_BATCH = 64

Sessions = Mapping[str, Any]
"""Sessions of onnxruntime by their files' names without the ending."""


def _part(path: Path) -> Path:
    if not path.exists():
        raise ArgumentError(
            f"{path.parent} keeps no validation part to measure int8 by; the files are written all the same"
        )
    return path


def _language(model: LanguageModel, sessions: Sessions) -> tuple[float, int]:
    tokens = TokenFile(_part(model.folder.tokens / "valid.npy")).ids[: LANES * (WINDOW + 1)].astype(np.int64)
    length = len(tokens) // min(LANES, max(1, len(tokens) // 32))
    lanes = tokens[: len(tokens) // length * length].reshape(-1, length).T
    scores = run_onnx(sessions["model"], {"tokens": np.ascontiguousarray(lanes[:-1])})["scores"]
    targets = torch.from_numpy(np.ascontiguousarray(lanes[1:])).flatten()
    return float(cross_entropy(torch.from_numpy(scores).flatten(0, 1), targets)), targets.numel()


def _texts(model: TextClassifier, sessions: Sessions) -> tuple[float, int]:
    part = LabelledText.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    return _accuracy(
        sessions["model"], "tokens", encode(part.texts, model.tokenizer, model.settings), part, model.targets
    )


def _numbers(model: SequenceClassifier, sessions: Sessions) -> tuple[float, int]:
    part = LabelledSequences.load(_part(model.folder.tokens / f"valid{SUFFIX}"), "valid")
    return _accuracy(sessions["model"], "values", part.sequences, part, model.targets)


def _images(model: ImageClassifier, sessions: Sessions) -> tuple[float, int]:
    part = LabelledImages.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    name = picture_name(model.network.images)
    return _accuracy(sessions["model"], name, open_pictures(model.folder, "valid"), part, model.targets)


def _videos(model: VideoClassifier, sessions: Sessions) -> tuple[float, int]:
    part = LabelledVideos.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    sequences = VideoSequences.whole(open_pictures(model.folder, "valid"), part)
    return _accuracy(sessions["model"], picture_name(model.network.images), sequences, part, model.targets)


def _accuracy(
    session: Any,
    name: str,
    sequences: Sequences | Sequence[Ids],
    part: LabelledExamples[Any],
    targets: ClassTargets,
) -> tuple[float, int]:
    """The share of a part's examples that get their labels; ``name`` is that of the input."""
    takes_lengths = "lengths" in {own.name for own in session.get_inputs()}
    right = 0
    for rows, batch in evaluation_batches(sequences, SIZE_OF_BATCH):
        values = batch.values.float() if name == "values" else batch.values
        given = {name: values.numpy() if takes_lengths else values[0].numpy()}
        if takes_lengths:
            lengths = batch.lengths if batch.lengths is not None else torch.full((len(rows),), len(values))
            given["lengths"] = lengths.numpy()
        scores = torch.from_numpy(run_onnx(session, given)["scores"])
        likely = targets.names(targets.likely(targets.probabilities(scores)))
        right += sum(set(part.labels[row]) == set(own) for row, own in zip(rows.tolist(), likely, strict=True))
    return right / len(part), len(part)


def _translator(model: Translator, sessions: Sessions) -> tuple[float, int]:
    pairs = ParallelText.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    read: list[tuple[Arrays, Ids]] = []
    for source, target in zip(pairs.sources[:MOST_PAIRS], pairs.targets[:MOST_PAIRS], strict=True):
        tokens = model.source.encode(source)
        if len(tokens):
            inputs = {"tokens": tokens[:, None], "lengths": np.array([len(tokens)])}
            read.append((inputs, model.target.encode(target)))
    return _written(model.network, read, sessions)


def _captions(model: Captioner, sessions: Sessions) -> tuple[float, int]:
    part = CaptionedImages.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    frames = open_pictures(model.folder, "valid")
    name = picture_name(model.network.images)
    read: list[tuple[Arrays, Ids]] = []
    for row, captions in enumerate(part.captions[:MOST_PAIRS]):
        read.append(({name: frames.batch([row]).values[0].numpy()}, model.tokenizer.encode(captions[0])))
    return _written(model.network, read, sessions)


def _video_captions(model: VideoCaptioner, sessions: Sessions) -> tuple[float, int]:
    part = CaptionedVideos.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    sequences = VideoSequences.whole(open_pictures(model.folder, "valid"), part)
    name = picture_name(model.network.images)
    read: list[tuple[Arrays, Ids]] = []
    for row, captions in enumerate(part.captions[:MOST_PAIRS]):
        frames = sequences.batch([row]).values.numpy()
        read.append(({name: frames, "lengths": np.array([len(frames)])}, model.tokenizer.encode(captions[0])))
    return _written(model.network, read, sessions)


def _written(network: DecodingNetwork, read: Sequence[tuple[Arrays, Ids]], sessions: Sessions) -> tuple[float, int]:
    """The mean nats per token of what is to be written about each of some sources, its end counted."""
    total, count = 0.0, 0
    names = {own.name for own in sessions["step"].get_inputs()}
    for inputs, target in read:
        state = run_onnx(sessions["encoder"], inputs)
        if "fed" in names:
            state["fed"] = np.zeros((1, network.decoder.fed_size), dtype=np.float32)
        for before, after in pairwise(with_ends(target, network.end).tolist()):
            given = {"tokens": np.array([before]), **{name: state[name] for name in names - {"tokens"}}}
            output = run_onnx(sessions["step"], given)
            total += float(cross_entropy(torch.from_numpy(output["scores"]), torch.tensor([after])))
            count += 1
            state |= {name.removesuffix("_n"): own for name, own in output.items() if name.endswith("_n")}
    return total / max(count, 1), count


def _answers(model: VisualQuestionAnswerer, sessions: Sessions) -> tuple[float, int]:
    part, questions = _questions(model)
    listed = cast("ListedAnswers", model.answers)
    answers = [""] * len(part)
    for rows, batch in questions.batches(SIZE_OF_BATCH):
        likely = run_onnx(sessions["model"], question_arrays(model.network.encoder, batch))["scores"].argmax(-1)
        for row, best in zip(rows.tolist(), likely.tolist(), strict=True):
            answers[row] = listed.names[best]
    return accuracy_of(answers, part), len(part)


def _written_answers(model: VisualQuestionAnswerer, sessions: Sessions) -> tuple[float, int]:
    part, questions = _questions(model)
    network, written = cast("AnswerWriter", model.network), cast("WrittenAnswers", model.answers)
    spelled, rows = written.encoded(part)
    read: list[tuple[Arrays, Ids]] = []
    for row, tokens in list(zip(rows, spelled.tokens, strict=True))[:MOST_PAIRS]:
        read.append((question_arrays(network.encoder, questions.batch([row])), tokens))
    return _written(network, read, sessions)


def _questions(model: VisualQuestionAnswerer) -> tuple[VisualQuestions, QuestionSequences]:
    part = VisualQuestions.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    return part, sequences_of_questions(part, open_pictures(model.folder, "valid"), model.tokenizer)


def _frames(model: VideoPredictor, sessions: Sessions) -> tuple[float, int]:
    part = LabelledVideos.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    sequences = VideoSequences.windows(open_pictures(model.folder, "valid"), part, model.settings.window)
    total, count = 0.0, 0
    for row in range(min(len(sequences), MOST_VIDEOS)):
        pixels = sequences.batch([row]).values.numpy()
        predicted = run_onnx(sessions["model"], {"pixels": pixels[:-1]})["predicted"]
        total += float(((predicted - pixels[1:] / 255) ** 2).sum())
        count += len(predicted)
    return total / max(count, 1), count


def _forecasts(model: Forecaster, sessions: Sessions) -> tuple[float, int]:
    data, table = model.data, model.data.table
    horizon = model.network.first.horizon
    kept = [model.settings.complete("validation")] * len(table)
    step = max(1, sum(kept) // MOST_ORIGINS)
    origins = Origins.rolling(table, horizon, kept, step)
    scales = [data.scale(one) for one in table.series]
    total, count, place = 0.0, 0, 0
    for rows, past in pasts(data, table, origins, horizon):
        own = [scales[row] for row in rows.tolist()]
        unit, offset = (np.array([getattr(scale, name) for scale in own]) for name in ("unit", "offset"))
        values = [scale.restored(column) for scale, column in zip(own, past.target.unbind(1), strict=True)]
        covariates = zip(COVARIATES, (past.past, past.future, past.static), strict=True)
        given = {name: values.numpy() for name, values in covariates if values.shape[-1]}
        given |= {"values": np.stack(values, axis=1), "unit": unit, "offset": offset}
        for row, point in zip(rows.tolist(), run_onnx(sessions["model"], given)["point"], strict=True):
            begin = int(origins.step[place]) + 1
            actual = table.series[row].values[begin : begin + horizon]
            errors = np.abs(scales[row].scaled(point) - scales[row].scaled(actual))
            total, count, place = total + float(np.nansum(errors)), count + int((~np.isnan(errors)).sum()), place + 1
    return total / max(count, 1), count


def _windows(model: AnomalyDetector, sessions: Sessions) -> tuple[float, int]:
    _part(model.folder.tokens / "series.json")
    names, values, present = kept_windows(open_data(model.folder, model.settings), model.settings)
    mean, deviation = (
        np.array([getattr(model.scales[name], part) for name in names]) for part in ("mean", "deviation")
    )
    given = {"values": values.astype(np.float64) * deviation + mean, "mean": mean, "deviation": deviation}
    errors = run_onnx(sessions["model"], given)["errors"]
    return float((errors**2 * present).sum() / max(present.sum(), 1)), len(names)


_Measure = Callable[[Any, Sessions], tuple[float, int]]
_MEASURES: dict[type[Any], tuple[str, _Measure]] = {
    AnomalyDetector: ("squared error, in deviations", _windows),
    VideoCaptioner: ("nats per token", _video_captions),
    Captioner: ("nats per token", _captions),
    Forecaster: ("absolute error, in units of the naive forecast's", _forecasts),
    ImageClassifier: ("accuracy", _images),
    LanguageModel: ("nats per token", _language),
    SequenceClassifier: ("accuracy", _numbers),
    TextClassifier: ("accuracy", _texts),
    Translator: ("nats per token", _translator),
    VideoClassifier: ("accuracy", _videos),
    VideoPredictor: ("squared error of a frame", _frames),
    VisualQuestionAnswerer: ("accuracy", _answers),
}


def measure_for(model: Any) -> tuple[str, _Measure]:
    """What is measured of a model, and the function that measures it, which also says over how many things."""
    if isinstance(model, VisualQuestionAnswerer) and isinstance(model.answers, WrittenAnswers):
        return "nats per token", _written_answers
    return next(own for kind, own in _MEASURES.items() if isinstance(model, kind))
