"""What all networks share that read something and write a sequence of tokens about it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from throughtime.models.decoder import Decoded, Decoder, DecoderState
from throughtime.sequence import SequenceBatch


class DecodingNetwork(nn.Module, ABC):
    """An encoder of sources, and a decoder that writes from what it made of them.

    What it writes begins and ends with one token, ``end``, the last of the vocabulary.

    Attributes:
        end: the id of that token.
        decoder: writes.
    """

    end: int
    decoder: Decoder

    @abstractmethod
    def encode(self, source: SequenceBatch) -> DecoderState:
        """The decoder's state before its first step, for sources of shape (source, batch, ...)."""

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither embedding nor output: what the Muon optimiser may move."""
        embeddings = {id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)}
        outer = {*embeddings, id(self.decoder.output.weight)}
        return [
            weight
            for weight in self.parameters()
            if weight.ndim == 2 and min(weight.shape) > 1 and weight.requires_grad and id(weight) not in outer
        ]

    def decode(self, tokens: Tensor, state: DecoderState) -> Decoded:
        """Read target tokens of shape (target, rows), the first of them ``end``, on from a state."""
        return self.decoder(tokens, state)

    def scores(self, readouts: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, (..., vocabulary), from readouts (..., readout size)."""
        return self.decoder.scores(readouts)

    def next_step(self, state: DecoderState, tokens: Tensor) -> tuple[DecoderState, Tensor]:
        """One step for ``throughtime.decoding``: tokens (rows,) of any device in, scores (rows, vocabulary) out.

        The scores are in float32, on the network's device.
        """
        own = tokens.to(self.decoder.embedding.weight.device)
        decoded = self.decode(own.unsqueeze(0), state)
        return decoded.state, self.scores(decoded.readouts[0]).float()

    def forward(self, source: SequenceBatch, target: Tensor) -> Tensor:
        """Scores of shape (target, batch, vocabulary) of what follows each token of a target that is given.

        Args:
            source: values of shape (source, batch, ...).
            target: shape (target, batch), int64, beginning with ``end``.
        """
        return self.scores(self.decode(target, self.encode(source)).readouts)
