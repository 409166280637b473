"""Networks that others trained on many pictures, as transformers has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, MissingExtraError
from throughtime.models.image_encoder import PixelEncoder


class PretrainedEncoder(PixelEncoder):
    """A network of transformers that looks at pictures: ResNet, ConvNeXt, ViT, DINO and others, by ``AutoModel``.

    Args:
        config: of the network, as its config.json has it.
        shape: height, width and channels of the pictures that it was trained on.
        mean: of their channels, for values from 0 to 1.
        std: of their channels.
        spatial: whether a vector for each place comes out, or one for the whole picture.
        frozen: whether it stays as it is; it then is always in evaluation mode, and no gradient flows into it.

    Raises:
        ArgumentError: where transformers has no such network.
        MissingExtraError: where transformers is not installed.
    """

    def __init__(
        self,
        config: dict[str, Any],
        shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        spatial: bool = False,
        frozen: bool = True,
    ) -> None:
        super().__init__(shape, mean, std)
        transformers = transformers_library()
        self.config = config
        self.spatial = spatial
        self.frozen = frozen
        kinds = {name: value for name, value in config.items() if name not in {"model_type", "architectures"}}
        try:
            made = transformers.AutoConfig.for_model(config.get("model_type", ""), **kinds)
            self.network: Any = transformers.AutoModel.from_config(made)
        except (ValueError, KeyError, TypeError) as error:
            raise ArgumentError(f"the backbone's config names no network that transformers has ({error})") from error
        for weight in self.network.parameters():
            weight.requires_grad_(not frozen)
        self.train(self.training)
        with torch.inference_mode():
            vectors = self(torch.zeros(1, *shape, dtype=torch.uint8))
        self.output_size = vectors.shape[2]
        self.grid = _grid(vectors.shape[1], shape)

    @property
    def name(self) -> str:
        """The kind of network, for people to read."""
        return str(self.config.get("model_type", "network"))

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Change the mode; a frozen network stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, pictures: Tensor) -> Tensor:  # noqa: D102
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            outputs = self.network(pixel_values=self.normalised(pictures))
            return self._vectors(outputs.last_hidden_state).float()

    def _vectors(self, hidden: Tensor) -> Tensor:
        """Vectors from maps (batch, feature, row, column) or tokens (batch, place, feature)."""
        if hidden.ndim == 4:
            places = hidden.flatten(2).transpose(1, 2)
            return places if self.spatial else places.mean(1, keepdim=True)
        # Before the places of a transformer come its class token, and sometimes registers.
        extra = hidden.shape[1] - _patches(self.config, self.input_shape, hidden.shape[1])
        if self.spatial:
            return hidden[:, extra:]
        return hidden[:, :1] if extra else hidden.mean(1, keepdim=True)


def _patches(config: dict[str, Any], shape: Sequence[int], tokens: int) -> int:
    """How many of a transformer's tokens are places: one for each patch."""
    patch = config.get("patch_size")
    if isinstance(patch, int):
        return (shape[0] // patch) * (shape[1] // patch)
    return math.isqrt(tokens) ** 2


def _grid(places: int, shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of so many places, in the proportions of the picture as nearly as can be."""
    wanted = math.sqrt(places * shape[0] / shape[1])
    rows = min((rows for rows in range(1, places + 1) if places % rows == 0), key=lambda rows: abs(rows - wanted))
    return rows, places // rows


def transformers_library() -> Any:
    """The library; MissingExtraError where it is not installed."""
    try:
        import transformers  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("a pre-trained backbone", "transformers", "vision") from error
    return transformers
