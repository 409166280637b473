"""From the encoder's final state to the state that a decoder starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from throughtime.cells import State


class Bridge(nn.Module):
    """Hands each state on as it is where the sizes agree, else through a linear layer of its own.

    Hidden states, which lie between -1 and 1, go through tanh as well (Bahdanau et al. 2015, appendix A.2.2).

    Args:
        from_sizes: features of each of the encoder's states.
        to_sizes: features of each of the decoder's states.
        num_layers: of both.
        always: whether there is a layer also where the sizes agree.
    """

    def __init__(
        self, from_sizes: Sequence[int], to_sizes: Sequence[int], num_layers: int, *, always: bool = False
    ) -> None:
        super().__init__()
        self.fits = tuple(from_sizes) == tuple(to_sizes) and not always
        pairs = [] if self.fits else [*zip(from_sizes, to_sizes, strict=True)] * num_layers
        self.maps = nn.ModuleList([nn.Linear(before, after) for before, after in pairs])

    def forward(self, state: State) -> State:
        """Shapes (layers, batch, size before) to (layers, batch, size after), for each of the cell's states."""
        if self.fits:
            return state
        kinds = len(state)
        mapped: list[Tensor] = []
        for kind, part in enumerate(state):
            layers = torch.stack([self.maps[place * kinds + kind](own) for place, own in enumerate(part)])
            mapped.append(layers if kind else layers.tanh())
        return tuple(mapped)
