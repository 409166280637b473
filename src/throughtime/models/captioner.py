"""The network of a captioner: a picture in, scores of each next word about it out."""

from __future__ import annotations

from torch import nn
from torch.nn.functional import relu

from throughtime.errors import ArgumentError, check_positive_integer, check_range
from throughtime.models.bridge import Bridge
from throughtime.models.decoder import Decoder, DecoderState
from throughtime.models.decoding_network import DecodingNetwork
from throughtime.models.image_encoder import ImageEncoder, with_coordinates
from throughtime.nn import Embedding
from throughtime.sequence import SequenceBatch


class Captioner(DecodingNetwork):
    """An encoder of pictures, and the decoder of a translator.

    Each place's vector, and where the place is, go through a layer of their own: a_i = relu(W [v_i; row; column]).
    Their mean starts the decoder through a linear layer for each of its states: without attention that is all that it
    knows of the picture (Show and Tell, Vinyals et al. 2015, https://arxiv.org/abs/1411.4555). With attention it looks
    at the a_i at each word (Show, Attend and Tell, Xu et al. 2015, https://arxiv.org/abs/1502.03044).

    Args:
        images: the encoder of pictures.
        vocabulary_size: words, ``end`` among them.
        cell: a name in CELLS.
        embedding_size: features of a word's vector.
        hidden_size: units of each recurrent layer, and of an a_i.
        num_layers: recurrent layers.
        attention: additive, dot or general; None for Show and Tell.
        attention_order: whether attention comes "before" the recurrent step, as in Show, Attend and Tell, or "after".
        input_feeding: whether each readout is fed to the next step; see ``Decoder``.
        hard_attention: whether attention looks at one place at a time; see ``Attention``.
        dropout: probability that a unit is dropped after the a_i, the embedding, between the layers and before the
            output.
        tied: whether the output layer shares the embedding's weights.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(  # noqa: PLR0913 - the network's sizes, each by its name
        self,
        images: ImageEncoder,
        vocabulary_size: int,
        *,
        cell: str = "lstm",
        embedding_size: int = 256,
        hidden_size: int = 256,
        num_layers: int = 1,
        attention: str | None = "additive",
        attention_order: str = "before",
        input_feeding: bool = False,
        hard_attention: bool = False,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_positive_integer("embedding_size", embedding_size)
        check_positive_integer("hidden_size", hidden_size)
        if vocabulary_size < 2:
            raise ArgumentError(f"`vocabulary_size` must be at least 2, got {vocabulary_size}")
        self.end = vocabulary_size - 1
        self.images = images
        self.is_spatial = images.places > 1
        self.places = nn.Linear(images.output_size + 2 * self.is_spatial, hidden_size)
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
        self.bridge = Bridge([hidden_size] * len(sizes), sizes, num_layers, always=True)

    def encode(self, source: SequenceBatch) -> DecoderState:
        """The decoder's state before its first word, for pictures as sequences of one frame, values (1, batch, ...).

        Raises:
            ArgumentError: where there are several frames.
        """
        if len(source.values) != 1:
            raise ArgumentError(f"a picture is a sequence of one frame, got {len(source.values)}")
        vectors = self.images(source.values[0])
        if self.is_spatial:
            vectors = with_coordinates(vectors, self.images.grid)
        places = self.dropout(relu(self.places(vectors)))
        start = places.mean(1).expand(self.decoder.recurrent.num_layers, -1, -1)
        attention = self.decoder.attention
        memory = None if attention is None else attention.memory(SequenceBatch(places.transpose(0, 1)))
        kinds = len(self.decoder.recurrent.state_sizes)
        return DecoderState(self.bridge((start,) * kinds), memory=memory)
