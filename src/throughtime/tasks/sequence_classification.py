"""Classification of sequences of numbers: from what was measured over time to a label, many to one.

The numbers of each step, brought to one scale, go the way of the vectors of a text's words: a convolution slides over
them, recurrent layers read them in both directions, what they say is pooled to one vector, and a fully connected layer
scores the classes. Pictures are read row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from throughtime.data import (
    LabelledSequences,
    NumericSequences,
    SequenceColumns,
    Splits,
    find_sequences,
    load_splits,
    save_splits,
    split_sequences,
)
from throughtime.models import RecurrentSequenceClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import ClassifierSettings, check_examples, enough_epochs, scores_of
from throughtime.tasks.network_training import Run
from throughtime.training import ModelFolder, Processes, choose_precision

TASK = "sequence_classification"
SUFFIX = ".safetensors"


class Settings(ClassifierSettings):
    """Settings of a classifier of sequences of numbers. What is None is chosen from the data."""

    id_column: str | None = None
    """The column that says to which sequence a row belongs (CSV, TSV); recognised by default."""
    time_column: str | None = None
    """The column that the rows of a sequence are sorted by; recognised by default."""
    scaling: Literal["each", "all", "none"] | None = None
    """How numbers come to one scale: by the mean and deviation of each channel, of all together, or not at all; all
    together by default where all channels are alike, as pixels are, else each."""

    @property
    def sequence_columns(self) -> SequenceColumns:
        """Where a table has what."""
        return SequenceColumns(self.id_column, self.time_column, self.label_column, self.label_separator)


@dataclass(frozen=True)
class ClassifiedSequences:
    """A labelled data set of sequences, and what it means in numbers.

    Attributes:
        splits: its parts.
        targets: its classes.
    """

    splits: Splits[LabelledSequences]
    targets: ClassTargets

    @cached_property
    def train(self) -> NumericSequences:
        """The training sequences' numbers."""
        return self.splits.train.sequences

    @cached_property
    def valid(self) -> NumericSequences:
        """The validation sequences' numbers."""
        return self.splits.valid.sequences


def load_data(sources: Sequence[LabelledSequences | Path | str], settings: Settings, run: Run) -> None:
    """Read labelled sequences, tell what was understood, and write them into the model folder.

    Args:
        sources: files, folders, or ``LabelledSequences``.
        settings: where a table has what.
        run: its folder gets tokens/, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("reading the sequences", 0.0)
    parts = find_sequences(sources, settings.sequence_columns, encoding=settings.encoding)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_sequences(parts, settings.validation_fraction, seed=settings.seed)
    check_examples(splits, settings)
    save_splits(splits, run.folder.tokens, suffix=SUFFIX)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    middle, longest = np.quantile(splits.train.sequences.lengths, [0.5, 1]).astype(int).tolist()
    run.display.line(
        f"all have {longest:,} steps" if middle == longest == splits.train.sequences.lengths.min()
        else f"half of the sequences have up to {middle:,} steps, the longest {longest:,}"
    )  # fmt: skip


def open_data(folder: ModelFolder, settings: Settings) -> ClassifiedSequences:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledSequences.load, suffix=SUFFIX)
    return ClassifiedSequences(splits, ClassTargets.of(splits.train, (), multi_label=settings.multi_label))


def size_settings(settings: Settings, data: ClassifiedSequences, processes: Processes) -> Settings:
    """Fill in what the user left open.

    Args:
        settings: what the user said.
        data: what is learned from.
        processes: that train together.
    """
    changes: dict[str, object] = {
        "precision": choose_precision(settings.precision, processes.device),
        "scaling": settings.scaling or ("all" if data.splits.train.alike else "each"),
    }
    if settings.is_open_ended:
        changes["epochs"] = float(enough_epochs(len(data.splits.train)))
    return settings.replaced(**changes)


def build_model(settings: Settings, input_size: int, num_classes: int) -> RecurrentSequenceClassifier:
    """Make the network, with fresh weights, from settings that are complete."""
    return RecurrentSequenceClassifier(input_size, num_classes, **settings.stages)


@torch.no_grad()
def start_scaling(network: RecurrentSequenceClassifier, train: LabelledSequences, scaling: str) -> None:
    """Set the network's mean and scale to those of the training sequences.

    Args:
        network: whose buffers are set.
        train: what is learned from.
        scaling: "each" channel for itself, "all" together, or "none".
    """
    if scaling == "none":
        return
    values = [torch.from_numpy(example.values) for example in train.examples]
    count = sum(len(one) for one in values)
    mean = torch.stack([one.double().sum(0) for one in values]).sum(0) / count
    variance = torch.stack([(one.double() - mean).square().sum(0) for one in values]).sum(0) / count
    if scaling == "all":
        variance, mean = variance.mean() + mean.var(correction=0), mean.mean()
    deviation = variance.sqrt()
    # A channel that never moves, but for rounding, says nothing and stays as it is.
    deviation = torch.where(deviation > 1e-7 * mean.abs(), deviation, 1.0)
    network.mean.copy_(mean.expand(network.input_size))
    network.scale.copy_(deviation.expand(network.input_size))


def predict(network: RecurrentSequenceClassifier, sequences: NumericSequences, targets: ClassTargets) -> Tensor:
    """Probabilities of the classes, shape (sequences, classes)."""
    device = next(network.parameters()).device
    return targets.probabilities(scores_of(network, sequences, precision="32", device=device))
