"""ONNX files in int8: a quarter of the size, and how much accuracy that costs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.errors import ArgumentError
from throughtime.export.int8_measures import measure_for
from throughtime.export.onnx_file import runtime, session_of
from throughtime.export.onnx_graph import onnx
from throughtime.tasks.loading import NetworkModel

INT8 = ".int8.onnx"
WEIGHTS = {"RNN": (1, 2), "GRU": (1, 2), "LSTM": (1, 2), "MatMul": (1,), "Conv": (1,)}
"""Which inputs of an operator are weights, and the axis that its outputs stand on."""
ROWS = {"RNN": 1, "GRU": 1, "LSTM": 1, "MatMul": -1, "Conv": 0}
FEWEST_WEIGHTS = 256
"""Smaller ones are left as they are."""


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

    Each row of a matrix has a scale of its own; the vectors that matrices are multiplied with are brought to int8 as
    they come (dynamic quantisation). LSTMs without peepholes become onnxruntime's own operator for it. It has none for
    RNN and GRU, nor for steps of a Scan: their weights are kept in int8 and brought back to float32 when a session is
    opened.

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
        model = onnx().load(str(target))
        _keep_as_int8(model)
        onnx().save(model, str(target))
        written.append(target)
    return written


def _keep_as_int8(model: Any) -> None:
    """Keep the weights that are still in float32 as int8, a scale for each row, and bring them back by a node."""
    helper, arrays = onnx().helper, onnx().numpy_helper
    axes = _weights_of(model.graph)
    nodes: list[Any] = []
    for tensor in list(model.graph.initializer):
        values = arrays.to_array(tensor)
        if tensor.name not in axes or values.dtype != np.float32 or values.size < FEWEST_WEIGHTS:
            continue
        axis = axes[tensor.name] % values.ndim
        others = tuple(place for place in range(values.ndim) if place != axis)
        scale = np.maximum(np.abs(values).max(axis=others) / 127, np.finfo(np.float32).tiny).astype(np.float32)
        small = np.round(values / np.expand_dims(scale, others)).astype(np.int8)
        name = tensor.name
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(
            [
                arrays.from_array(small, f"{name}_int8"),
                arrays.from_array(scale, f"{name}_scale"),
                arrays.from_array(np.zeros(len(scale), dtype=np.int8), f"{name}_zero"),
            ]
        )
        inputs = [f"{name}_int8", f"{name}_scale", f"{name}_zero"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *own])


def _weights_of(graph: Any) -> dict[str, int]:
    """The names of all weights by which something is multiplied, also in the steps of a Scan; and their rows' axes."""
    found: dict[str, int] = {}
    for node in graph.node:
        for place in WEIGHTS.get(node.op_type, ()):
            found[node.input[place]] = ROWS[node.op_type]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _weights_of(attribute.g)
    return found


def measure_int8(model: NetworkModel, folder: Path | str) -> Int8Figures:
    """Measure the files of a folder on the model's validation part, in float32 and in int8.

    Raises:
        ArgumentError: where the model folder has no validation part any more.
    """
    place = Path(folder)
    name, measure = measure_for(model)
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
