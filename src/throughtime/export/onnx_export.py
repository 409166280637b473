"""Trained models as folders of ONNX files, checked against the models that they were made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.errors import ArgumentError, BackendError
from throughtime.export.onnx_graph import onnx
from throughtime.export.onnx_networks import (
    classifier_graph,
    decoder_step,
    encoder_graph,
    language_model_graph,
    language_model_step,
)
from throughtime.files import replacing, write_text
from throughtime.models import (
    EncoderDecoder,
    RecurrentLanguageModel,
    RecurrentSequenceClassifier,
    RecurrentTextClassifier,
)
from throughtime.sequence import SequenceBatch
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.sentence_tokenizers import save_tokenizers
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.tasks.translator import Translator
from throughtime.training import ModelFolder

Exportable = LanguageModel | SequenceClassifier | TextClassifier | Translator
"""What can be written."""

Arrays = dict[str, npt.NDArray[Any]]
CONFIG = "config.json"
CHECKED_SHAPES = ((1, 1), (7, 3), (20, 2))
"""Lengths and batch sizes at which a file is compared with its model."""
TOLERANCE = 1e-5
"""How far an output may be from the model's, as a share of the largest there is, or of 1 if that is less."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model of a network, and how it is to be checked.

    Attributes:
        name: of the file, without its ending.
        model: the onnx.ModelProto.
        example: for a length and a batch size, inputs at random and what the network gives for them.
    """

    name: str
    model: Any
    example: Callable[[int, int], tuple[Arrays, Arrays]]


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


def export_onnx(model: Exportable, folder: Path | str) -> OnnxExport:
    """Write a trained model as ONNX files into a new folder, and what goes with them: vocabulary, classes, names.

    A language model becomes model.onnx and step.onnx, a classifier model.onnx, a translator encoder.onnx and step.onnx.
    Each is run by onnxruntime at three lengths and batch sizes and compared with the network.

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
        raise ArgumentError(f"a {type(model).__name__} can't be written in ONNX yet")
    place = _new_folder(folder)
    runtime()
    files = _FILES[kind](model.network.cpu())
    errors = {file.name: check_file(file) for file in files}
    place.mkdir(parents=True, exist_ok=True)
    for file in files:
        with replacing(place / f"{file.name}.onnx") as temporary:
            onnx().save(file.model, str(temporary))
    config: dict[str, Any] = {
        "task": model.folder.read_config()["task"],
        "files": {f"{file.name}.onnx": _described(file.model) for file in files},
        "settings": model.settings.model_dump(exclude_none=True),
    }
    if isinstance(model, Translator):
        save_tokenizers(ModelFolder(place), model.source, model.target)
        config["end"] = model.network.end
    elif not isinstance(model, SequenceClassifier):
        model.tokenizer.save(place / "tokenizer.json")
    if isinstance(model, SequenceClassifier):
        config["channels"] = list(model.channels)
    if isinstance(model, TextClassifier | SequenceClassifier):
        config["classes"] = list(model.targets.classes)
    write_text(place / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    sizes = {path.name: path.stat().st_size for path in sorted(place.iterdir()) if path.is_file()}
    return OnnxExport(place, sizes, errors)


def runtime() -> Any:
    """The onnxruntime package.

    Raises:
        ArgumentError: where it isn't installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ArgumentError(
            "checking ONNX files needs the package onnxruntime; install it with: pip install 'throughtime[export]'"
        ) from error
    return onnxruntime


def run_onnx(session: Any, inputs: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Run a session of onnxruntime; give its outputs by their names."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def session_of(model: Any) -> Any:
    """A session of onnxruntime, on the CPU, of a ModelProto or the path of its file."""
    given = str(model) if isinstance(model, str | Path) else model.SerializeToString()
    return runtime().InferenceSession(given, providers=["CPUExecutionProvider"])


def check_file(file: OnnxFile) -> float:
    """Compare a file with its network at ``CHECKED_SHAPES``; give the largest relative difference.

    Raises:
        BackendError: where it is more than ``TOLERANCE``.
    """
    session = session_of(file.model)
    worst = 0.0
    for time, batch in CHECKED_SHAPES:
        inputs, expected = file.example(time, batch)
        given = run_onnx(session, inputs)
        for name, want in expected.items():
            difference = float(np.abs(given[name].astype(np.float64) - want).max()) / max(
                1.0, float(np.abs(want.astype(np.float64)).max())
            )
            if not difference <= TOLERANCE:
                raise BackendError(
                    f"{file.name}.onnx: {name} is {difference:.1e} from the model's at length {time} and batch size "
                    f"{batch}, more than {TOLERANCE:g}; nothing was written"
                )
            worst = max(worst, difference)
    return worst


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


def _arrays(**tensors: Tensor) -> Arrays:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _states(layer: Any, state: Tensor | tuple[Tensor, ...], suffix: str = "") -> dict[str, Tensor]:
    parts = (state,) if isinstance(state, Tensor) else state
    return {f"{name}{suffix}": part for name, part in zip(layer.cell.states, parts, strict=True)}


def _random_lengths(time: int, batch: int, generator: torch.Generator) -> Tensor:
    lengths = torch.randint(1, time + 1, (batch,), generator=generator)
    lengths[0] = time
    return lengths


def language_files(network: RecurrentLanguageModel) -> list[OnnxFile]:
    """The files of a language model."""
    generator = torch.Generator().manual_seed(0)
    layer = network.recurrent

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        tokens = torch.randint(network.vocabulary_size, (time, batch), generator=generator)
        scores, state = network(tokens)
        return _arrays(tokens=tokens), _arrays(scores=scores, **_states(layer, state, "_n"))

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        tokens = torch.randint(network.vocabulary_size, (time + 1, batch), generator=generator)
        _, before = network(tokens[:-1])
        scores, after = network(tokens[-1:], before)
        inputs = _arrays(tokens=tokens[-1], **_states(layer, before))
        return inputs, _arrays(scores=scores[0], **_states(layer, after, "_n"))

    return [
        OnnxFile("model", language_model_graph(network), whole),
        OnnxFile("step", language_model_step(network), step),
    ]


def classifier_files(network: RecurrentTextClassifier | RecurrentSequenceClassifier) -> list[OnnxFile]:
    """The file of a classifier."""
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        if isinstance(network, RecurrentTextClassifier):
            name, inputs = "tokens", torch.randint(network.vocabulary_size, (time, batch), generator=generator)
        else:
            drawn = torch.randn(time, batch, network.input_size, generator=generator)
            name, inputs = "values", drawn * network.scale + network.mean
        lengths = _random_lengths(time, batch, generator)
        expected = network(SequenceBatch(inputs, lengths))
        return _arrays(**{name: inputs, "lengths": lengths}), _arrays(scores=expected)

    return [OnnxFile("model", classifier_graph(network), whole)]


def translator_files(network: EncoderDecoder) -> list[OnnxFile]:
    """The files of a translator."""
    generator = torch.Generator().manual_seed(0)
    layer = network.decoder.recurrent

    @torch.no_grad()
    def encoded(time: int, batch: int) -> tuple[Any, Arrays, dict[str, Tensor]]:
        count = network.encoder.embedding.num_embeddings
        tokens = torch.randint(count, (time, batch), generator=generator)
        lengths = _random_lengths(time, batch, generator)
        state = network.encode(SequenceBatch(tokens, lengths))
        given = _states(layer, state.recurrent)
        if state.memory is not None:
            padding = state.memory.padding
            none = torch.zeros(batch, time, dtype=torch.bool)
            given |= {
                "values": state.memory.values,
                "keys": state.memory.keys,
                "padding": none if padding is None else padding.squeeze(1),
            }
        return state, _arrays(tokens=tokens, lengths=lengths), given

    def encode(time: int, batch: int) -> tuple[Arrays, Arrays]:
        _, inputs, given = encoded(time, batch)
        return inputs, _arrays(**given)

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        state, _, given = encoded(time, batch)
        tokens = torch.randint(network.end, (batch,), generator=generator)
        if network.decoder.input_feeding:
            given["fed"] = torch.zeros(batch, network.decoder.fed_size)
        after, scores = network.next_step(state, tokens)
        expected = {"scores": scores, **_states(layer, after.recurrent, "_n")}
        if after.weights is not None:
            expected["weights"] = after.weights
        return _arrays(tokens=tokens, **given), _arrays(**expected)

    return [OnnxFile("encoder", encoder_graph(network), encode), OnnxFile("step", decoder_step(network), step)]


_FILES: dict[type[Any], Callable[[Any], Sequence[OnnxFile]]] = {
    LanguageModel: language_files,
    SequenceClassifier: classifier_files,
    TextClassifier: classifier_files,
    Translator: translator_files,
}
"""One line a task."""
