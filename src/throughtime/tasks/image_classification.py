"""Image classification: from a picture to a label, one to one, the feed-forward network that recurrent ones go on from.

A picture becomes pixels of one size. A convolutional network of our own, a backbone that others trained, or plain fully
connected layers make vectors of them, which are pooled, and a fully connected layer scores the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from throughtime.data import (
    Frames,
    ImageColumns,
    LabelledImages,
    Splits,
    find_images,
    load_splits,
    save_splits,
    split_images,
)
from throughtime.errors import ArgumentError
from throughtime.models import ImageClassifier, ImageEncoder
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
from throughtime.tasks.network_training import Run
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ModelFolder

TASK = "image_classification"


class Settings(LabelSettings, ImageSettings):
    """Settings of an image classifier. What is None is chosen from the data."""

    EXAMPLES_READ: ClassVar[int] = 600_000
    MOST_EPOCHS: ClassVar[int] = 60

    image_column: str | None = None
    """The column that names the picture's file, by its name or by its number from 1; recognised by default."""
    images: str | None = None
    """The folder that the names in tables start from; the table's own by default."""

    network: Literal["convolutional", "fully-connected"] | None = None
    """The own network, without a backbone: convolutions by default, or fully connected layers over all pixels."""
    hidden_sizes: tuple[Positive, ...] = (1024, 512)
    """Units of each layer (fully-connected)."""
    convolutions: Positive = 2
    """Convolutions in each stage (convolutional)."""
    channels: tuple[Positive, ...] = (32, 64)
    """Filters of each stage (convolutional), each of which halves height and width."""
    pooling: Literal["flatten", "mean", "max"] | None = None
    """How a picture's vector comes of those of its places; side by side, or of a backbone the mean, by default."""
    fully_connected: Annotated[int, Field(ge=0)] = 128
    """Units of a layer between the pooling and the output (convolutional, backbone); 0 leaves it out."""
    dropout: Probability = 0.4
    """Probability of dropping a unit before each fully connected layer."""
    image_dropout: Probability = 0.1
    """Probability of dropping a whole feature map after a stage (convolutional)."""
    shift: Annotated[int, Field(ge=0)] = 0
    """In training, pictures are moved by up to so many pixels."""
    flip: bool = False
    """In training, half of the pictures are mirrored, left to right."""

    batch_size: Positive = 64
    """Pictures of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.05

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.backbone is not None and self.network is not None:
            raise ArgumentError("give one of `backbone` and `network`")
        if self.network == "fully-connected" and not self.batch_norm:
            raise ArgumentError("`batch_norm` is left out of convolutions alone; leave out `network`, or this")
        if self.backbone is not None and not self.fine_tune and (self.shift or self.flip):
            raise ArgumentError("`shift` and `flip` move pixels; what a frozen backbone gives is computed once")
        return self

    @property
    def columns(self) -> ImageColumns:
        """Where the rows of tables have picture and label."""
        return ImageColumns(self.image_column, self.label_column, Path(self.images) if self.images else None)

    @property
    def name(self) -> str:
        """The network's layers and their sizes, for people to read."""
        if self.backbone is not None:
            return f"{self.backbone}, {'fine-tuned' if self.fine_tune else 'frozen'}"
        if self.network == "fully-connected":
            return f"fully connected {' - '.join(map(str, self.hidden_sizes))}"
        stages = " - ".join(map(str, self.channels))
        return f"convolutional {self.convolutions} x ({stages}), fully connected {self.fully_connected}"


@dataclass(frozen=True)
class ClassifiedImages:
    """A labelled set of pictures, as a network gets it.

    Attributes:
        splits: its parts, without the pictures themselves.
        train: the training pictures.
        valid: the validation pictures.
        targets: its classes.
        reader: from other pictures to what the network gets.
    """

    splits: Splits[LabelledImages]
    train: Frames
    valid: Frames
    targets: ClassTargets
    reader: PictureReader


def load_data(sources: Sequence[LabelledImages | Path | str], settings: Settings, run: Run) -> None:
    """Find labelled pictures, tell what was understood, and write them as the network gets them.

    Args:
        sources: files, folders, or ``LabelledImages``.
        settings: where a row has its picture and its label, and how pictures are read.
        run: its folder gets tokens/ and how pictures are read, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the pictures", 0.0)
    parts = find_images(sources, settings.columns)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_images(parts, settings.validation_fraction, seed=settings.seed)
    check_examples(splits, settings)
    reader = choose_reader(splits.train.pictures, settings, spatial=pooling_of(settings) == "flatten")
    named = {name: (part.pictures, [one.place for one in part.examples]) for name, part in splits.parts().items()}
    broken = prepare_pictures(reader, named, settings, run)
    kept = {
        name: part.chosen(np.setdiff1d(np.arange(len(part)), broken[name]).tolist())
        for name, part in splits.parts().items()
    }
    splits = Splits(kept["train"], kept["valid"], kept.get("test"))
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    how = reader.preprocessing
    run.display.line(f"pictures of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}")


def own_encoder(reader: PictureReader, settings: Settings) -> ImageEncoder:
    """The encoder that is trained, with fresh weights."""
    is_plain = settings.backbone is None and settings.network == "fully-connected"
    if is_plain:
        return build_image_encoder(reader, settings.replaced(image_dropout=settings.dropout), settings.hidden_sizes)
    return build_image_encoder(reader, settings)


def open_data(folder: ModelFolder, settings: Settings) -> ClassifiedImages:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledImages.load)
    pictures = {name: open_pictures(folder, name) for name in ("train", "valid")}
    targets = ClassTargets.of(splits.train, (), multi_label=settings.multi_label)
    reader = PictureReader.load(folder)
    return ClassifiedImages(splits, pictures["train"], pictures["valid"], targets, reader)


def pooling_of(settings: Settings) -> str:
    """How a picture's vector comes of those of its places."""
    return settings.pooling or ("mean" if settings.backbone else "flatten")


def build_model(settings: Settings, reader: PictureReader, num_classes: int) -> ImageClassifier:
    """Make the network, with fresh weights but for a backbone."""
    is_plain = settings.backbone is None and settings.network == "fully-connected"
    return ImageClassifier(
        own_encoder(reader, settings),
        num_classes,
        pooling=pooling_of(settings),
        fully_connected=0 if is_plain else settings.fully_connected,
        dropout=0.0 if is_plain else settings.dropout,
        shift=settings.shift,
        flip=settings.flip,
    )
