"""What all classifiers share, whatever an example is: settings, training, validation, scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Protocol

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from throughtime.data import ExampleBatches, Ids, LabelledExamples, Sequences, Splits, evaluation_batches
from throughtime.errors import DataError, counted
from throughtime.models import ClassifyingNetwork
from throughtime.tasks.class_targets import ClassTargets, checked_class_weights
from throughtime.tasks.classification_figures import accuracy, macro_f1
from throughtime.tasks.network_training import CellName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.reading import classifier_reading
from throughtime.tasks.settings import Duration, Positive, Probability
from throughtime.training import (
    ClassificationObjective,
    Position,
    Processes,
    Validation,
    autocast,
    classification_loss,
)

EVALUATION_BATCH = 128
FEWEST_EXAMPLES = 4
WATCHED = 16
"""Examples by which gradients are watched."""


class LabelSettings(TrainingSettings):
    """The settings of every classifier. What is None is chosen from the data.

    Attributes:
        EXAMPLES_READ: how many examples training reads that has the time, and no limit.
        MOST_EPOCHS: how many times it reads each at most.
    """

    EXAMPLES_READ: ClassVar[int] = 100_000
    MOST_EPOCHS: ClassVar[int] = 30

    label_column: str | None = None
    """The column of the label, by its name or by its number from 1; recognised by default."""
    multi_label: bool = False
    """Whether an example may have several labels, or none."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of each class that is kept for validation where no validation file is given."""

    class_weights: Annotated[str, AfterValidator(checked_class_weights)] | None = None
    """How much each class counts: balanced, or as in spam=3,ham=1."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""
    select_by: Literal["accuracy", "macro_f1", "loss"] | None = None
    """What decides on the weights that are kept; accuracy, or macro F1 where there may be several labels."""
    batch_size: Positive = 32
    """Examples of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    dropout: Probability = 0.5
    """Probability of dropping a feature after each stage, the same along a sequence."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The network, for people to read."""

    @property
    def decisive(self) -> str:
        """The figure that decides on the weights that are kept."""
        return self.select_by or ("macro_f1" if self.multi_label else "accuracy")

    def enough_epochs(self, examples: int) -> int:
        """How many passes over so many examples are enough, fewer where there are more."""
        return enough_epochs(examples, self.EXAMPLES_READ, self.MOST_EPOCHS)


class ClassifierSettings(LabelSettings):
    """The settings of every classifier of sequences. What is None is chosen from the data."""

    label_separator: str | None = None
    """What stands between several labels of a row (CSV, TSV), such as a semicolon."""
    encoding: str | None = None
    """The files' encoding; UTF-8, or else recognised and told, by default."""

    channels: Annotated[int, Field(ge=0)] = 0
    """Filters of each width of the convolution; 0 leaves it out."""
    widths: tuple[Positive, ...] = (3,)
    """Steps that a filter sees; several widths stand side by side."""
    recurrent: bool = True
    """Whether there are recurrent layers."""
    cell: CellName = "lstm"
    hidden_size: Positive = 128
    """Units of each direction of a recurrent layer."""
    num_layers: Positive = 1
    """Recurrent layers, one above the other."""
    bidirectional: bool = True
    """Whether the recurrent layers read in both directions."""
    pooling: Literal["max", "mean", "last", "attention"] = "max"
    """How a sequence's vector comes of those of its steps."""
    fully_connected: Annotated[int, Field(ge=0)] = 0
    """Units of a layer between the pooling and the output; 0 leaves it out."""

    @property
    def name(self) -> str:
        """The network's stages and their sizes, for people to read."""
        stages = [f"convolution {self.channels} x {len(self.widths)}"] if self.channels else []
        if self.recurrent:
            direction = "bidirectional " if self.bidirectional else ""
            stages.append(f"{direction}{self.cell.upper()} {self.num_layers} x {self.hidden_size}")
        return ", ".join([*stages, f"{self.pooling} pooling"])

    @property
    def stages(self) -> dict[str, Any]:
        """What ``RecurrentClassifier`` takes."""
        return {
            "channels": self.channels,
            "widths": self.widths,
            "cell": self.cell if self.recurrent else None,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "pooling": self.pooling,
            "fully_connected": self.fully_connected,
            "dropout": self.dropout,
        }


