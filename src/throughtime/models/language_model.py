"""The network of a language model: a text's tokens in, scores of the next token out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, check_positive_integer, check_range
from throughtime.nn import Embedding, LockedDropout, Recurrent


class RecurrentLanguageModel(nn.Module):
    """Embedding, stacked recurrent layers, and a linear layer to the vocabulary (Mikolov et al. 2010).

    Dropout is between all of them (Zaremba et al. 2014), or locked: the same mask at every time step
    (Gal & Ghahramani 2016; Merity et al. 2018).

    Args:
        vocabulary_size: number of tokens.
        cell: a name in CELLS.
        embedding_size: features of a token's vector.
        hidden_size: units of each recurrent layer.
        num_layers: how many recurrent layers.
        dropout: probability that a unit is dropped after the embedding, between the layers and before the output.
        embedding_dropout: probability that a token's whole vector is dropped for a window.
        locked_dropout: whether a dropout mask stays the same over the time steps of a window.
        tied: whether the output layer shares the embedding's matrix (Press & Wolf 2017), behind a linear layer
            from hidden_size to embedding_size where they differ.
        recurrent_options: more keyword arguments for ``Recurrent``, e.g. ``gate_biases``.

    Raises:
        ArgumentError: for a size below 1 or a probability outside [0, 1).
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        cell: str = "lstm",
        embedding_size: int = 128,
        hidden_size: int = 256,
        num_layers: int = 1,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        locked_dropout: bool = False,
        tied: bool = False,
        **recurrent_options: Any,
    ) -> None:
        super().__init__()
        if vocabulary_size < 2:
            raise ArgumentError(f"`vocabulary_size` must be at least 2, got {vocabulary_size}")
        check_positive_integer("embedding_size", embedding_size)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_range("embedding_dropout", embedding_dropout, low=0, high=1, high_open=True)
        self.vocabulary_size = vocabulary_size
        self.embedding = Embedding(vocabulary_size, embedding_size, dropout=embedding_dropout)
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.recurrent = Recurrent(
            cell,
            embedding_size,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            locked_dropout=locked_dropout,
            **recurrent_options,
        )
        needs_bridge = tied and hidden_size != embedding_size
        self.bridge = nn.Linear(hidden_size, embedding_size, bias=False) if needs_bridge else nn.Identity()
        self.output = nn.Linear(embedding_size if tied else hidden_size, vocabulary_size)
        if tied:
            self.output.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=0.1)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither embedding nor output: what the Muon optimiser may move."""
        return [weight for weight in self.recurrent.parameters() if weight.ndim == 2]

    @torch.no_grad()
    def inherit(self, parent: RecurrentLanguageModel) -> None:
        """Take the weights of a model whose vocabulary is the beginning of this one's.

        Tokens that the parent doesn't know get the mean of its vectors, and a score as low as its rarest token's.
        """
        known = parent.vocabulary_size
        own = self.state_dict()
        for name, weight in parent.state_dict().items():
            if own[name].shape == weight.shape:
                own[name].copy_(weight)
                continue
            own[name][:known] = weight
            own[name][known:] = weight.min() if weight.ndim == 1 else weight.mean(0)

    def recur(self, tokens: Tensor, state: Any = None, *, lengths: Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """Read tokens of shape (time, batch), int64, on from a state (zero where None); see ``Recurrent`` for lengths.

        Returns:
            The outputs of the last layer, shape (time, batch, hidden_size), and the final state.
        """
        outputs, state = self.recurrent(self.dropout(self.embedding(tokens)), state, lengths=lengths)
        return self.dropout(outputs), state

    def scores(self, outputs: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, (..., vocabulary), from outputs (..., hidden_size)."""
        return self.output(self.bridge(outputs))

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Scores of shape (time, batch, vocabulary) for tokens of shape (time, batch), and the final state."""
        outputs, state = self.recur(tokens, state)
        return self.scores(outputs), state
