"""The network of an image classifier: a picture in, a score of each class out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.errors import check_choice, check_positive_integer, check_range
from throughtime.models.classifying_network import ClassifyingNetwork
from throughtime.models.image_encoder import ImageEncoder
from throughtime.sequence import SequenceBatch

POOLINGS = ("flatten", "mean", "max")


class ImageClassifier(ClassifyingNetwork):
    """An encoder of pictures, pooling over their places, and fully connected layers: one to one, no recurrence.

    Args:
        images: the encoder.
        num_classes: number of classes.
        pooling: how a picture's vector comes of those of its places: "flatten" puts them side by side, "mean" and
            "max" forget where they stood.
        fully_connected: units of a layer between the pooling and the output; 0 leaves it out.
        dropout: probability that a feature is dropped before each fully connected layer.
        shift: in training each picture is moved by up to so many pixels, down or up and to a side, its edges repeated.
        flip: whether in training half of the pictures are mirrored, left to right.

    Raises:
        ArgumentError: for a size below 1 or an unknown name.
    """

    def __init__(
        self,
        images: ImageEncoder,
        num_classes: int,
        *,
        pooling: str = "flatten",
        fully_connected: int = 0,
        dropout: float = 0.0,
        shift: int = 0,
        flip: bool = False,
    ) -> None:
        super().__init__()
        check_positive_integer("num_classes", num_classes)
        check_choice("pooling", pooling, POOLINGS)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_range("shift", shift, low=0)
        self.images = images
        self.num_classes = num_classes
        self.pooling = pooling
        self.shift = shift
        self.flip = flip
        size = images.output_size * (images.places if pooling == "flatten" else 1)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(size, fully_connected) if fully_connected else None
        self.output = nn.Linear(fully_connected or size, num_classes)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices before the output, but for what is frozen: what the Muon optimiser may move."""
        return [
            weight
            for name, weight in self.named_parameters()
            if weight.ndim == 2 and min(weight.shape) > 1 and not name.startswith("output.") and weight.requires_grad
        ]

    def forward(self, inputs: SequenceBatch) -> Tensor:
        """Scores of shape (batch, num_classes) for pictures as sequences of one frame, values of (1, batch, ...).

        They are unnormalised log-probabilities of the classes, or, where each class is there or not, log-odds.
        """
        frames = inputs.values[0]
        if self.training and (self.shift or self.flip):
            frames = moved(frames, shift=self.shift, flip=self.flip)
        vectors = self.images(frames)
        if self.pooling == "flatten":
            vector = vectors.flatten(1)
        else:
            vector = vectors.mean(1) if self.pooling == "mean" else vectors.amax(1)
        if self.hidden is not None:
            vector = relu(self.hidden(self.dropout(vector)))
        return self.output(self.dropout(vector))


def moved(pictures: Tensor, *, shift: int, flip: bool) -> Tensor:
    """Move each picture by a random number of pixels, and mirror it or not.

    Args:
        pictures: shape (pictures, height, width, channel).
        shift: pixels at most, in each direction; what comes in repeats the edge.
        flip: whether half of them are mirrored, left to right.
    """
    count, height, width, _ = pictures.shape
    device = pictures.device
    down, right = torch.randint(-shift, shift + 1, (2, count, 1), device=device)
    rows = (torch.arange(height, device=device) + down).clamp(0, height - 1)
    columns = (torch.arange(width, device=device) + right).clamp(0, width - 1)
    if flip:
        columns = torch.where(torch.rand(count, 1, device=device) < 0.5, columns.flip(1), columns)
    which = torch.arange(count, device=device)[:, None, None]
    return pictures[which, rows[:, :, None], columns[:, None, :]]
