"""What every classifier is to hold in the hand: fit it, judge it, let it classify, load it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from torch import Tensor

from throughtime.data import PARTS, LabelledExamples, chosen_part
from throughtime.errors import ModelFolderError, check_choice
from throughtime.models import ClassifyingNetwork
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import LabelSettings, fit
from throughtime.tasks.classification_evaluation import Evaluation, evaluate_probabilities
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.training import ModelFolder

Network = TypeVar("Network", bound=ClassifyingNetwork)
OwnSettings = TypeVar("OwnSettings", bound=LabelSettings)
Examples = TypeVar("Examples", bound=LabelledExamples[Any])


@dataclass(frozen=True)
class Prediction:
    """What a classifier says about an example.

    Attributes:
        labels: the likeliest class; where an example may have several, each that is likelier than not.
        probabilities: of all classes, by name.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]


class Classifier(TrainableModel[Network, OwnSettings, Examples], ABC, Generic[Network, OwnSettings, Examples]):
    """A trained classifier; a subclass says what an example is.

    Attributes:
        EXAMPLES: what it learns from, a ``LabelledExamples`` that can be loaded.
        SUFFIX: of the files in which they stand prepared.
        targets: the classes.
    """

    EXAMPLES: ClassVar[Any]
    SUFFIX: ClassVar[str] = ".jsonl"
    FIT = staticmethod(fit)

    def __init__(
        self, network: Network, targets: ClassTargets, settings: OwnSettings, folder: ModelFolder, device: torch.device
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.targets = targets

    @classmethod
    @abstractmethod
    def read(cls, sources: Sequence[Examples | Path | str], settings: OwnSettings) -> dict[str, Examples]:
        """The parts of a data set, train, valid or test, as ``data.find_labelled`` and the like find them."""

    @classmethod
    def _config(cls, data: Any) -> Mapping[str, object]:
        return {"classes": data.targets.classes}

    @classmethod
    def _told(cls, network: Network, data: Any, settings: OwnSettings) -> str:
        return f"{settings.name}; {weights_of(network)}, dropout {settings.dropout}"

    @property
    def name(self) -> str:
        """The stages and their sizes, for tables."""
        return self.settings.name

    @abstractmethod
    def probabilities(self, examples: Examples) -> Tensor:
        """Probabilities of the classes, shape (examples, classes)."""

    @abstractmethod
    def _beside(self, train: Examples, examples: Examples) -> dict[str, Tensor]:
        """What else predicts, by name, having learned from ``train``."""

    def _own(self, part: str) -> Examples | None:
        """A part of the model's own data; None where the data is not there any more and the part is train."""
        saved = self.folder.tokens / f"{part}{self.SUFFIX}"
        return None if part == "train" and not saved.exists() else self.EXAMPLES.load(saved, part)

    def own_examples(self, part: str = "valid") -> Examples:
        """A part of the model's own data: valid, test or train.

        Raises:
            ModelFolderError: where the data is not there any more.
        """
        examples = self._own(part)
        if examples is None:
            raise ModelFolderError(f"{self.folder.tokens}: the prepared data is missing")
        return examples

    def evaluate(
        self,
        *data: Examples | Path | str,
        part: str | None = None,
        settings: OwnSettings | None = None,
        baselines: bool = True,
    ) -> Evaluation:
        """How well the model classifies, beside the most frequent class and a model without a network.

        Args:
            *data: files, folders, or labelled examples; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            settings: that say where the data has what; as in the training data by default.
            baselines: whether the other models are learned and shown.

        Raises:
            DataError: where the data can't be read or has a class that the model doesn't know.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        train = self._own("train") if baselines else None
        examples = self._found(data, part, settings or self.settings) if data else self.own_examples(part or "valid")
        probabilities = self.probabilities(examples)
        beside = self._beside(train, examples) if train is not None else {}
        return evaluate_probabilities(probabilities, examples, self.targets, name=self.name, beside=beside)

    def _found(self, data: Sequence[Any], part: str | None, settings: OwnSettings) -> Examples:
        found = self.read(data, settings)
        return chosen_part(found, part)

    def predictions(self, probabilities: Tensor) -> list[Prediction]:
        """What probabilities of shape (examples, classes) say."""
        names = self.targets.names(self.targets.likely(probabilities))
        return [
            Prediction(labels, dict(zip(self.targets.classes, row, strict=True)))
            for labels, row in zip(names, probabilities.tolist(), strict=True)
        ]


def read_targets(folder: ModelFolder, settings: LabelSettings) -> ClassTargets:
    """The classes of a saved classifier.

    Raises:
        ModelFolderError: where they are missing or damaged.
    """
    classes: object = folder.read_config().get("classes")
    if not isinstance(classes, list) or not classes:
        raise ModelFolderError(f"{folder.config_file}: its classes are missing or damaged")
    return ClassTargets(tuple(map(str, cast("list[object]", classes))), settings.multi_label)
