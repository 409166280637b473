"""The network of a translation: a source sentence in, scores of each next token of the target out."""

from __future__ import annotations

from torch import nn

from throughtime.errors import ArgumentError, check_positive_integer, check_range
from throughtime.models.bridge import Bridge
from throughtime.models.decoder import Decoder, DecoderState
from throughtime.models.decoding_network import DecodingNetwork
from throughtime.models.encoder import Encoder
from throughtime.nn import Embedding
from throughtime.sequence import SequenceBatch


class EncoderDecoder(DecodingNetwork):
    """A recurrent encoder, a bridge, and a recurrent decoder (Cho et al. 2014; Sutskever et al. 2014).

    Args:
        source_vocabulary_size: tokens of the source's language.
        target_vocabulary_size: tokens of the target's language, ``end`` among them.
        cell: a name in CELLS.
        embedding_size: features of a token's vector, on both sides.
        hidden_size: units of each layer of the decoder.
        encoder_hidden_size: units of each layer and direction of the encoder; if None, as many as make the bridge
            needless: hidden_size in all.
        num_layers: recurrent layers on both sides.
        bidirectional: whether the encoder reads from both ends.
        attention: additive, dot or general; None for the state alone.
        attention_order: whether attention comes "after" the decoder's recurrent step or "before" it.
        input_feeding: whether each readout is fed to the next step; see ``Decoder``.
        dropout: probability that a unit is dropped after the embeddings, between the layers and before the output.
        tied: whether the output layer shares the target embedding's weights (Press & Wolf 2017).
        shared: whether both sides share one embedding, over one vocabulary.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(  # noqa: PLR0913 - the network's sizes, each by its name
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        cell: str = "lstm",
        embedding_size: int = 256,
        hidden_size: int = 512,
        encoder_hidden_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "general",
        attention_order: str = "after",
        input_feeding: bool = True,
        dropout: float = 0.0,
        tied: bool = True,
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_positive_integer("embedding_size", embedding_size)
        check_positive_integer("hidden_size", hidden_size)
        for name, size in (("source", source_vocabulary_size), ("target", target_vocabulary_size)):
            if size < 2:
                raise ArgumentError(f"`{name}_vocabulary_size` must be at least 2, got {size}")
        if shared and source_vocabulary_size != target_vocabulary_size:
            raise ArgumentError(
                f"`shared` needs one vocabulary on both sides, got {source_vocabulary_size} and "
                f"{target_vocabulary_size} tokens"
            )
        if encoder_hidden_size is None:
            if bidirectional and hidden_size % 2:
                raise ArgumentError(f"`hidden_size` must be even for a bidirectional encoder, got {hidden_size}")
            encoder_hidden_size = hidden_size // 2 if bidirectional else hidden_size
        self.end = target_vocabulary_size - 1
        target = Embedding(target_vocabulary_size, embedding_size)
        source = target if shared else Embedding(source_vocabulary_size, embedding_size)
        for embedding in (target, source):
            nn.init.normal_(embedding.weight, std=0.1)
        self.encoder = Encoder(
            source,
            cell=cell,
            hidden_size=encoder_hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.decoder = Decoder(
            target,
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            source_size=self.encoder.output_size,
            attention=attention,
            attention_order=attention_order,
            input_feeding=input_feeding,
            dropout=dropout,
            tied=tied,
        )
        self.bridge = Bridge(self.encoder.state_sizes, self.decoder.recurrent.state_sizes, num_layers)

    def encode(self, source: SequenceBatch) -> DecoderState:
        """The decoder's state before its first step, for tokens of shape (source, batch), int64."""
        encoding = self.encoder(source)
        attention = self.decoder.attention
        memory = None if attention is None else attention.memory(encoding.outputs)
        return DecoderState(self.bridge(encoding.state), memory=memory)
