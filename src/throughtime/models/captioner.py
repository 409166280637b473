"""The network of a captioner: a picture in, scores of each next word about it out."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.functional import relu

from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.models.decoder import DecoderState
from throughtime.models.describing_network import DescribingNetwork
from throughtime.models.image_encoder import ImageEncoder, with_coordinates
from throughtime.sequence import SequenceBatch


class Captioner(DescribingNetwork):
    """An encoder of pictures, and the decoder of a translator.

    Each place's vector, and where the place is, go through a layer of their own: a_i = relu(W [v_i; row; column]).
    Their mean starts the decoder: without attention that is all that it knows of the picture (Show and Tell, Vinyals
    et al. 2015, https://arxiv.org/abs/1411.4555). With attention it looks at the a_i at each word (Show, Attend and
    Tell, Xu et al. 2015, https://arxiv.org/abs/1502.03044).

    Args:
        images: the encoder of pictures.
        vocabulary_size: words, ``end`` among them.
        hidden_size: units of each recurrent layer, and of an a_i.
        **decoder_options: more keyword arguments for ``DescribingNetwork``.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(
        self, images: ImageEncoder, vocabulary_size: int, *, hidden_size: int = 256, **decoder_options: Any
    ) -> None:
        check_positive_integer("hidden_size", hidden_size)
        is_spatial = images.places > 1
        places = nn.Linear(images.output_size + 2 * is_spatial, hidden_size)
        super().__init__(vocabulary_size, hidden_size=hidden_size, **decoder_options)
        self.images = images
        self.is_spatial = is_spatial
        self.places = places

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
        return self.begun(places.mean(1), SequenceBatch(places.transpose(0, 1)))
