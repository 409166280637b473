"""Next-frame prediction: from the frames of a video so far to the next one, many to many.

Convolutional recurrent layers read the frames one after the other, and a convolution makes the next frame's pixels of
their state. Each predicted frame can be the next input, so that a video goes on by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from throughtime.data import (
    AllFrames,
    ExampleBatches,
    LabelledVideos,
    Splits,
    VideoSequences,
    evaluation_batches,
    find_videos,
    load_splits,
    save_splits,
    split_videos,
)
from throughtime.errors import ArgumentError, DataError
from throughtime.models import FramePredictor
from throughtime.sequence import SequenceBatch
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import OptimizerName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.settings import Positive
from throughtime.training import ModelFolder, NextFrameObjective, Position, Processes, Validation, next_frame_losses

TASK = "next_frame"
EVALUATION_BATCH = 32
MOST_PATCH = 4


class Settings(TrainingSettings):
    """Settings of a network that predicts frames. What is None is chosen from the videos."""

    image_size: Positive | None = None
    """Height and width of a frame in pixels; the videos' own up to 64 by default."""
    fit: Literal["stretch", "crop", "pad"] | None = None
    """How a frame of another shape gets there: stretched, its middle cropped, or padded with white."""
    grey: bool | None = None
    """Whether colours are left out; where no frame has any, by default."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the videos that is kept for validation where no validation file is given."""
    window: Annotated[int, Field(ge=2)] = 20
    """Frames through which the gradient goes; longer videos are cut into such parts."""

    cell: Literal["lstm", "gru"] = "lstm"
    """The cell at each place."""
    hidden_channels: Positive = 64
    """Units of each layer at each place."""
    num_layers: Positive = 2
    """Convolutional recurrent layers, one above the other."""
    kernel_size: Positive = 3
    """Places that a weight sees along each axis, odd."""
    patch_size: Positive | None = None
    """Pixels along each side of a place; the largest of 4, 2 and 1 that divides the frames, by default."""
    peephole: bool = True
    """Whether the gates see the cell state (lstm)."""

    batch_size: Positive = 16
    """Videos, or parts of videos, of a batch, of each process."""
    optimizer: OptimizerName = "adamw"
    """The optimiser: adamw or sgd; of kernels Muon moves none."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0

    @property
    def looks(self) -> ImageSettings:
        """How frames are read, as pictures are."""
        return ImageSettings(image_size=self.image_size, fit=self.fit, grey=self.grey)

    @property
    def network_name(self) -> str:
        """The network's layers and their sizes, for people to read."""
        return f"Conv{self.cell.upper()} {self.num_layers} x {self.hidden_channels}, kernel {self.kernel_size}"


@dataclass(frozen=True)
class VideoData:
    """Videos as a network gets them.

    Attributes:
        splits: the parts, without the frames themselves.
        sequences: the frames of each part, in parts of ``window`` frames.
        reader: from other frames to what the network gets.
    """

    splits: Splits[LabelledVideos]
    sequences: Splits[VideoSequences]
    reader: PictureReader


