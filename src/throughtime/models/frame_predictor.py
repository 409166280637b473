"""The network that predicts the next frame of a video: convolutional recurrent layers on patches of pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from throughtime.cells import State
from throughtime.errors import ArgumentError, check_choice, check_positive_integer
from throughtime.nn import ConvGRU, ConvLSTM
from throughtime.sequence import SequenceBatch

States = Tensor | State


class FramePredictor(nn.Module):
    """ConvLSTM or ConvGRU layers, and a convolution of one place for the pixels' log-odds (Shi et al. 2015).

    Frames are folded: each patch of patch_size x patch_size pixels is one place with as many more channels, so that a
    small kernel sees far and the layers work on few places (the same, section 4.1).

    Args:
        shape: height, width and channels of the frames.
        cell: "lstm" or "gru".
        hidden_channels: units of each layer at each place.
        num_layers: layers above each other.
        kernel_size: places that a weight sees along each axis, odd.
        patch_size: pixels along each side of a patch; it divides height and width.
        peephole: whether an LSTM's gates see the cell state.

    Raises:
        ArgumentError: for a number or a name that can't be.

    >>> network = FramePredictor((16, 24, 1), hidden_channels=8, patch_size=4)
    >>> network(SequenceBatch(torch.zeros(5, 2, 16, 24, 1, dtype=torch.uint8))).shape
    torch.Size([5, 2, 16, 24, 1])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden_channels: int = 64,
        num_layers: int = 2,
        kernel_size: int = 3,
        patch_size: int = 4,
        peephole: bool = True,
    ) -> None:
        super().__init__()
        check_choice("cell", cell, ("lstm", "gru"))
        check_positive_integer("patch_size", patch_size)
        height, width, channels = shape
        if height % patch_size or width % patch_size:
            raise ArgumentError(
                f"`patch_size` must divide height and width of the frames, {height} x {width} pixels, got {patch_size}"
            )
        self.shape = shape
        self.patch_size = patch_size
        folded = channels * patch_size**2
        self.recurrent: ConvLSTM | ConvGRU = (
            ConvLSTM(folded, hidden_channels, kernel_size, num_layers, peephole=peephole, gate_biases={"forget": 1.0})
            if cell == "lstm"
            else ConvGRU(folded, hidden_channels, kernel_size, num_layers)
        )
        self.output = nn.Conv2d(hidden_channels, folded, 1)

    def forward(self, frames: SequenceBatch) -> Tensor:
        """Log-odds of the pixels of each next frame, shape (time, batch, height, width, channel).

        Args:
            frames: values of shape (time, batch, height, width, channel), uint8, or float from 0 to 1.
        """
        return self.read(frames)[0]

    def read(self, frames: SequenceBatch, state: States | None = None) -> tuple[Tensor, States]:
        """``forward`` on from a state, and the state after it."""
        values = frames.values
        scaled = values.float() / 255 if values.dtype == torch.uint8 else values
        folded = pixel_unshuffle(scaled.flatten(0, 1).movedim(-1, 1), self.patch_size).unflatten(0, values.shape[:2])
        hidden, after = self.recurrent(folded, state, lengths=frames.lengths)
        return self.pixels(hidden.flatten(0, 1)).unflatten(0, values.shape[:2]), after

    def pixels(self, hidden: Tensor) -> Tensor:
        """Log-odds of pixels, (..., height, width, channel), from the last layer's outputs, (..., channel, y, x)."""
        return pixel_shuffle(self.output(hidden), self.patch_size).movedim(1, -1)

    @torch.inference_mode()
    def continued(self, frames: SequenceBatch, count: int) -> Tensor:
        """Go on with videos: each predicted frame is the next input.

        Args:
            frames: as in ``forward``, all of one length.
            count: how many frames to predict.

        Returns:
            Pixels from 0 to 1, shape (count, batch, height, width, channel).
        """
        scores, state = self.read(frames)
        found = [scores[-1:].sigmoid()]
        while len(found) < count:
            scores, state = self.read(SequenceBatch(found[-1]), state)
            found.append(scores.sigmoid())
        return torch.cat(found)
