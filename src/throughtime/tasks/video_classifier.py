"""A video classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.data import AllFrames, LabelledVideos, Video, VideoSequences, find_videos
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentVideoClassifier
from throughtime.tasks.classification import scores_of
from throughtime.tasks.classification_evaluation import most_frequent
from throughtime.tasks.classifier import Prediction
from throughtime.tasks.image_features import nearest_pictures, open_pictures
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import video_classifier_card
from throughtime.tasks.picture_classifier import PictureClassifier
from throughtime.tasks.video_classification import (
    TASK,
    ClassifiedVideos,
    Settings,
    build_model,
    load_data,
    open_data,
)


class VideoClassifier(PictureClassifier[RecurrentVideoClassifier, Settings, LabelledVideos]):
    """A trained video classifier; its attributes are those of ``PictureClassifier``."""

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of labelled videos"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = LabelledVideos
    CARD = staticmethod(video_classifier_card)

    @classmethod
    def read(cls, sources: Sequence[LabelledVideos | Path | str], settings: Settings) -> dict[str, LabelledVideos]:
        """The parts of a labelled set of videos; see ``data.find_videos``."""
        del settings  # say nothing of where videos are
        return find_videos(sources)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> RecurrentVideoClassifier:
        reader, targets = parts
        return build_model(settings, reader, len(targets.classes))

    @classmethod
    def _fresh(cls, data: ClassifiedVideos, settings: Settings, run: Run) -> tuple[Settings, RecurrentVideoClassifier]:
        changes: dict[str, object] = {"precision": "32" if settings.precision == "auto" else settings.precision}
        if settings.is_open_ended:
            changes["epochs"] = float(settings.enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

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
