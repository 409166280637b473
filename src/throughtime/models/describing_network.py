"""What networks share that write about something seen: pictures, videos, pictures that are asked about."""

from __future__ import annotations

from abc import ABC

from torch import Tensor, nn

from throughtime.errors import ArgumentError, check_positive_integer, check_range
from throughtime.models.bridge import Bridge
from throughtime.models.decoder import Decoder, DecoderState
from throughtime.models.decoding_network import DecodingNetwork
from throughtime.nn import Embedding
from throughtime.sequence import SequenceBatch


class DescribingNetwork(DecodingNetwork, ABC):
    """The decoder of a translator, which starts from a vector and may look at others; a subclass makes these.

    The first vector goes through a linear layer for each of the decoder's states.

    Args:
        vocabulary_size: words, ``end`` among them.
        cell: a name in CELLS.
        embedding_size: features of a word's vector.
        hidden_size: units of each recurrent layer, and features of what is looked at.
        num_layers: recurrent layers.
        attention: additive, dot or general; None where the first vector is all that the decoder knows.
        attention_order: whether attention comes "before" the recurrent step or "after" it; see ``Decoder``.
        input_feeding: whether each readout is fed to the next step; see ``Decoder``.
        hard_attention: how attention that looks at one vector at a time gets its gradient; None for soft attention.
        dropout: probability that a unit is dropped after the embedding, between the layers and before the output.
        tied: whether the output layer shares the embedding's weights.
        start_size: features of the vector that the decoder starts from; ``hidden_size`` if None.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(  # noqa: PLR0913 - the decoder's sizes, each by its name
        self,
        vocabulary_size: int,
        *,
        cell: str = "lstm",
        embedding_size: int = 256,
        hidden_size: int = 256,
        num_layers: int = 1,
        attention: str | None = "additive",
        attention_order: str = "before",
        input_feeding: bool = False,
        hard_attention: str | None = None,
        dropout: float = 0.0,
        tied: bool = True,
        start_size: int | None = None,
    ) -> None:
        super().__init__()
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_positive_integer("embedding_size", embedding_size)
        check_positive_integer("hidden_size", hidden_size)
        if vocabulary_size < 2:
            raise ArgumentError(f"`vocabulary_size` must be at least 2, got {vocabulary_size}")
        self.end = vocabulary_size - 1
        self.dropout = nn.Dropout(dropout)
        embedding = Embedding(vocabulary_size, embedding_size)
        nn.init.normal_(embedding.weight, std=0.1)
        self.decoder = Decoder(
            embedding,
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            source_size=hidden_size,
            attention=attention,
            attention_order=attention_order,
            input_feeding=input_feeding,
            hard_attention=hard_attention,
            dropout=dropout,
            tied=tied,
        )
        sizes = self.decoder.recurrent.state_sizes
        self.bridge = Bridge([start_size or hidden_size] * len(sizes), sizes, num_layers, always=True)

    def begun(self, start: Tensor, seen: SequenceBatch) -> DecoderState:
        """The decoder's state before its first word.

        Args:
            start: what it starts from, shape (batch, start_size).
            seen: what it may look at, values of shape (vectors, batch, hidden_size).
        """
        attention = self.decoder.attention
        memory = None if attention is None else attention.memory(seen)
        first = start.expand(self.decoder.recurrent.num_layers, -1, -1)
        return DecoderState(self.bridge((first,) * len(self.decoder.recurrent.state_sizes)), memory=memory)
