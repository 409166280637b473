"""The network of a captioner of videos: frames in, scores of each next word about them out."""

from __future__ import annotations

from typing import Any, cast

from torch import nn
from torch.nn.functional import relu

from throughtime.errors import check_positive_integer
from throughtime.models.decoder import DecoderState
from throughtime.models.describing_network import DescribingNetwork
from throughtime.models.image_encoder import ImageEncoder
from throughtime.nn import Pooling, Recurrent
from throughtime.sequence import SequenceBatch


class VideoCaptioner(DescribingNetwork):
    """An encoder of frames, recurrent layers that read them, and the captioner's decoder.

    The places of a frame go side by side through a layer of their own, the recurrent layers read the frames, and the
    last state of these starts the decoder (Venugopalan et al. 2015, https://arxiv.org/abs/1505.00487). With attention
    it looks at the frames, as they were read, at each word (Yao et al. 2015, https://arxiv.org/abs/1502.08029).

    Args:
        images: the encoder of frames.
        vocabulary_size: words, ``end`` among them.
        cell: a name in CELLS, of both sides.
        hidden_size: units of each recurrent layer of both sides, and features of a frame.
        num_layers: recurrent layers of both sides.
        **decoder_options: more keyword arguments for ``DescribingNetwork``.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(
        self,
        images: ImageEncoder,
        vocabulary_size: int,
        *,
        cell: str = "lstm",
        hidden_size: int = 256,
        num_layers: int = 1,
        **decoder_options: Any,
    ) -> None:
        check_positive_integer("hidden_size", hidden_size)
        super().__init__(vocabulary_size, cell=cell, hidden_size=hidden_size, num_layers=num_layers, **decoder_options)
        self.images = images
        self.frame = nn.Linear(images.places * images.output_size, hidden_size)
        self.recurrent = Recurrent(cell, hidden_size, hidden_size, num_layers)
        self.last = Pooling("last", hidden_size)

    def encode(self, source: SequenceBatch) -> DecoderState:
        """The decoder's state before its first word, for frames of shape (time, batch, ...)."""
        places = self.images(source.values.flatten(0, 1)).flatten(1)
        frames = self.dropout(relu(self.frame(places))).unflatten(0, source.values.shape[:2])
        read = cast("SequenceBatch", self.recurrent(SequenceBatch(frames, source.lengths))[0])
        return self.begun(self.last(read), SequenceBatch(self.dropout(read.values), read.lengths))
