"""What classifiers of pictures and of videos share: how pictures, or frames, become what the network gets."""

from __future__ import annotations

from abc import ABC
from typing import Any, Generic

import torch

from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classifier import Classifier, Examples, Network, OwnSettings, read_targets
from throughtime.tasks.image_features import PictureReader
from throughtime.training import ModelFolder


class PictureClassifier(Classifier[Network, OwnSettings, Examples], ABC, Generic[Network, OwnSettings, Examples]):
    """A trained classifier of what consists of pictures.

    Attributes:
        network: gives a score for each class.
        reader: from pictures to what the network gets.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    def __init__(
        self,
        network: Network,
        reader: PictureReader,
        targets: ClassTargets,
        settings: OwnSettings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, targets, settings, folder, device)
        self.reader = reader

    @classmethod
    def _parts(cls, data: Any) -> tuple[PictureReader, ClassTargets]:
        return data.reader, data.targets

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: OwnSettings) -> tuple[PictureReader, ClassTargets]:
        return PictureReader.load(folder), read_targets(folder, settings)
