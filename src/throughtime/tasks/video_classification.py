"""Video classification: from the frames of a video to a label, many to one.

A convolutional network, or a backbone that others trained, looks at each frame; recurrent layers read what it saw; what
they say is pooled to one vector for the video, and a layer scores the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from throughtime.data import (
    AllFrames,
    ExampleBatches,
    LabelledVideos,
    Splits,
    VideoSequences,
    find_videos,
    load_splits,
    save_splits,
    split_videos,
)
from throughtime.errors import ArgumentError, DataError
from throughtime.models import ImageEncoder, RecurrentVideoClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_training import ClassificationSettings, enough_epochs, judged, scores_of
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import CellName, Run, optimizers_of, train_network
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ClassificationObjective, ModelFolder, Position, Processes, Validation

TASK = "video_classification"
FEWEST_EXAMPLES = 4


class Settings(ClassificationSettings, ImageSettings):
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
    def stages(self) -> str:
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
        sequences: the frames of each part.
        targets: its classes.
        reader: from other frames to what the network gets.
    """

    splits: Splits[LabelledVideos]
    sequences: Splits[VideoSequences]
    targets: ClassTargets
    reader: PictureReader


def load_data(sources: Sequence[LabelledVideos | Path | str], settings: Settings, run: Run) -> PictureReader:
    """Find labelled videos, tell what was understood, and write the frames as the network gets them.

    Args:
        sources: files, folders, or ``LabelledVideos``.
        settings: how frames are read.
        run: its folder gets tokens/, its display shows what was understood.

    Returns:
        How frames are read.

    Raises:
        DataError: naming the video, where one can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the videos", 0.0)
    parts = find_videos(sources)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_videos(parts, settings.validation_fraction, seed=settings.seed)
    train = splits.train
    if len(train) < FEWEST_EXAMPLES:
        raise DataError(f"{train.name}: has {len(train)} videos to learn from, at least {FEWEST_EXAMPLES} are needed")
    others = [part for name, part in splits.parts().items() if name != "train"]
    ClassTargets.of(train, others, multi_label=settings.multi_label)
    frames = {name: AllFrames(part) for name, part in splits.parts().items()}
    reader, _ = choose_reader(frames["train"], settings, spatial=True)
    reader, _ = prepare_pictures(reader, {name: (own, own.places) for name, own in frames.items()}, settings, run)
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    how = reader.preprocessing
    run.display.line(f"frames of {how.height} x {how.width} pixels, {'grey' if how.channels == 1 else 'in colour'}")
    return reader


def open_data(folder: ModelFolder, reader: PictureReader, settings: Settings) -> ClassifiedVideos:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledVideos.load)
    whole = {name: VideoSequences.whole(open_pictures(folder, name), part) for name, part in splits.parts().items()}
    targets = ClassTargets.of(splits.train, (), multi_label=settings.multi_label)
    return ClassifiedVideos(splits, Splits(whole["train"], whole["valid"], whole.get("test")), targets, reader)


def build_model(settings: Settings, images: ImageEncoder, num_classes: int) -> RecurrentVideoClassifier:
    """Make the network around the encoder of frames, the rest with fresh weights."""
    return RecurrentVideoClassifier(
        images,
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


def fit(network: RecurrentVideoClassifier, data: ClassifiedVideos, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    right = data.targets.encode(data.splits.train)
    batches = ExampleBatches(
        data.sequences.train,
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
        unit="video",
        most_epochs=enough_epochs(len(data.splits.train)),
    )


def validate(
    network: RecurrentVideoClassifier, data: ClassifiedVideos, settings: Settings, processes: Processes
) -> Validation:
    """Judge the network on the validation videos: loss, accuracy and macro F1, the same in all processes."""
    scores = scores_of(network, data.sequences.valid, precision=settings.precision, device=processes.device)
    return judged(scores, data.targets.encode(data.splits.valid), data.targets, settings, processes)


def predict(network: RecurrentVideoClassifier, sequences: VideoSequences, targets: ClassTargets) -> Tensor:
    """Probabilities of the classes, shape (videos, classes)."""
    device = next(network.parameters()).device
    return targets.probabilities(scores_of(network, sequences, precision="32", device=device))
