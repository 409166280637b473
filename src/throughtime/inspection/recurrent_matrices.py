"""The matrices by which a layer's state comes back to it: how far they stretch, and whether they keep."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.nn import ConvolutionalRecurrent, Recurrent


@dataclass(frozen=True)
class RecurrentMatrix:
    """A gate's recurrent matrix.

    Attributes:
        layer: from 0.
        reverse: whether it belongs to the reverse direction.
        gate: of which gate.
        eigenvalues: shape (size,), complex128, the largest in magnitude first.
        norm: the 2-norm: the largest factor by which it stretches a vector.
    """

    layer: int
    reverse: bool
    gate: str
    eigenvalues: Tensor
    norm: float

    @property
    def spectral_radius(self) -> float:
        """The magnitude of the largest eigenvalue: the factor per step, in the long run, without a nonlinearity.

        Below 1, gradients of Elman's network with tanh are bound to vanish where it is the norm that is below 1
        (Pascanu et al. 2013, section 2.1); above 1 they may explode.
        """
        return float(self.eigenvalues[0].abs())


@torch.no_grad()
def recurrent_matrices(layer: Recurrent | ConvolutionalRecurrent) -> list[RecurrentMatrix]:
    """The recurrent matrix of each gate, layer and direction: the gates' blocks of weight_hh.

    Where the output is projected, h = W_hr h', a block reads h, and the matrix is that from h to h: W_hr W. A
    convolutional layer has none, as its weights are kernels.

    >>> [(one.gate, one.eigenvalues.shape) for one in recurrent_matrices(Recurrent("rnn_tanh", 3, 5))]
    [('candidate', torch.Size([5]))]
    """
    found: list[RecurrentMatrix] = []
    if isinstance(layer, ConvolutionalRecurrent):
        return found
    for number in range(layer.num_layers):
        for direction in range(layer.num_directions):
            weights = layer.weights(number, direction)
            for gate, block in zip(layer.cell.gates, weights["weight_hh"].chunk(len(layer.cell.gates)), strict=True):
                matrix = block.double().cpu()
                if layer.proj_size:
                    matrix = weights["weight_hr"].double().cpu() @ matrix
                eigenvalues = torch.linalg.eigvals(matrix)
                order = eigenvalues.abs().argsort(descending=True)
                norm = float(torch.linalg.matrix_norm(matrix, 2))
                found.append(RecurrentMatrix(number, bool(direction), gate, eigenvalues[order], norm))
    return found
