"""What classifiers of sequences share, whatever a step is: settings of the network, training, validation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from throughtime.data import ExampleBatches, Ids, LabelledExamples, Sequences, Splits
from throughtime.errors import DataError
from throughtime.models import RecurrentClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_training import ClassificationSettings, enough_epochs, judged, scores_of
from throughtime.tasks.network_training import CellName, Run, optimizers_of, train_network
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ClassificationObjective, Position, Processes, Validation

FEWEST_EXAMPLES = 4


class ClassifierSettings(ClassificationSettings):
    """The settings of every classifier of sequences. What is None is chosen from the data."""

    label_column: str | None = None
    """The column of the label, by its name or by its number from 1; recognised by default."""
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
    dropout: Probability = 0.5
    """Probability of dropping a feature after each stage, the same along a sequence."""

    batch_size: Positive = 32
    """Examples of a batch, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

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


def check_examples(splits: Splits[Any], settings: ClassifierSettings) -> None:
    """Raise DataError where there is nothing to learn from the data; see ``ClassTargets.of``, too."""
    train: LabelledExamples[Any] = splits.train
    if len(train) < FEWEST_EXAMPLES:
        raise DataError(f"{train.name}: has {len(train)} examples to learn from, at least {FEWEST_EXAMPLES} are needed")
    others = [part for name, part in splits.parts().items() if name != "train"]
    ClassTargets.of(train, others, multi_label=settings.multi_label)


def fit(network: RecurrentClassifier, data: ClassifiedData, settings: ClassifierSettings, run: Run) -> Position:
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
        unit=data.splits.train.UNIT.removesuffix("s"),
        most_epochs=enough_epochs(len(data.splits.train)),
    )


def validate(
    network: RecurrentClassifier, data: ClassifiedData, settings: ClassifierSettings, processes: Processes
) -> Validation:
    """Judge the network on the validation examples: loss, accuracy and macro F1, the same in all processes."""
    scores = scores_of(network, data.valid, precision=settings.precision, device=processes.device)
    return judged(scores, data.targets.encode(data.splits.valid), data.targets, settings, processes)
