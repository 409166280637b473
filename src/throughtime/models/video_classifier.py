"""The network of a video classifier: the frames of a video in, a score of each class out."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.errors import check_choice, check_positive_integer, check_range
from throughtime.models.classifying_network import ClassifyingNetwork
from throughtime.models.image_encoder import ImageEncoder
from throughtime.nn import ConvLSTM, LockedDropout, Pooling, Recurrent
from throughtime.sequence import SequenceBatch

RECURRENCES = ("vectors", "convolutional")


class RecurrentVideoClassifier(ClassifyingNetwork):
    """A network that looks at each frame, and recurrent layers that read what it saw (Donahue et al. 2015).

    https://arxiv.org/abs/1411.4389. The recurrent layers read a vector for each frame; or, convolutional, the picture
    of its vectors, so that they see what moves from one place to the next (Shi et al. 2015).

    Args:
        images: from frames to vectors of their places.
        num_classes: number of classes.
        recurrence: "vectors" or "convolutional".
        cell: a name in CELLS (vectors).
        frame_size: features of a frame's vector (vectors).
        hidden_size: units of each layer; of convolutional ones at each place.
        num_layers: recurrent layers.
        bidirectional: whether they read in both directions.
        pooling: last, max, mean or attention; see ``Pooling``.
        dropout: probability that a feature is dropped before the recurrent layers, the same along a video, and before
            the output.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    def __init__(
        self,
        images: ImageEncoder,
        num_classes: int,
        *,
        recurrence: str = "vectors",
        cell: str = "lstm",
        frame_size: int = 128,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_choice("recurrence", recurrence, RECURRENCES)
        check_positive_integer("num_classes", num_classes)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        self.num_classes = num_classes
        self.images = images
        self.recurrent: Recurrent | ConvLSTM
        if recurrence == "vectors":
            check_positive_integer("frame_size", frame_size)
            self.frame = nn.Linear(images.places * images.output_size, frame_size)
            self.recurrent = Recurrent(cell, frame_size, hidden_size, num_layers, bidirectional=bidirectional)
        else:
            self.recurrent = ConvLSTM(images.output_size, hidden_size, 3, num_layers, bidirectional=bidirectional)
        size = hidden_size * (2 if bidirectional else 1)
        self.pooling = Pooling(pooling, size, bidirectional=bidirectional)
        self.locked_dropout = LockedDropout(dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, num_classes)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither of pictures nor output: what the Muon optimiser may move."""
        inner = [
            module for module in (getattr(self, "frame", None), self.recurrent, self.pooling) if module is not None
        ]
        return [
            weight for module in inner for weight in module.parameters() if weight.ndim == 2 and min(weight.shape) > 1
        ]

    def states(self, frames: SequenceBatch) -> SequenceBatch:
        """What is pooled: a vector for each frame, shape (time, batch, feature)."""
        time, batch = frames.values.shape[:2]
        places: Tensor = self.images(frames.values.flatten(0, 1))
        if isinstance(self.recurrent, ConvLSTM):
            maps = places.transpose(1, 2).unflatten(2, self.images.grid).unflatten(0, (time, batch))
            hidden, _ = self.recurrent(self.locked_dropout(maps), lengths=frames.lengths)
            return SequenceBatch(hidden.amax((-2, -1)), frames.lengths)
        vectors = relu(self.frame(places.flatten(1))).unflatten(0, (time, batch))
        outputs: Any = self.recurrent(SequenceBatch(self.locked_dropout(vectors), frames.lengths))[0]
        return cast("SequenceBatch", outputs)

    def forward(self, inputs: SequenceBatch) -> Tensor:
        """Unnormalised log-probabilities, shape (batch, num_classes).

        Args:
            inputs: values of shape (time, batch, ...), as the encoder of pictures takes them.
        """
        return self.output(self.dropout(self.pooling(self.states(inputs))))