class ClassifiedData(Protocol):
    """A labelled data set, and what it means in numbers.

    Attributes:
        splits: its parts.
        targets: its classes.
        train: what the network reads of the training examples.
        valid: the same of the validation examples.
    """

    @property
    def splits(self) -> Splits[Any]: ...  # noqa: D102
    @property
    def targets(self) -> ClassTargets: ...  # noqa: D102
    @property
    def train(self) -> Sequences | Sequence[Ids]: ...  # noqa: D102
    @property
    def valid(self) -> Sequences | Sequence[Ids]: ...  # noqa: D102


def check_examples(splits: Splits[Any], settings: LabelSettings) -> None:
    """Raise DataError where there is nothing to learn from the data; see ``ClassTargets.of``."""
    train: LabelledExamples[Any] = splits.train
    if len(train) < FEWEST_EXAMPLES:
        raise DataError(
            f"{train.name}: has {counted(len(train), 'example')} to learn from, at least {FEWEST_EXAMPLES} are needed"
        )
    others = [part for name, part in splits.parts().items() if name != "train"]
    ClassTargets.of(train, others, multi_label=settings.multi_label)


def fit(network: ClassifyingNetwork, data: ClassifiedData, settings: LabelSettings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    train_targets = data.targets.encode(data.splits.train)
    weights = data.targets.weights(settings.class_weights, train_targets)
    batches = ExampleBatches(
        data.train,
        train_targets,
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    return train_network(
        network,
        ClassificationObjective(network, weights),
        batches,
        partial(validate, network, data, settings, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        unit=data.splits.train.UNIT,
        most_epochs=settings.enough_epochs(len(data.splits.train)),
        readings=lambda: [one for one in [classifier_reading(network, data.valid, most=WATCHED)] if one],
    )


def enough_epochs(examples: int, read: int = 100_000, most: int = 30) -> int:
    """How many passes over so many examples are enough, fewer where there are more.

    >>> enough_epochs(500), enough_epochs(10_000), enough_epochs(1_000_000)
    (30, 10, 4)
    """
    return min(most, max(4, round(read / examples)))


def validate(
    network: ClassifyingNetwork, data: ClassifiedData, settings: LabelSettings, processes: Processes
) -> Validation:
    """Judge the network on the validation examples: loss, accuracy and macro F1, the same in all processes."""
    scores = scores_of(network, data.valid, precision=settings.precision, device=processes.device)
    targets = data.targets.encode(data.splits.valid)
    loss = processes.first(classification_loss(scores, targets).item())
    likely = data.targets.likely(data.targets.probabilities(scores))
    figures = {
        "accuracy": processes.first(accuracy(likely, targets)),
        "macro_f1": processes.first(macro_f1(likely, targets)),
    }
    return Validation(loss, figures, figures.get(settings.decisive))


@torch.inference_mode()
def scores_of(
    network: ClassifyingNetwork, sequences: Sequences | Sequence[Ids], *, precision: str, device: torch.device
) -> Tensor:
    """The network's scores, shape (examples, classes), float32, on the CPU.

    Args:
        network: in evaluation mode.
        sequences: what it reads.
        precision: 32 or bf16.
        device: of the network.
    """
    scores = torch.zeros(len(sequences), network.num_classes)
    for rows, inputs in evaluation_batches(sequences, EVALUATION_BATCH):
        with autocast(precision, device):
            found = network(inputs.to(device))
        scores[torch.from_numpy(rows)] = found.float().cpu()
    return scores
