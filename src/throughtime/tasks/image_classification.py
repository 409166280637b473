"""Image classification: from a picture to a label, one to one, the feed-forward network that recurrent ones go on from.

A picture becomes pixels of one size. A convolutional network of our own, a backbone that others trained, or plain fully
connected layers make vectors of them, which are pooled, and a fully connected layer scores the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from throughtime.data import (
    ExampleBatches,
    Frames,
    ImageColumns,
    LabelledImages,
    Picture,
    Splits,
    find_images,
    load_splits,
    save_splits,
    split_images,
)
from throughtime.errors import ArgumentError, DataError
from throughtime.models import ImageClassifier, ImageEncoder
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_training import ClassificationSettings, judged, scores_of
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import Run, optimizers_of, train_network
from throughtime.tasks.pretrained_backbones import load_pretrained
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ClassificationObjective, ModelFolder, Position, Processes, Validation

TASK = "image_classification"
FEWEST_EXAMPLES = 4


class Settings(ClassificationSettings, ImageSettings):
    """Settings of an image classifier. What is None is chosen from the data."""

    image_column: str | None = None
    """The column that names the picture's file, by its name or by its number from 1; recognised by default."""
    label_column: str | None = None
    """The column of the label."""
    images: str | None = None
    """The folder that the names in tables start from; the table's own by default."""

    network: Literal["convolutional", "fully-connected"] = "convolutional"
    """The own network where there is no backbone: convolutions, or fully connected layers over all pixels."""
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
        if self.backbone is not None and "network" in self.model_fields_set:
            raise ArgumentError("give one of `backbone` and `network`")
        if self.backbone is not None and not self.fine_tune and (self.shift or self.flip):
            raise ArgumentError("`shift` and `flip` move pixels; what a frozen backbone gives is computed once")
        return self

    @property
    def columns(self) -> ImageColumns:
        """Where the rows of tables have picture and label."""
        return ImageColumns(self.image_column, self.label_column, Path(self.images) if self.images else None)

    @property
    def layers(self) -> str:
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
        pictures: those of each part.
        targets: its classes.
        reader: from other pictures to what the network gets.
    """

    splits: Splits[LabelledImages]
    pictures: Splits[Frames]
    targets: ClassTargets
    reader: PictureReader


def load_data(
    sources: Sequence[LabelledImages | Path | str], settings: Settings, run: Run
) -> tuple[PictureReader, ImageEncoder]:
    """Find labelled pictures, tell what was understood, and write them as the network gets them.

    Args:
        sources: files, folders, or ``LabelledImages``.
        settings: where a row has its picture and its label, and how pictures are read.
        run: its folder gets tokens/, its display shows what was understood.

    Returns:
        How pictures are read, and the encoder of the network to be trained, with its first weights.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the pictures", 0.0)
    parts = find_images(sources, settings.columns)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_images(parts, settings.validation_fraction, seed=settings.seed)
    train = splits.train
    if len(train) < FEWEST_EXAMPLES:
        raise DataError(f"{train.name}: has {len(train)} pictures to learn from, at least {FEWEST_EXAMPLES} are needed")
    others = [part for name, part in splits.parts().items() if name != "train"]
    ClassTargets.of(train, others, multi_label=settings.multi_label)
    reader, trained = choose_reader(train.pictures, settings, spatial=pooling_of(settings) == "flatten")
    named = {name: (part.pictures, [one.place for one in part.examples]) for name, part in splits.parts().items()}
    reader, broken = prepare_pictures(reader, named, settings, run)
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
    return reader, trained or own_encoder(reader, settings)


def own_encoder(reader: PictureReader, settings: Settings) -> ImageEncoder:
    """The encoder that is trained, with fresh weights."""
    is_plain = settings.backbone is None and settings.network == "fully-connected"
    if is_plain:
        return build_image_encoder(reader, settings.replaced(image_dropout=settings.dropout), settings.hidden_sizes)
    return build_image_encoder(reader, settings)


def first_encoder(reader: PictureReader, settings: Settings, folder: ModelFolder) -> ImageEncoder:
    """The encoder that a run which goes on starts from: its weights come with the run's state, if there is one yet."""
    if settings.backbone is not None and settings.fine_tune and not folder.state_file.exists():
        return load_pretrained(settings.backbone, spatial=pooling_of(settings) == "flatten", frozen=False)[0]
    return own_encoder(reader, settings)


def open_data(folder: ModelFolder, reader: PictureReader, settings: Settings) -> ClassifiedImages:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledImages.load)
    pictures = {name: open_pictures(folder, name) for name in splits.parts()}
    targets = ClassTargets.of(splits.train, (), multi_label=settings.multi_label)
    return ClassifiedImages(splits, Splits(pictures["train"], pictures["valid"], pictures.get("test")), targets, reader)


def pooling_of(settings: Settings) -> str:
    """How a picture's vector comes of those of its places."""
    return settings.pooling or ("mean" if settings.backbone else "flatten")


def build_model(settings: Settings, images: ImageEncoder, num_classes: int) -> ImageClassifier:
    """Make the network around the encoder, the rest with fresh weights."""
    is_plain = settings.backbone is None and settings.network == "fully-connected"
    return ImageClassifier(
        images,
        num_classes,
        pooling=pooling_of(settings),
        fully_connected=0 if is_plain else settings.fully_connected,
        dropout=0.0 if is_plain else settings.dropout,
        shift=settings.shift,
        flip=settings.flip,
    )


def fit(network: ImageClassifier, data: ClassifiedImages, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    right = data.targets.encode(data.splits.train)
    batches = ExampleBatches(
        data.pictures.train,
        right,
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return train_network(
        network,
        ClassificationObjective(network, data.targets.weights(settings.class_weights, right)),
        batches,
        partial(validate, network, data, settings, run.processes),
        settings,
        run,
        optimizers=optimizers_of(trained, network.hidden_matrices(), settings),
        unit="picture",
        most_epochs=enough_epochs(len(data.splits.train)),
    )


def enough_epochs(pictures: int) -> int:
    """How many passes over so many pictures are enough, fewer where there are more.

    >>> enough_epochs(500), enough_epochs(60_000), enough_epochs(1_000_000)
    (60, 10, 5)
    """
    return min(60, max(5, round(600_000 / pictures)))


def validate(network: ImageClassifier, data: ClassifiedImages, settings: Settings, processes: Processes) -> Validation:
    """Judge the network on the validation pictures: loss, accuracy and macro F1, the same in all processes."""
    scores = scores_of(network, data.pictures.valid, precision=settings.precision, device=processes.device)
    return judged(scores, data.targets.encode(data.splits.valid), data.targets, settings, processes)


def predict(
    network: ImageClassifier,
    pictures: Sequence[Picture],
    places: Sequence[str],
    reader: PictureReader,
    targets: ClassTargets,
) -> Tensor:
    """Probabilities of the classes, shape (pictures, classes).

    Raises:
        DataError: naming the picture, where one can't be read.
    """
    device = next(network.parameters()).device
    inputs = Frames(reader.inputs(pictures, places).numpy())
    return targets.probabilities(scores_of(network, inputs, precision="32", device=device))
