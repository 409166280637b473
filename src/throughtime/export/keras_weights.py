"""Weights of recurrent layers from and to Keras.

Keras multiplies from the right, so its matrices are ours transposed. Its LSTM has the gates in our order (i, f, c, o)
and one bias; its GRU has the order z, r, h, with z the share of the old state as here, and comes in two forms:

    reset_after=True (its default)   the reset gate after the recurrent product, cell "gru"; two biases, shape (2, 3u)
    reset_after=False                before it, cell "gru_reset_before"; one bias

Where Keras has one bias, ours are added up on the way there, and the second one is zero on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.errors import ArgumentError, check_choice, check_shape
from throughtime.nn import Recurrent

Array = npt.NDArray[Any]
KerasLayer = Literal["SimpleRNN", "LSTM", "GRU"]


@dataclass(frozen=True)
class KerasForm:
    """How Keras has a cell.

    Attributes:
        layer: the class of keras.layers.
        gates: which of our blocks of rows stands where in its matrices.
        two_biases: whether the recurrent product has a bias of its own.
        options: what the class is to be made with.
    """

    layer: KerasLayer
    gates: tuple[int, ...]
    two_biases: bool = False
    options: tuple[tuple[str, Any], ...] = ()


FORMS: dict[str, KerasForm] = {
    "rnn_tanh": KerasForm("SimpleRNN", (0,)),
    "rnn_relu": KerasForm("SimpleRNN", (0,), options=(("activation", "relu"),)),
    "rnn_logistic": KerasForm("SimpleRNN", (0,), options=(("activation", "sigmoid"),)),
    "lstm": KerasForm("LSTM", (0, 1, 2, 3)),
    "gru": KerasForm("GRU", (1, 0, 2), two_biases=True, options=(("reset_after", True),)),
    "gru_reset_before": KerasForm("GRU", (1, 0, 2), options=(("reset_after", False),)),
}
"""The cells that Keras has."""


def to_keras(layer: Recurrent) -> list[list[Array]]:
    """The weights as ``set_weights`` of Keras's layers takes them, one list for each layer.

    A layer of two directions gives the list of keras.layers.Bidirectional: the forward layer's, then the backward
    layer's. Its outputs are then concatenated as here. ``keras_options`` tells what the layers are to be made with.

    Raises:
        ArgumentError: where Keras has no such layer.

    >>> [array.shape for array in to_keras(Recurrent("gru", 3, 5))[0]]
    [(3, 15), (5, 15), (2, 15)]
    """
    form = _form_of(layer)
    found: list[list[Array]] = []
    for number in range(layer.num_layers):
        arrays: list[Array] = []
        for direction in range(layer.num_directions):
            arrays += _to_arrays(form, layer.weights(number, direction))
        found.append(arrays)
    return found


def keras_options(layer: Recurrent) -> tuple[KerasLayer, dict[str, Any]]:
    """The class of keras.layers for each of the layers, and its arguments.

    >>> keras_options(Recurrent("gru_reset_before", 3, 5))
    ('GRU', {'units': 5, 'use_bias': True, 'return_sequences': True, 'reset_after': False})
    """
    form = _form_of(layer)
    return form.layer, {
        "units": layer.hidden_size,
        "use_bias": layer.bias,
        "return_sequences": True,
        **dict(form.options),
    }


@torch.no_grad()
def from_keras(cell_name: str, weights: Sequence[Sequence[Array]], *, bidirectional: bool = False) -> Recurrent:
    """Make a layer of what ``get_weights`` of Keras's layers gives.

    Args:
        cell_name: what the layers are here: lstm, gru (reset_after=True), gru_reset_before (reset_after=False),
            rnn_tanh, rnn_relu or rnn_logistic; other activations there are none for.
        weights: one list for each layer, the lowest first; of keras.layers.Bidirectional both directions' in one list.
        bidirectional: whether the lists are of two directions.

    Raises:
        ArgumentError: where Keras has no such cell, or an array is not of the shape that it has there.
    """
    check_choice("cell_name", cell_name, FORMS)
    form = FORMS[cell_name]
    each = len(weights[0]) // (2 if bidirectional else 1) if weights else 0
    if each not in {2, 3} or any(len(own) != each * (2 if bidirectional else 1) for own in weights):
        wanted = "4 or 6" if bidirectional else "2 or 3"
        raise ArgumentError(
            f"`weights` must have {wanted} arrays a layer (kernel, recurrent kernel, perhaps bias, of each direction), "
            f"got {[len(own) for own in weights]}"
        )
    hidden_size, input_size = weights[0][1].shape[0], weights[0][0].shape[0]
    dtype = torch.from_numpy(np.array(weights[0][0][:0])).dtype
    layer = Recurrent(
        cell_name, input_size, hidden_size, len(weights), bias=each == 3, bidirectional=bidirectional, dtype=dtype
    )
    for number, arrays in enumerate(weights):
        for direction in range(layer.num_directions):
            own = layer.weights(number, direction)
            given = arrays[direction * each : (direction + 1) * each]
            for name, value in _from_arrays(form, given, own, f"weights[{number}]").items():
                own[name].copy_(value)
    return layer


def _form_of(layer: Recurrent) -> KerasForm:
    if layer.cell_name not in FORMS or layer.proj_size or layer.zoneout:
        what = "projection" if layer.proj_size else "zoneout" if layer.zoneout else f"cell {layer.cell_name!r}"
        raise ArgumentError(f"Keras has no such {what}; it has the cells {', '.join(FORMS)}")
    return FORMS[layer.cell_name]


def _to_arrays(form: KerasForm, weights: dict[str, Tensor]) -> list[Array]:
    def reordered(name: str) -> Tensor:
        blocks = weights[name].detach().cpu().chunk(len(form.gates))
        return torch.cat([blocks[place] for place in form.gates])

    arrays = [reordered("weight_ih").t(), reordered("weight_hh").t()]
    if "bias_ih" in weights:
        biases = reordered("bias_ih"), reordered("bias_hh")
        arrays.append(torch.stack(biases) if form.two_biases else biases[0] + biases[1])
    return [array.numpy().copy() for array in arrays]


def _from_arrays(form: KerasForm, arrays: Sequence[Array], own: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    rows = own["weight_ih"].shape[0]
    shapes = [tuple(reversed(own["weight_ih"].shape)), tuple(reversed(own["weight_hh"].shape))]
    shapes.append((2, rows) if form.two_biases else (rows,))
    for place, (array, shape) in enumerate(zip(arrays, shapes, strict=False)):
        check_shape(f"{name}[{place}]", array.shape, shape)
    places = [form.gates.index(place) for place in range(len(form.gates))]

    def reordered(array: Array) -> Tensor:
        blocks = torch.from_numpy(np.array(array)).chunk(len(places))
        return torch.cat([blocks[place] for place in places])

    found = {"weight_ih": reordered(arrays[0].T), "weight_hh": reordered(arrays[1].T)}
    if len(arrays) == 3:
        first, second = arrays[2] if form.two_biases else (arrays[2], np.zeros_like(arrays[2]))
        found |= {"bias_ih": reordered(first), "bias_hh": reordered(second)}
    return found
