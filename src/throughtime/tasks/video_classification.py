"""Video classification: from the frames of a video to a label, many to one.

A convolutional network, or a backbone that others trained, looks at each frame; recurrent layers read what it saw; what
they say is pooled to one vector for the video, and a layer scores the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from throughtime.data import (
    AllFrames,
    LabelledVideos,
    Splits,
    VideoSequences,
    find_videos,
    load_splits,
    save_splits,
    split_videos,
)
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentVideoClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import LabelSettings, check_examples
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import CellName, Run
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ModelFolder

TASK = "video_classification"


class Settings(LabelSettings, ImageSettings):
    """Settings of a video classifier. What is None is chosen from the data."""

    recurrence: Literal["vectors", "convolutional"] = "vectors"
    """What the recurrent layers read: a vector for each frame, or, convolutional, the picture of its places."""
    cell: CellName = "lstm"
    """The recurrent cell (vectors)."""
    frame_size: Positive = 128
    """Features of a frame's vector (vectors)."""
    hidden_size: Positive = 128
    """Units of each direction of a recurrent layer; of convolutional ones at each place."""
    num_layers: Positive = 1
    """Recurrent layers, one above the other."""
    bidirectional: bool = False
    """Whether the recurrent layers read in both directions."""
    pooling: Literal["last", "max", "mean", "attention"] = "last"
    """How a video's vector comes of those of its frames."""
    dropout: Probability = 0.2
    """Probability of dropping a feature before the recurrent layers and before the output."""
    channels: tuple[Positive, ...] = (16, 32)
    """Filters of each stage of the own convolutional network, each of which halves height and width."""

    batch_size: Positive = 16
    """Videos of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.skip_broken:
            raise ArgumentError("`skip_broken` is for single pictures; mend or remove the video")
        if self.fine_tune:
            raise ArgumentError("`fine_tune` is for image classifiers; here a `backbone` stays as it is")
        return self

    @property
    def name(self) -> str:
        """The network's stages and their sizes, for people to read."""
        looks = self.backbone or f"CNN {' - '.join(map(str, self.channels))}"
        name = self.cell.upper() if self.recurrence == "vectors" else "ConvLSTM"
        direction = "bidirectional " if self.bidirectional else ""
        return f"{looks} + {direction}{name} {self.num_layers} x {self.hidden_size}, {self.pooling} pooling"


@dataclass(frozen=True)
class ClassifiedVideos:
    """A labelled set of videos, as a network gets it.

    Attributes:
        splits: its parts, without the frames themselves.
        train: the frames of the training videos.
        valid: the frames of the validation videos.
        targets: its classes.
        reader: from other frames to what the network gets.
    """

    splits: Splits[LabelledVideos]
    train: VideoSequences
    valid: VideoSequences
    targets: ClassTargets
    reader: PictureReader


def load_data(sources: Sequence[LabelledVideos | Path | str], settings: Settings, run: Run) -> None:
    """Find labelled videos, tell what was understood, and write the frames as the network gets them.

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
    check_examples(splits, settings)
    frames = {name: AllFrames(part) for name, part in splits.parts().items()}
    reader = choose_reader(frames["train"], settings, spatial=settings.recurrence == "convolutional")
    prepare_pictures(reader, {name: (own, own.places) for name, own in frames.items()}, settings, run)
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    how = reader.preprocessing
    run.display.line(f"frames of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}")


def open_data(folder: ModelFolder, settings: Settings) -> ClassifiedVideos:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledVideos.load)
    train, valid = (
        VideoSequences.whole(open_pictures(folder, name), part)
        for name, part in (("train", splits.train), ("valid", splits.valid))
    )
    targets = ClassTargets.of(splits.train, (), multi_label=settings.multi_label)
    return ClassifiedVideos(splits, train, valid, targets, PictureReader.load(folder))


def build_model(settings: Settings, reader: PictureReader, num_classes: int) -> RecurrentVideoClassifier:
    """Make the network with fresh weights."""
    return RecurrentVideoClassifier(
        build_image_encoder(reader, settings),
        num_classes,
        recurrence=settings.recurrence,
        cell=settings.cell,
        frame_size=settings.frame_size,
        hidden_size=settings.hidden_size,
        num_layers=settings.num_layers,
        bidirectional=settings.bidirectional,
        pooling=settings.pooling,
        dropout=settings.dropout,
    )
