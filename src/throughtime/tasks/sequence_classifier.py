"""A classifier of sequences of numbers to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import LabelledSequences, find_sequences
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentSequenceClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classifier import Classifier, Prediction, read_classes
from throughtime.tasks.model_runs import read_settings, save_copy, write_settings
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
from throughtime.training import ModelFolder, choose_device


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
    def _prepare(cls, sources: Sequence[LabelledSequences | Path | str], settings: Settings, run: Run) -> None:
        load_data(sources, settings, run)

    @classmethod
    def _open(cls, folder: ModelFolder, settings: Settings) -> ClassifiedSequences:
        return open_data(folder, settings)

    @classmethod
    def _network(cls, settings: Settings, data: ClassifiedSequences, run: Run) -> RecurrentSequenceClassifier:
        torch.manual_seed(settings.seed)
        network = build_model(settings, len(data.splits.train.channels), len(data.targets.classes))
        return network.to(run.processes.device)

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

    @classmethod
    def _made(
        cls, network: RecurrentSequenceClassifier, data: ClassifiedSequences, settings: Settings, run: Run
    ) -> Self:
        channels = data.splits.train.channels
        model = cls(network, channels, data.targets, settings, run.folder, run.processes.device)
        return model.finish(run, lambda: sequence_classifier_card(run.folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets = ClassTargets(read_classes(place), settings.multi_label)
        channels = tuple(map(str, place.read_config().get("channels", ())))
        chosen = choose_device(device)
        network = build_model(settings, max(len(channels), 1), len(targets.classes))
        place.load_weights(network, chosen)
        return cls(network, channels, targets, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        write_settings(target, TASK, self.settings, classes=self.targets.classes, channels=self.channels)

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

    def _own(self, part: str) -> LabelledSequences | None:
        saved = self.folder.tokens / f"{part}{SUFFIX}"
        return None if part == "train" and not saved.exists() else LabelledSequences.load(saved, part)
