"""A classifier of sequences of numbers to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import LabelledSequences, find_sequences
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentSequenceClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classifier import Classifier, Prediction, read_targets
from throughtime.tasks.network_training import Run
from throughtime.tasks.sequence_baselines import beside_sequences
from throughtime.tasks.sequence_classification import (
    SUFFIX,
    TASK,
    ClassifiedSequences,
    Settings,
    build_model,
    load_data,
    open_data,
    predict,
    size_settings,
    start_scaling,
)
from throughtime.tasks.series_cards import sequence_classifier_card
from throughtime.training import ModelFolder


class SequenceClassifier(Classifier[RecurrentSequenceClassifier, Settings, LabelledSequences]):
    """A trained classifier of sequences of numbers.

    Attributes:
        network: gives a score for each class.
        channels: the names of the numbers of a step.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled sequences"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = LabelledSequences
    SUFFIX = SUFFIX
    CARD = staticmethod(sequence_classifier_card)

    def __init__(
        self,
        network: RecurrentSequenceClassifier,
        channels: Sequence[str],
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, targets, settings, folder, device)
        self.channels = tuple(channels)

    @classmethod
    def read(
        cls, sources: Sequence[LabelledSequences | Path | str], settings: Settings
    ) -> dict[str, LabelledSequences]:
        """The parts of a labelled data set of sequences; see ``data.find_sequences``."""
        return find_sequences(sources, settings.sequence_columns, encoding=settings.encoding)

    @classmethod
    def _parts(cls, data: ClassifiedSequences) -> tuple[Sequence[str], ClassTargets]:
        return data.splits.train.channels, data.targets

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: Settings) -> tuple[Sequence[str], ClassTargets]:
        channels = tuple(map(str, folder.read_config().get("channels", ())))
        return channels, read_targets(folder, settings)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> RecurrentSequenceClassifier:
        channels, targets = parts
        return build_model(settings, max(len(channels), 1), len(targets.classes))

    @classmethod
    def _fresh(
        cls, data: ClassifiedSequences, settings: Settings, run: Run
    ) -> tuple[Settings, RecurrentSequenceClassifier]:
        settings = size_settings(settings, data, run.processes)
        network = cls._network(settings, data, run)
        start_scaling(network, data.splits.train, settings.scaling or "none")
        return settings, network

    @classmethod
    def _config(cls, data: ClassifiedSequences) -> Mapping[str, object]:
        return {"classes": data.targets.classes, "channels": data.splits.train.channels}

    def predict(self, sequences: Sequence[npt.ArrayLike] | npt.NDArray[Any]) -> list[Prediction]:
        """Classify sequences.

        Args:
            sequences: numbers of shape (time, channel), or (time,) where there is a single channel; each of its own
                length.

        Raises:
            ArgumentError: where one is no sequence of numbers, or has another number of channels.
        """
        if not len(sequences):
            return []
        return self.predictions(self.probabilities(LabelledSequences.of(sequences, [()] * len(sequences))))

    def probabilities(self, examples: LabelledSequences) -> Tensor:
        """Probabilities of the classes, shape (sequences, classes).

        Raises:
            ArgumentError: where the sequences have another number of channels.
        """
        if len(examples.channels) != len(self.channels):
            raise ArgumentError(
                f"{examples.name}: has {len(examples.channels)} numbers a step, "
                f"the model reads {len(self.channels)} ({', '.join(self.channels[:8])})"
            )
        return predict(self.network, examples.sequences, self.targets)

    def _beside(self, train: LabelledSequences, examples: LabelledSequences) -> dict[str, Tensor]:
        return beside_sequences(train, examples, self.targets)
