"""An image classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.data import Frames, LabelledImages, Picture, find_images
from throughtime.errors import ArgumentError
from throughtime.models import ImageClassifier as Network
from throughtime.tasks.classification import scores_of
from throughtime.tasks.classification_evaluation import most_frequent
from throughtime.tasks.classifier import Prediction
from throughtime.tasks.image_classification import (
    TASK,
    ClassifiedImages,
    Settings,
    build_model,
    load_data,
    open_data,
)
from throughtime.tasks.image_features import nearest_pictures, open_pictures
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import image_classifier_card
from throughtime.tasks.picture_classifier import PictureClassifier
from throughtime.training import choose_precision


class ImageClassifier(PictureClassifier[Network, Settings, LabelledImages]):
    """A trained image classifier; its attributes are those of ``PictureClassifier``."""

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled pictures"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = LabelledImages
    CARD = staticmethod(image_classifier_card)

    @classmethod
    def read(cls, sources: Sequence[LabelledImages | Path | str], settings: Settings) -> dict[str, LabelledImages]:
        """The parts of a labelled set of pictures; see ``data.find_images``."""
        return find_images(sources, settings.columns)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> Network:
        reader, targets = parts
        return build_model(settings, reader, len(targets.classes))

    @classmethod
    def _fresh(cls, data: ClassifiedImages, settings: Settings, run: Run) -> tuple[Settings, Network]:
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if settings.is_open_ended:
            changes["epochs"] = float(settings.enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

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
