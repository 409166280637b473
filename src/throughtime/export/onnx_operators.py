"""The cells that are operators of ONNX: how ours and its weights correspond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OnnxOperator:
    """How ONNX has a cell.

    Attributes:
        name: of the operator: RNN, LSTM or GRU.
        gates: which of our blocks of rows stands where in its weights.
        activation: of an RNN.
        linear_before_reset: of a GRU: 1 where the reset gate comes after the recurrent product.
        peepholes: whether there is the input P.
    """

    name: str
    gates: tuple[int, ...]
    activation: str | None = None
    linear_before_reset: int | None = None
    peepholes: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """What the node says beside its sizes, for one direction."""
        found: dict[str, Any] = {}
        if self.activation is not None:
            found["activations"] = [self.activation]
        if self.linear_before_reset is not None:
            found["linear_before_reset"] = self.linear_before_reset
        return found


OPERATORS: dict[str, OnnxOperator] = {
    "rnn_tanh": OnnxOperator("RNN", (0,), "Tanh"),
    "rnn_relu": OnnxOperator("RNN", (0,), "Relu"),
    "rnn_logistic": OnnxOperator("RNN", (0,), "Sigmoid"),
    "lstm": OnnxOperator("LSTM", (0, 3, 1, 2)),
    "lstm_peephole_diagonal": OnnxOperator("LSTM", (0, 3, 1, 2), peepholes=True),
    "gru": OnnxOperator("GRU", (1, 0, 2), linear_before_reset=1),
    "gru_reset_before": OnnxOperator("GRU", (1, 0, 2), linear_before_reset=0),
}
"""Cells by name; those that are not here are written out as a Scan over their equations."""


@dataclass(frozen=True)
class OnnxWeights:
    """The weight inputs of a node of RNN, LSTM or GRU.

    Attributes:
        W: shape (directions, gates * hidden_size, input_size).
        R: shape (directions, gates * hidden_size, hidden_size).
        B: shape (directions, 2 * gates * hidden_size): the input's biases, then the recurrent ones; None without.
        P: shape (directions, 3 * hidden_size): the peepholes of input, output and forget gate; None without.
    """

    W: Array
    R: Array
    B: Array | None = None
    P: Array | None = None

    def named(self) -> dict[str, Array]:
        """Those that are there, by their names in ONNX."""
        every = {"W": self.W, "R": self.R, "B": self.B, "P": self.P}
        return {name: value for name, value in every.items() if value is not None}


def weights_to_onnx(cell_name: str, directions: list[dict[str, Tensor]]) -> OnnxWeights:
    """Bring the weights of one layer to its node's inputs; numbers are moved, none is changed.

    Args:
        cell_name: a name in OPERATORS.
        directions: the weights of each direction by their names without the layer's suffix.
    """
    operator = OPERATORS[cell_name]

    def reordered(weights: Mapping[str, Tensor], name: str) -> Array:
        blocks = weights[name].detach().cpu().chunk(len(operator.gates))
        return torch.cat([blocks[index] for index in operator.gates]).numpy()

    def stacked(arrays: list[Array]) -> Array:
        return np.stack(arrays)

    has_bias = "bias_ih" in directions[0]
    biases = [np.concatenate([reordered(own, "bias_ih"), reordered(own, "bias_hh")]) for own in directions if has_bias]
    peepholes: list[Array] = []
    if operator.peepholes:
        for own in directions:
            p_i, p_f, p_o = own["weight_peephole"].detach().cpu()
            peepholes.append(torch.cat([p_i, p_o, p_f]).numpy())
    return OnnxWeights(
        stacked([reordered(own, "weight_ih") for own in directions]),
        stacked([reordered(own, "weight_hh") for own in directions]),
        stacked(biases) if biases else None,
        stacked(peepholes) if peepholes else None,
    )


def weights_from_onnx(cell_name: str, weights: OnnxWeights) -> list[dict[str, Tensor]]:
    """What ``weights_to_onnx`` did, the other way round.

    Returns:
        The weights of each direction by their names without the layer's suffix.
    """
    operator = OPERATORS[cell_name]
    places = [operator.gates.index(place) for place in range(len(operator.gates))]

    def reordered(array: Array) -> Tensor:
        blocks = torch.from_numpy(np.array(array)).chunk(len(places))
        return torch.cat([blocks[place] for place in places])

    found: list[dict[str, Tensor]] = []
    for direction in range(len(weights.W)):
        own = {"weight_ih": reordered(weights.W[direction]), "weight_hh": reordered(weights.R[direction])}
        if weights.B is not None:
            of_input, recurrent = np.split(weights.B[direction], 2)
            own |= {"bias_ih": reordered(of_input), "bias_hh": reordered(recurrent)}
        if weights.P is not None:
            p_i, p_o, p_f = torch.from_numpy(np.array(weights.P[direction])).chunk(3)
            own["weight_peephole"] = torch.stack([p_i, p_f, p_o])
        found.append(own)
    return found
