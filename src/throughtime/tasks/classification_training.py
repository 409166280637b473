"""What the training of all classifiers shares: settings, scores of examples, and how a validation is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from throughtime.data import Ids, Sequences, evaluation_batches
from throughtime.errors import ModelFolderError
from throughtime.sequence import SequenceBatch
from throughtime.tasks.class_targets import ClassTargets, checked_class_weights
from throughtime.tasks.classification_figures import accuracy, macro_f1
from throughtime.tasks.network_training import TrainingSettings
from throughtime.tasks.settings import Duration
from throughtime.training import ModelFolder, Processes, Validation, autocast, classification_loss

EVALUATION_BATCH = 128


class ClassificationSettings(TrainingSettings):
    """Settings that all classifiers have."""

    multi_label: bool = False
    """Whether an example may have several labels, or none."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of each class that is kept for validation where no validation file is given."""
    class_weights: Annotated[str, AfterValidator(checked_class_weights)] | None = None
    """How much each class counts: balanced, or as in spam=3,ham=1."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""
    select_by: Literal["accuracy", "macro_f1", "loss"] | None = None
    """What decides on the weights that are kept; accuracy, or macro F1 where an example may have several labels."""

    @property
    def decisive(self) -> str:
        """The figure that decides on the weights that are kept."""
        return self.select_by or ("macro_f1" if self.multi_label else "accuracy")


def enough_epochs(examples: int) -> int:
    """How many passes over so many examples are enough, fewer where there are more.

    >>> enough_epochs(500), enough_epochs(10_000), enough_epochs(1_000_000)
    (30, 10, 4)
    """
    return min(30, max(4, round(100_000 / examples)))


@torch.inference_mode()
def scores_of(
    network: nn.Module, sequences: Sequences | Sequence[Ids], *, precision: str, device: torch.device
) -> Tensor:
    """The network's scores of examples, shape (examples, classes), float32, on the CPU.

    Args:
        network: in evaluation mode; from a SequenceBatch to scores of shape (batch, classes).
        sequences: the examples, at least one.
        precision: 32 or bf16.
        device: of the network.
    """
    parts: list[tuple[Ids, Tensor]] = []
    for rows, batch in evaluation_batches(sequences, EVALUATION_BATCH):
        with autocast(precision, device):
            found: Tensor = network(SequenceBatch(batch.values.to(device), batch.lengths))
        parts.append((rows, found.float().cpu()))
    scores = torch.zeros(len(sequences), parts[0][1].shape[1])
    for rows, found in parts:
        scores[torch.from_numpy(rows)] = found
    return scores


def judged(
    scores: Tensor, right: Tensor, targets: ClassTargets, settings: ClassificationSettings, processes: Processes
) -> Validation:
    """Loss, accuracy and macro F1 of scores, the same in all processes.

    Args:
        scores: shape (examples, classes).
        right: as ``ClassTargets.encode`` gives it.
        targets: the classes.
        settings: which of the figures decides.
        processes: that train together.
    """
    likely = targets.likely(targets.probabilities(scores))
    figures = {
        "accuracy": processes.first(accuracy(likely, right)),
        "macro_f1": processes.first(macro_f1(likely, right)),
    }
    loss = processes.first(classification_loss(scores, right).item())
    return Validation(loss, figures, figures.get(settings.decisive))


def saved_targets(folder: ModelFolder, settings: ClassificationSettings) -> ClassTargets:
    """The classes of a model, which stand in its config.

    Raises:
        ModelFolderError: where they are missing or damaged.
    """
    classes: object = folder.read_config().get("classes")
    if not isinstance(classes, list) or not classes:
        raise ModelFolderError(f"{folder.config_file}: its classes are missing or damaged")
    return ClassTargets(tuple(str(name) for name in classes), settings.multi_label)
