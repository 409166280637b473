"""A video classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from throughtime.data import AllFrames, LabelledVideos, Video, VideoSequences, find_videos
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentVideoClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import scores_of
from throughtime.tasks.classification_evaluation import most_frequent
from throughtime.tasks.classifier import Classifier, Prediction, read_classes
from throughtime.tasks.image_features import PictureReader, nearest_pictures, open_pictures
from throughtime.tasks.model_runs import read_settings, save_copy, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import video_classifier_card
from throughtime.tasks.video_classification import (
    TASK,
    ClassifiedVideos,
    Settings,
    build_model,
    load_data,
    open_data,
)
from throughtime.training import ModelFolder, choose_device


class VideoClassifier(Classifier[RecurrentVideoClassifier, Settings, LabelledVideos]):
    """A trained video classifier.

    Attributes:
        network: gives a score for each class.
        reader: from frames to what the network gets.
        targets: the classes.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled videos"

    def __init__(
        self,
        network: RecurrentVideoClassifier,
        reader: PictureReader,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, targets, settings, folder, device)
        self.reader = reader

    @classmethod
    def read(cls, sources: Sequence[LabelledVideos | Path | str], settings: Settings) -> dict[str, LabelledVideos]:
        """The parts of a labelled set of videos; see ``data.find_videos``."""
        del settings  # say nothing of where videos are
        return find_videos(sources)

    @classmethod
    def _prepare(cls, sources: Sequence[LabelledVideos | Path | str], settings: Settings, run: Run) -> None:
        load_data(sources, settings, run)

    @classmethod
    def _open(cls, folder: ModelFolder, settings: Settings) -> ClassifiedVideos:
        return open_data(folder, settings)

    @classmethod
    def _network(cls, settings: Settings, data: ClassifiedVideos, run: Run) -> RecurrentVideoClassifier:
        torch.manual_seed(settings.seed)
        return build_model(settings, data.reader, len(data.targets.classes)).to(run.processes.device)

    @classmethod
    def _fresh(cls, data: ClassifiedVideos, settings: Settings, run: Run) -> tuple[Settings, RecurrentVideoClassifier]:
        changes: dict[str, object] = {"precision": "32" if settings.precision == "auto" else settings.precision}
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(settings.enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _made(cls, network: RecurrentVideoClassifier, data: ClassifiedVideos, settings: Settings, run: Run) -> Self:
        model = cls(network, data.reader, data.targets, settings, run.folder, run.processes.device)
        return model.finish(run, lambda: video_classifier_card(run.folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets = ClassTargets(read_classes(place), settings.multi_label)
        reader, chosen = PictureReader.load(place), choose_device(device)
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

    def predict(self, videos: Sequence[Video | str]) -> list[Prediction]:
        """Classify videos: folders of pictures, GIFs, or pixels of shape (time, height, width) or (..., channel).

        Raises:
            ArgumentError: where one video's name is given in place of a list.
            DataError: naming the video, where one can't be read.
        """
        if isinstance(videos, str | Path):
            raise ArgumentError("`videos` must be a list of videos, got one name")
        if not len(videos):
            return []
        return self.predictions(self.probabilities(LabelledVideos.of(videos)))

    def probabilities(self, examples: LabelledVideos) -> Tensor:
        """Probabilities of the classes, shape (videos, classes)."""
        scores = scores_of(self.network, self._sequences(examples), precision="32", device=self.device)
        return self.targets.probabilities(scores)

    def _sequences(self, examples: LabelledVideos) -> VideoSequences:
        """What the network gets; of the model's own data it stands in the folder."""
        if examples.examples[0].video is None:
            return VideoSequences.whole(open_pictures(self.folder, examples.name), examples)
        frames = AllFrames(examples)
        return VideoSequences.whole(self.reader.frames(frames, frames.places), examples)

    def _beside(self, train: LabelledVideos, examples: LabelledVideos) -> dict[str, Tensor]:
        """What sees nothing move: the most frequent class, and the training video whose middle frame is nearest."""
        asked, known = (self._sequences(videos).middle_frames for videos in (examples, train))
        rows = nearest_pictures(asked, known)
        return {
            "most frequent class": most_frequent(train, len(examples), self.targets),
            "nearest middle frame": self.targets.encode(train)[torch.from_numpy(rows)],
        }

    def _own(self, part: str) -> LabelledVideos | None:
        file = self.folder.tokens / f"{part}.jsonl"
        return None if part == "train" and not file.exists() else LabelledVideos.load(file, part)
