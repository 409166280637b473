"""ONNX files in int8: a quarter of the size, and how much accuracy that costs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from throughtime.data import (
    Ids,
    LabelledSequences,
    LabelledText,
    ParallelText,
    Sequences,
    TokenFile,
    evaluation_batches,
    with_ends,
)
from throughtime.errors import ArgumentError
from throughtime.export.onnx_export import Exportable
from throughtime.export.onnx_file import run_onnx, runtime, session_of
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.sequence_classification import SUFFIX
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classification import encode
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator

INT8 = ".int8.onnx"
LANES, WINDOW, MOST_PAIRS = 16, 256, 64


@dataclass(frozen=True)
class Int8Figures:
    """What int8 costs.

    Attributes:
        measure: what was measured on the validation part, such as nats per token or accuracy.
        float32: with the files as they were.
        int8: with those in int8.
        count: over how many tokens or texts.
        float32_bytes, int8_bytes: the size of all files.
    """

    measure: str
    float32: float
    int8: float
    count: int
    float32_bytes: int
    int8_bytes: int


def quantise(folder: Path | str) -> list[Path]:
    """Write each ONNX file of a folder once more, its matrices in int8, as NAME.int8.onnx.

    Each column of a matrix has a scale of its own; the vectors that matrices are multiplied with are brought to int8
    as they come (dynamic quantisation). LSTMs without peepholes become onnxruntime's own operator for it; onnxruntime
    has none for RNN and GRU, whose recurrent matrices stay in float32.

    Raises:
        ArgumentError: where there is no ONNX file, or onnxruntime isn't installed.
    """
    runtime()
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - an extra

    files = [path for path in sorted(Path(folder).glob("*.onnx")) if not path.name.endswith(INT8)]
    if not files:
        raise ArgumentError(f"{folder}: has no ONNX file to bring to int8")
    written: list[Path] = []
    for path in files:
        target = path.with_name(path.name.removesuffix(".onnx") + INT8)
        logging.disable(logging.WARNING)  # it advises to merge nodes first, which is done when a session is opened
        try:
            quantize_dynamic(path, target, per_channel=True, weight_type=QuantType.QInt8)
        finally:
            logging.disable(logging.NOTSET)
        written.append(target)
    return written


def measure_int8(model: Exportable, folder: Path | str) -> Int8Figures:
    """Measure the files of a folder on the model's validation part, in float32 and in int8.

    Raises:
        ArgumentError: where the model folder has no validation part any more.
    """
    place = Path(folder)
    kind = next(kind for kind in _MEASURES if isinstance(model, kind))
    name, measure = _MEASURES[kind]
    results: list[float] = []
    sizes: list[int] = []
    count = 0
    for ending in (".onnx", INT8):
        files = [path for path in place.glob("*.onnx") if path.name.endswith(INT8) == (ending == INT8)]
        sessions = {path.name.removesuffix(ending): session_of(path) for path in files}
        result, count = measure(model, sessions)
        results.append(result)
        sizes.append(sum(path.stat().st_size for path in files))
    return Int8Figures(name, results[0], results[1], count, sizes[0], sizes[1])


def _part(path: Path) -> Path:
    if not path.exists():
        raise ArgumentError(f"{path.parent} keeps no validation part to measure int8 by; leave out --int8")
    return path


def _language(model: LanguageModel, sessions: dict[str, Any]) -> tuple[float, int]:
    tokens = TokenFile(_part(model.folder.tokens / "valid.npy")).ids[: LANES * (WINDOW + 1)].astype(np.int64)
    length = len(tokens) // min(LANES, max(1, len(tokens) // 32))
    lanes = tokens[: len(tokens) // length * length].reshape(-1, length).T
    scores = run_onnx(sessions["model"], {"tokens": np.ascontiguousarray(lanes[:-1])})["scores"]
    targets = torch.from_numpy(np.ascontiguousarray(lanes[1:])).flatten()
    return float(cross_entropy(torch.from_numpy(scores).flatten(0, 1), targets)), targets.numel()


def _texts(model: TextClassifier, sessions: dict[str, Any]) -> tuple[float, int]:
    part = LabelledText.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    texts = encode(part.texts, model.tokenizer, model.settings)
    return _accuracy(sessions["model"], "tokens", texts, part.labels, model.targets), len(texts)


def _numbers(model: SequenceClassifier, sessions: dict[str, Any]) -> tuple[float, int]:
    part = LabelledSequences.load(_part(model.folder.tokens / f"valid{SUFFIX}"), "valid")
    return _accuracy(sessions["model"], "values", part.sequences, part.labels, model.targets), len(part)


def _accuracy(
    session: Any, name: str, sequences: Sequences | Sequence[Ids], labels: Sequence[Any], targets: ClassTargets
) -> float:
    right = 0
    for rows, batch in evaluation_batches(sequences, 64):
        lengths = batch.lengths if batch.lengths is not None else torch.full((len(rows),), len(batch.values))
        values = batch.values if name == "tokens" else batch.values.float()
        given = {name: values.numpy(), "lengths": lengths.numpy()}
        scores = torch.from_numpy(run_onnx(session, given)["scores"])
        likely = targets.names(targets.likely(targets.probabilities(scores)))
        right += sum(set(labels[row]) == set(own) for row, own in zip(rows.tolist(), likely, strict=True))
    return right / len(labels)


def _translator(model: Translator, sessions: dict[str, Any]) -> tuple[float, int]:
    pairs = ParallelText.load(_part(model.folder.tokens / "valid.jsonl"), "valid")
    total, count = 0.0, 0
    for source, target in zip(pairs.sources[:MOST_PAIRS], pairs.targets[:MOST_PAIRS], strict=True):
        tokens, wanted = model.source.encode(source), with_ends(model.target.encode(target), model.network.end)
        if not len(tokens):
            continue
        state = run_onnx(sessions["encoder"], {"tokens": tokens[:, None], "lengths": np.array([len(tokens)])})
        names = {own.name for own in sessions["step"].get_inputs()}
        if "fed" in names:
            state["fed"] = np.zeros((1, model.network.decoder.fed_size), dtype=np.float32)
        for before, after in pairwise(wanted.tolist()):
            given = {"tokens": np.array([before]), **{name: state[name] for name in names - {"tokens"}}}
            output = run_onnx(sessions["step"], given)
            total += float(cross_entropy(torch.from_numpy(output["scores"]), torch.tensor([after])))
            count += 1
            state |= {name.removesuffix("_n"): own for name, own in output.items() if name.endswith("_n")}
    return total / max(count, 1), count


_Measure = Callable[[Any, dict[str, Any]], tuple[float, int]]
_MEASURES: dict[type[Any], tuple[str, _Measure]] = {
    LanguageModel: ("nats per token", _language),
    SequenceClassifier: ("accuracy", _numbers),
    TextClassifier: ("accuracy", _texts),
    Translator: ("nats per token", _translator),
}
