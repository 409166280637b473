"""Whom `recurrent.py` measures beside our layers: torch.nn, a cell written in Python, ONNX Runtime, single steps."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recurrent_measuring import Call
from recurrent_targets import Shape
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import throughtime

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
# Where torch's blocks of rows stand in ONNX's order: i, o, f, c from i, f, g, o; z, r, h from r, z, n.
_ONNX_BLOCKS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def our_layer(name: str, shape: Shape, **options: Any) -> throughtime.nn.Recurrent:
    torch.manual_seed(1)
    return getattr(throughtime.nn, name)(shape.input_size, shape.hidden_size, **options)


def torch_layer(name: str, ours: throughtime.nn.Recurrent) -> torch.nn.Module:
    """Torch's layer with the weights of ours."""
    layer = getattr(torch.nn, name)(ours.input_size, ours.hidden_size)
    layer.load_state_dict(ours.state_dict())
    return layer


class Packed(torch.nn.Module):
    """Torch's layer on sequences of different lengths, as its documentation has it; tensors in and out."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        """Pack, run, pad."""
        outputs, state = self.layer(pack_padded_sequence(inputs, lengths, enforce_sorted=False))
        return pad_packed_sequence(outputs)[0], state


class PeepholeLoop(torch.nn.Module):
    """An LSTM with diagonal peepholes as users write it: the input's product at once, then a loop over the steps.

    The weights have the names and shapes of ``throughtime.nn.LSTM(peephole="diagonal")``.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor
    weight_peephole_l0: Tensor

    def __init__(self, ours: throughtime.nn.Recurrent, *, compile_step: bool = False) -> None:
        super().__init__()
        for name, weight in ours.named_parameters():
            self.register_parameter(name, torch.nn.Parameter(weight.detach().clone()))
        step: Callable[..., tuple[Tensor, Tensor]] = peephole_step
        self.step = torch.compile(step) if compile_step else step

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run from a state of zeros."""
        input_gates = functional.linear(inputs, self.weight_ih_l0, self.bias_ih_l0)
        hidden = cell = inputs.new_zeros(inputs.shape[1], self.weight_hh_l0.shape[1])
        outputs: list[Tensor] = []
        for gates in input_gates.unbind(0):
            recurrent_gates = functional.linear(hidden, self.weight_hh_l0, self.bias_hh_l0)
            hidden, cell = self.step(gates + recurrent_gates, cell, self.weight_peephole_l0)
            outputs.append(hidden)
        return torch.stack(outputs), (hidden, cell)


def peephole_step(gates: Tensor, cell: Tensor, peephole: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = gates.chunk(4, dim=-1)
    i = torch.sigmoid(i + peephole[0] * cell)
    f = torch.sigmoid(f + peephole[1] * cell)
    cell = f * cell + i * torch.tanh(g)
    return torch.sigmoid(o + peephole[2] * cell) * torch.tanh(cell), cell


def onnx_runtime_is_here() -> bool:
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


class OnnxRuntime(torch.nn.Module):
    """A layer of ONNX Runtime, of one node, with the weights of ours; NumPy's arrays share memory with the tensors."""

    def __init__(self, name: str, ours: throughtime.nn.Recurrent, time: int, batch: int, *, threads: int) -> None:
        super().__init__()
        runtime: Any = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its threads spin for milliseconds after a run: into the turn of the next contestant.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        model = onnx_model(name, ours, time, batch)
        self.session: Any = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        """Run from a state of zeros; the final state is not asked for."""
        (outputs,) = self.session.run(["Y"], {"X": inputs.numpy()})
        return torch.from_numpy(outputs).squeeze(1), None  # the axis of the directions


def onnx_model(name: str, ours: throughtime.nn.Recurrent, time: int, batch: int) -> bytes:
    """Write the layer as an ONNX model of a single LSTM or GRU node."""
    onnx: Any = importlib.import_module("onnx")
    numbers, helper = onnx.TensorProto.FLOAT, onnx.helper
    weights = {key: onnx_rows(name, weight) for key, weight in ours.weights(0).items()}
    biases = np.concatenate([weights["bias_ih"], weights["bias_hh"]])
    constants = [
        onnx.numpy_helper.from_array(array[np.newaxis], key)
        for key, array in (("W", weights["weight_ih"]), ("R", weights["weight_hh"]), ("B", biases))
    ]
    attributes = {"linear_before_reset": 1} if name == "GRU" else {}
    node = helper.make_node(name, ["X", "W", "R", "B"], ["Y"], hidden_size=ours.hidden_size, **attributes)
    graph = helper.make_graph(
        [node],
        name,
        [helper.make_tensor_value_info("X", numbers, (time, batch, ours.input_size))],
        [helper.make_tensor_value_info("Y", numbers, (time, 1, batch, ours.hidden_size))],
        constants,
    )
    # Not the newest versions, which a runtime that is older than `onnx` would refuse.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def onnx_rows(name: str, weight: Tensor) -> Any:
    blocks = weight.detach().chunk(len(_ONNX_BLOCKS[name]))
    return torch.cat([blocks[index] for index in _ONNX_BLOCKS[name]]).numpy()


def our_streaming(layer: throughtime.nn.Recurrent, weight_dtype: str) -> Step | None:
    """A step of our streaming interface, its weights stored as ``weight_dtype``; None where there is no interface."""
    streaming: Any = getattr(throughtime.nn, "Streaming", None)
    return None if streaming is None else streaming(layer, weights=weight_dtype).step


class Stepped(torch.nn.Module):
    """Steps at batch 1 over a sequence, called as a layer is."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        """Run from a state of zeros."""
        state, outputs = None, list[Tensor]()
        for step_inputs in inputs.unbind(0):
            output, state = self.step(step_inputs, state)
            outputs.append(output)
        return torch.stack(outputs), state


def layer_steps(layer: Any) -> Call:
    """Steps at batch 1 by a layer called with T = 1 (ours or torch's)."""
    return carrying(layer, torch.randn(1, 1, layer.input_size))


def cell_steps(cell: Any) -> Call:
    """Steps at batch 1 by a cell (ours or torch's)."""
    inputs, state = torch.randn(1, cell.input_size), None

    def step() -> None:
        nonlocal state
        state = cell(inputs, state)

    return step


def carrying(run: Step, inputs: Tensor) -> Call:
    """Call ``run`` on the inputs and on the state that it returned the time before."""
    state: Any = None

    def step() -> None:
        nonlocal state
        _, state = run(inputs, state)

    return step
