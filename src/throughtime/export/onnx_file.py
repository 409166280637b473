"""An ONNX model of a network, and how onnxruntime is to run it beside the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.cells import State
from throughtime.errors import ArgumentError, BackendError

Arrays = dict[str, npt.NDArray[Any]]
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
        example: for a length and a batch size, inputs at random and what the network gives for them. Where a network
            reads one thing at a time, such as a picture, the length says nothing.
    """

    name: str
    model: Any
    example: Callable[[int, int], tuple[Arrays, Arrays]]


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


def arrays(**tensors: Tensor) -> Arrays:
    """Tensors as inputs and outputs of a session."""
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def named_states(layer: Any, state: Tensor | State, suffix: str = "") -> dict[str, Tensor]:
    """The states of a recurrent layer by their names in its graph."""
    parts = (state,) if isinstance(state, Tensor) else state
    return {f"{name}{suffix}": part for name, part in zip(layer.cell.states, parts, strict=True)}


def random_lengths(time: int, batch: int, generator: torch.Generator) -> Tensor:
    """Lengths of rows, the first of which is full."""
    lengths = torch.randint(1, time + 1, (batch,), generator=generator)
    lengths[0] = time
    return lengths
