"""An image classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from throughtime.data import Frames, LabelledImages, Picture, find_images
from throughtime.errors import ArgumentError
from throughtime.models import ImageClassifier as Network
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import scores_of
from throughtime.tasks.classification_evaluation import most_frequent
from throughtime.tasks.classifier import Classifier, Prediction, read_classes
from throughtime.tasks.image_classification import (
    TASK,
    ClassifiedImages,
    Settings,
    build_model,
    load_data,
    open_data,
)
from throughtime.tasks.image_features import PictureReader, nearest_pictures, open_pictures
from throughtime.tasks.model_runs import read_settings, save_copy, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import image_classifier_card
from throughtime.training import ModelFolder, choose_device, choose_precision


class ImageClassifier(Classifier[Network, Settings, LabelledImages]):
    """A trained image classifier.

    Attributes:
        network: gives a score for each class.
        reader: from pictures to what the network gets.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled pictures"

    def __init__(
        self,
        network: Network,
        reader: PictureReader,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, targets, settings, folder, device)
        self.reader = reader

    @classmethod
    def read(cls, sources: Sequence[LabelledImages | Path | str], settings: Settings) -> dict[str, LabelledImages]:
        """The parts of a labelled set of pictures; see ``data.find_images``."""
        return find_images(sources, settings.columns)

    @classmethod
    def _prepare(cls, sources: Sequence[LabelledImages | Path | str], settings: Settings, run: Run) -> None:
        load_data(sources, settings, run)

    @classmethod
    def _open(cls, folder: ModelFolder, settings: Settings) -> ClassifiedImages:
        return open_data(folder, settings)

    @classmethod
    def _network(cls, settings: Settings, data: ClassifiedImages, run: Run) -> Network:
        torch.manual_seed(settings.seed)
        return build_model(settings, data.reader, len(data.targets.classes)).to(run.processes.device)

    @classmethod
    def _fresh(cls, data: ClassifiedImages, settings: Settings, run: Run) -> tuple[Settings, Network]:
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(settings.enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _made(cls, network: Network, data: ClassifiedImages, settings: Settings, run: Run) -> Self:
        model = cls(network, data.reader, data.targets, settings, run.folder, run.processes.device)
        return model.finish(run, lambda: image_classifier_card(run.folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets = ClassTargets(read_classes(place), settings.multi_label)
        chosen = choose_device(device)
        reader = PictureReader.load(place)
        network = build_model(settings, reader, len(targets.classes))
        place.load_weights(network, chosen)
        return cls(network, reader, targets, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        self.reader.save(target)
        write_settings(target, TASK, self.settings, classes=self.targets.classes)

    def predict(self, pictures: Sequence[Picture | str]) -> list[Prediction]:
        """Classify pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).

        Raises:
            ArgumentError: where one picture's name is given in place of a list.
            DataError: naming the picture, where one can't be read.
        """
        if isinstance(pictures, str | Path):
            raise ArgumentError("`pictures` must be a list of pictures, got one name")
        if not pictures:
            return []
        return self.predictions(self.probabilities(LabelledImages.of(pictures, [()] * len(pictures))))

    def probabilities(self, examples: LabelledImages) -> Tensor:
        """Probabilities of the classes, shape (pictures, classes)."""
        scores = scores_of(self.network, self._frames(examples), precision="32", device=self.device)
        return self.targets.probabilities(scores)

    def _frames(self, examples: LabelledImages) -> Frames:
        """What the network gets; of the model's own data it stands in the folder."""
        if examples.examples[0].picture is None:
            return open_pictures(self.folder, examples.name)
        return self.reader.frames(examples.pictures, [example.place for example in examples.examples])

    def _beside(self, train: LabelledImages, examples: LabelledImages) -> dict[str, Tensor]:
        rows = nearest_pictures(self._frames(examples), self._frames(train))
        return {
            "most frequent class": most_frequent(train, len(examples), self.targets),
            "nearest picture": self.targets.encode(train)[torch.from_numpy(rows)],
        }

    def _own(self, part: str) -> LabelledImages | None:
        file = self.folder.tokens / f"{part}.jsonl"
        return None if part == "train" and not file.exists() else LabelledImages.load(file, part)
