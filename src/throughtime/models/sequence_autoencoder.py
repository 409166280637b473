"""The recurrent autoencoder of numeric sequences: a window to a vector, and the vector to the window again."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from throughtime.cells import State
from throughtime.errors import check_positive_integer, check_range
from throughtime.nn import Recurrent


class RecurrentAutoencoder(nn.Module):
    """Reads a window, keeps a vector of it, and tells the window from that vector alone, the last step first.

    The encoder's final states go through a linear layer to the latent vector z; z gives the decoder's first states by
    another, and is its input at each step. Told backwards, what was read last comes first, which is the easier way:
    Srivastava et al. (2015), https://arxiv.org/abs/1502.04681; for anomalies Malhotra et al. (2016),
    https://arxiv.org/abs/1607.00148.

    Args:
        input_size: numbers of a step.
        latent_size: features of the vector; the smaller, the less it can tell what is rare.
        cell: a name in CELLS.
        hidden_size: units of a layer.
        num_layers: of encoder and decoder.
        dropout: probability that a feature of the latent vector is dropped.

    Raises:
        ArgumentError: for a size below 1, an unknown cell, or a probability outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        latent_size: int,
        *,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive_integer("latent_size", latent_size)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        self.encoder = Recurrent(cell, input_size, hidden_size, num_layers)
        self.decoder = Recurrent(cell, latent_size, hidden_size, num_layers)
        self.state_sizes = self.decoder.state_sizes
        size = num_layers * sum(self.state_sizes)
        self.to_latent = nn.Linear(size, latent_size)
        self.from_latent = nn.Linear(latent_size, size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, input_size)
        self.num_layers = num_layers

    def encode(self, values: Tensor) -> Tensor:
        """The latent vectors, shape (batch, latent_size), of windows of shape (time, batch, input_size)."""
        _, state = self.encoder(values)
        parts = (state,) if isinstance(state, Tensor) else state
        return self.to_latent(torch.cat([part.transpose(0, 1).flatten(1) for part in parts], dim=1))

    def decode(self, latent: Tensor, length: int) -> Tensor:
        """Windows of shape (length, batch, input_size) that latent vectors of shape (batch, latent_size) tell of."""
        flat = torch.tanh(self.from_latent(latent))
        sizes = [self.num_layers * size for size in self.state_sizes]
        initial: State = tuple(
            part.unflatten(1, (self.num_layers, -1)).transpose(0, 1).contiguous() for part in flat.split(sizes, dim=1)
        )
        told, _ = self.decoder(
            latent.expand(length, *latent.shape).contiguous(), initial[0] if len(initial) == 1 else initial
        )
        return self.output(cast("Tensor", told)).flip(0)

    def forward(self, values: Tensor) -> Tensor:
        """Windows of shape (time, batch, input_size), as the network tells them."""
        return self.decode(self.dropout(self.encode(values)), values.shape[0])

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The recurrent layers' matrices, which the Muon optimiser may move."""
        layers = (self.encoder, self.decoder)
        return [weight for layer in layers for weight in layer.parameters() if weight.ndim == 2]
