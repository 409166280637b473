"""A graph in ONNX, written node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from throughtime.errors import ArgumentError

OPSET, IR_VERSION = 17, 8
"""Operators of 2022, which any runtime of today has."""


def onnx() -> Any:
    """The onnx package.

    Raises:
        ArgumentError: where it isn't installed.
    """
    try:
        import onnx as package  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ArgumentError(
            "ONNX needs the package onnx; install it with: pip install 'throughtime[export]'"
        ) from error
    return package


class OnnxGraph:
    """Nodes, weights, inputs and outputs, in the order in which they are added.

    Args:
        outer: the graph that this one is a body in, whose values it sees; None for a graph of its own.
    """

    def __init__(self, outer: OnnxGraph | None = None) -> None:
        self._helper = onnx().helper
        self._root: OnnxGraph = self if outer is None else outer._root
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._count = 0

    def new_name(self, kind: str) -> str:
        """A name that no other value has."""
        self._root._count += 1
        return f"{kind.lower()}_{self._root._count}"

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; give the output's name, which may be chosen."""
        (output,) = self.ops(kind, inputs, [name or self.new_name(kind)], **attributes)
        return output

    def ops(self, kind: str, inputs: Sequence[str], outputs: Sequence[str] | int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; their names, or how many there are."""
        if isinstance(outputs, int):
            outputs = [self.new_name(kind) for _ in range(outputs)]
        self._nodes.append(self._helper.make_node(kind, list(inputs), list(outputs), **attributes))
        return list(outputs)

    def weight(self, name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        """Add a tensor under its name; one that is there already is not added again."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        if name not in self._root._weights:
            self._root._weights[name] = onnx().numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of int64."""
        name = "integers_" + "_".join(str(value).replace("-", "m") for value in values)
        return self.weight(name, np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """A constant scalar of float32."""
        name = f"number_{value!r}".replace("-", "m").replace(".", "_").replace("+", "p")
        return self.weight(name, np.array(value, dtype=np.float32))

    def input(self, name: str, kind: str, shape: Sequence[int | str] | None) -> str:
        """Add an input; ``kind`` is FLOAT, INT64 or BOOL, a string in ``shape`` an axis of any size."""
        self._inputs.append(self._info(name, kind, shape))
        return name

    def output(self, name: str, kind: str, shape: Sequence[int | str] | None) -> str:
        """Make the value of that name an output."""
        self._outputs.append(self._info(name, kind, shape))
        return name

    def _info(self, name: str, kind: str, shape: Sequence[int | str] | None) -> Any:
        number = getattr(onnx().TensorProto, kind)
        return self._helper.make_tensor_value_info(name, number, None if shape is None else list(shape))

    def proto(self, name: str) -> Any:
        """The graph as ONNX writes it."""
        return self._helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=list(self._weights.values())
        )

    def model(self, name: str) -> Any:
        """The model of this graph, checked, with its shapes inferred.

        Raises:
            onnx.checker.ValidationError: where the graph is no ONNX; a mistake of ours.
        """
        model = self._helper.make_model(
            self.proto(name),
            opset_imports=[self._helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="throughtime",
        )
        onnx().checker.check_model(model, full_check=True)
        return model
