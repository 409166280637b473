"""From pictures to vectors: what networks that look at pictures share, and two encoders that are trained with them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from throughtime.errors import ArgumentError, check_positive_integer, check_range, check_shape
from throughtime.nn.picture_convolution import PictureConvolution


class ImageEncoder(nn.Module, ABC):
    """Vectors of the places of a picture, from the upper left to the lower right, row by row.

    Attributes:
        grid: rows and columns of places; (1, 1) where one vector stands for the whole picture.
        output_size: features of a vector.
        input_shape: of a picture that goes in.
    """

    grid: tuple[int, int]
    output_size: int
    input_shape: tuple[int, ...]

    @abstractmethod
    def forward(self, pictures: Tensor) -> Tensor:
        """Vectors of shape (pictures, places, output_size), float32, for pictures of shape (pictures, ...)."""

    @property
    def places(self) -> int:
        """How many places a picture has."""
        return self.grid[0] * self.grid[1]


class PixelEncoder(ImageEncoder):
    """Base of the encoders that look at pixels, which normalises them.

    Args:
        shape: height, width and channels of the pictures.
        mean: of each channel, for values from 0 to 1.
        std: of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for size in shape:
            check_positive_integer("shape", size)
        self.input_shape = shape
        # Both stand in the model's config, not among its weights.
        self.register_buffer("mean", torch.tensor(tuple(mean)), persistent=False)
        self.register_buffer("std", torch.tensor(tuple(std)), persistent=False)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Float32 of shape (pictures, channel, height, width) for uint8 of (pictures, height, width, channel).

        Raises:
            ArgumentError: where the pixels are of another shape.
        """
        check_shape("pixels", pixels.shape, ("pictures", *self.input_shape))
        # Seen channel by channel, yet laid out pixel by pixel, which convolutions on a CPU like better.
        return ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)


class ConvolutionalEncoder(PixelEncoder):
    """A small convolutional network of our own.

    Each stage convolves with filters of 3 x 3, normalises over the batch, keeps what is positive and halves height and
    width by max pooling; ``convolutions`` of them come before each pooling. Halves are rounded up, so that no place at
    the right or lower edge goes unseen.

    Args:
        shape: height, width and channels of the pictures.
        mean: of each channel, for values from 0 to 1.
        std: of each channel.
        channels: filters of each stage.
        convolutions: in each stage.
        dropout: probability that a whole feature map is dropped after a stage.
        batch_norm: whether what a convolution gives is normalised over the batch; else it has biases.

    Raises:
        ArgumentError: for a number below 1, or more stages than the picture can be halved.

    >>> encoder = ConvolutionalEncoder((32, 48, 3), channels=(8, 16))
    >>> encoder(torch.zeros(2, 32, 48, 3, dtype=torch.uint8)).shape, encoder.grid
    (torch.Size([2, 96, 16]), (8, 12))
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
        *,
        channels: Sequence[int] = (32, 64, 128),
        convolutions: int = 1,
        dropout: float = 0.0,
        batch_norm: bool = True,
    ) -> None:
        super().__init__(shape, mean, std)
        check_positive_integer("convolutions", convolutions)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        if not channels:
            raise ArgumentError("`channels` must be a number or several, got none")
        halvings = 2 ** len(channels)
        self.grid = math.ceil(shape[0] / halvings), math.ceil(shape[1] / halvings)
        if min(shape[:2]) < halvings:
            raise ArgumentError(
                f"`channels` has {len(channels)} stages, each of which halves the picture, and it has "
                f"{shape[0]} x {shape[1]} pixels; give fewer stages"
            )
        self.output_size = channels[-1]
        self.stages = nn.ModuleList()
        before = shape[2]
        for count in channels:
            check_positive_integer("channels", count)
            layers: list[nn.Module] = []
            for _ in range(convolutions):
                norm = nn.BatchNorm2d(count) if batch_norm else nn.Identity()
                layers += [PictureConvolution(before, count, bias=not batch_norm), norm]
                before = count
            self.stages.append(nn.ModuleList(layers))
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pictures: Tensor) -> Tensor:  # noqa: D102
        maps = self.normalised(pictures)
        for stage in self.stages:
            for convolution, norm in _pairs(cast("nn.ModuleList", stage)):
                maps = relu(norm(convolution(maps)))
            maps = self.dropout(max_pool2d(maps, 2, ceil_mode=True))
        return maps.flatten(2).transpose(1, 2).float()


class FullyConnectedEncoder(PixelEncoder):
    """A feed-forward network over all pixels at once; one vector for the picture.

    Args:
        shape: height, width and channels of the pictures.
        mean: of each channel, for values from 0 to 1.
        std: of each channel.
        hidden_sizes: units of each layer.
        dropout: probability that a unit is dropped after each layer; of the pixels a fifth of it.

    Raises:
        ArgumentError: for a number below 1.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
        *,
        hidden_sizes: Sequence[int] = (512, 512),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(shape, mean, std)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        if not hidden_sizes:
            raise ArgumentError("`hidden_sizes` must be a number or several, got none")
        self.grid = 1, 1
        self.output_size = hidden_sizes[-1]
        self.pixel_dropout = nn.Dropout(dropout / 5)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        before = math.prod(shape)
        for size in hidden_sizes:
            check_positive_integer("hidden_sizes", size)
            self.layers.append(nn.Linear(before, size, bias=False))
            self.norms.append(nn.BatchNorm1d(size))
            before = size

    def forward(self, pictures: Tensor) -> Tensor:  # noqa: D102
        values = self.pixel_dropout(self.normalised(pictures).flatten(1))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            values = self.dropout(relu(norm(layer(values))))
        return values.unsqueeze(1).float()


class GivenFeatures(ImageEncoder):
    """Pictures whose vectors were computed before, by a network that isn't trained on: they are what comes out.

    Args:
        grid: rows and columns of places.
        output_size: features of a vector.
    """

    def __init__(self, grid: tuple[int, int], output_size: int) -> None:
        super().__init__()
        self.grid = grid
        self.output_size = output_size
        self.input_shape = (self.places, output_size)

    def forward(self, pictures: Tensor) -> Tensor:  # noqa: D102
        check_shape("features", pictures.shape, ("pictures", *self.input_shape))
        return pictures.float()


def with_coordinates(vectors: Tensor, grid: tuple[int, int]) -> Tensor:
    """Give the vector of each place its row and its column, from -1 to 1, as two more features (Liu et al. 2018).

    Args:
        vectors: shape (pictures, places, features).
        grid: rows and columns of places.

    Returns:
        Shape (pictures, places, features + 2).
    """
    rows, columns = (torch.linspace(-1, 1, size, device=vectors.device, dtype=vectors.dtype) for size in grid)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).flatten(0, 1)
    return torch.cat([vectors, places.expand(len(vectors), -1, -1)], -1)


def _pairs(layers: nn.ModuleList) -> list[tuple[nn.Module, nn.Module]]:
    return list(zip(layers[::2], layers[1::2], strict=True))