def load_data(sources: Sequence[LabelledVideos | Path | str], settings: Settings, run: Run) -> None:
    """Find videos, tell what was understood, and write the frames as the network gets them.

    Args:
        sources: files, folders, or ``LabelledVideos``.
        settings: how frames are read.
        run: its folder gets tokens/ and how frames are read, its display shows what was understood.

    Raises:
        DataError: naming the video, where one can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the videos", 0.0)
    parts = find_videos(sources)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_videos(parts, settings.validation_fraction, seed=settings.seed)
    for part in splits.parts().values():
        if part.lengths.max() < 2:
            raise DataError(f"{part.name}: no video has two frames, of which one could be predicted")
    reader = choose_reader(AllFrames(splits.train), settings.looks, spatial=True)
    frames = {name: AllFrames(part) for name, part in splits.parts().items()}
    prepare_pictures(reader, {name: (own, own.places) for name, own in frames.items()}, settings.looks, run)
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    how = PictureReader.load(run.folder).preprocessing
    run.display.line(f"frames of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}")


def open_data(folder: ModelFolder, settings: Settings) -> VideoData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledVideos.load)
    windows = {
        name: VideoSequences.windows(open_pictures(folder, name), part, settings.window)
        for name, part in splits.parts().items()
    }
    return VideoData(
        splits, Splits(windows["train"], windows["valid"], windows.get("test")), PictureReader.load(folder)
    )


def patch_size_of(settings: Settings, reader: PictureReader) -> int:
    """Pixels along each side of a place: what the user said, or the largest that divides the frames."""
    height, width, _ = reader.preprocessing.shape
    fitting = [size for size in range(1, MOST_PATCH + 1) if not height % size and not width % size and size != 3]
    return settings.patch_size or max(fitting)


def build_model(settings: Settings, reader: PictureReader) -> FramePredictor:
    """Make the network, with fresh weights, from settings that are complete."""
    return FramePredictor(
        reader.preprocessing.shape,
        cell=settings.cell,
        hidden_channels=settings.hidden_channels,
        num_layers=settings.num_layers,
        kernel_size=settings.kernel_size,
        patch_size=patch_size_of(settings, reader),
        peephole=settings.peephole,
    )


def fit(network: FramePredictor, data: VideoData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    train = data.sequences.train
    batches = ExampleBatches(
        train,
        torch.zeros(len(train)),
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    return train_network(
        network,
        NextFrameObjective(network),
        batches,
        partial(validate, network, data.sequences.valid, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), [], settings),
        unit="frame",
        most_epochs=enough_epochs(len(train)),
    )


def enough_epochs(windows: int) -> int:
    """How many passes over so many parts of videos are enough, fewer where there are more.

    >>> enough_epochs(100), enough_epochs(1_000), enough_epochs(100_000)
    (60, 20, 4)
    """
    return min(60, max(4, round(20_000 / windows)))


@torch.inference_mode()
def validate(network: FramePredictor, sequences: VideoSequences, processes: Processes) -> Validation:
    """Judge the network on the validation videos: cross-entropy and squared error of each next frame."""
    losses: list[Tensor] = []
    errors: list[float] = []
    for _, batch in evaluation_batches(sequences, EVALUATION_BATCH):
        videos = SequenceBatch(batch.values.to(processes.device), batch.lengths)
        losses.append(next_frame_losses(network, videos).cpu())
    errors = next_frame_errors(network, sequences, processes.device)[0].tolist()
    loss = processes.first(torch.cat(losses).mean().item())
    return Validation(loss, {"mse": processes.first(float(np.mean(errors)))})


@torch.inference_mode()
def next_frame_errors(
    network: FramePredictor, sequences: VideoSequences, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The squared error of each predicted frame, and of taking the frame before it for it.

    Returns:
        Two tensors of shape (frames that have one before them,): sums over a frame's pixels, which are from 0 to 1.
    """
    ours: list[Tensor] = []
    persistence: list[Tensor] = []
    for _, batch in evaluation_batches(sequences, EVALUATION_BATCH):
        values = batch.values.to(device)
        inputs = SequenceBatch(values[:-1], None if batch.lengths is None else batch.lengths - 1)
        wanted = values[1:].float() / 255
        mask = inputs.mask()
        for kept, predicted in ((ours, network(inputs).sigmoid()), (persistence, values[:-1].float() / 255)):
            errors = (predicted - wanted).square().sum((-3, -2, -1))
            kept.append((errors.flatten() if mask is None else errors[mask]).cpu())
    return torch.cat(ours), torch.cat(persistence)


def continued_errors(
    network: FramePredictor, sequences: VideoSequences, observed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The squared errors of going on freely after some observed frames, beside the last of these standing still.

    Args:
        network: in evaluation mode.
        sequences: those that have more frames than are observed count.
        observed: frames that are given.
        device: of the network.

    Returns:
        Two tensors of shape (predicted frames,): the means over the sequences of all frames that many have.

    Raises:
        ArgumentError: where no sequence is long enough.
    """
    longest = int(sequences.lengths.max())
    rows = np.flatnonzero(sequences.lengths == longest).tolist()
    if not 0 < observed < longest:
        raise ArgumentError(f"`observed` must be from 1 to {longest - 1} frames, as the videos have, got {observed}")
    sums = torch.zeros(2, longest - observed)
    for start in range(0, len(rows), EVALUATION_BATCH):
        values = sequences.batch(rows[start : start + EVALUATION_BATCH]).values.to(device)
        wanted = values[observed:].float() / 255
        ours = network.continued(SequenceBatch(values[:observed]), longest - observed)
        still = (values[observed - 1].float() / 255).expand_as(wanted)
        for place, predicted in enumerate((ours, still)):
            sums[place] += (predicted - wanted).square().sum((-3, -2, -1)).sum(1).cpu()
    return sums[0] / len(rows), sums[1] / len(rows)
