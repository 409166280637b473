"""A video classifier to hold in the hand: fit it, judge it, let it classify, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from throughtime.data import PARTS, AllFrames, Frames, LabelledVideos, Video, VideoSequences, chosen_part, find_videos
from throughtime.errors import ArgumentError, check_choice
from throughtime.models import RecurrentVideoClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification_evaluation import Evaluation, evaluate_probabilities, most_frequent
from throughtime.tasks.classification_training import enough_epochs, saved_targets
from throughtime.tasks.image_features import PictureReader, build_image_encoder, nearest_pictures, open_pictures
from throughtime.tasks.model_card import video_classifier_card
from throughtime.tasks.model_runs import (
    in_model_folder,
    new_folder,
    read_settings,
    resumed_settings,
    save_copy,
    write_settings,
)
from throughtime.tasks.network_training import Run
from throughtime.tasks.trained_model import TrainedModel
from throughtime.tasks.video_classification import (
    TASK,
    ClassifiedVideos,
    Settings,
    build_model,
    fit,
    load_data,
    open_data,
    predict,
)
from throughtime.training import Display, ModelFolder, choose_device


@dataclass(frozen=True)
class VideoPrediction:
    """What a classifier says about a video.

    Attributes:
        labels: the likeliest class; where a video may have several, each that is likelier than not.
        probabilities: of all classes, by name.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]


class VideoClassifier(TrainedModel[RecurrentVideoClassifier, Settings]):
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

    def __init__(
        self,
        network: RecurrentVideoClassifier,
        reader: PictureReader,
        targets: ClassTargets,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.reader = reader
        self.targets = targets

    @classmethod
    def fit(
        cls,
        *data: LabelledVideos | Path | str,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
        **settings: object,
    ) -> Self:
        """Train a classifier on labelled videos.

        Args:
            *data: files, folders, or ``LabelledVideos``; see ``find_videos``.
            output: the model folder to make; a temporary one, kept as long as the model, if None.
            resume: go on with the run in ``output``; the data is then not needed.
            display: shows progress; nothing is shown if None.
            **settings: see ``Settings``.

        Raises:
            ArgumentError: for an unknown setting or a value that can't be used.
            DataError: where the data can't be used.
            ModelFolderError: where the folder can't be used.
            TrainingError: where training fails; what was saved stays.
        """
        return cls.train(data, Settings.of(settings), output=output, resume=resume, display=display)

    @classmethod
    def train(
        cls,
        data: Sequence[LabelledVideos | Path | str],
        settings: Settings,
        *,
        output: Path | str | None = None,
        resume: bool = False,
        display: Display | None = None,
    ) -> Self:
        """``fit``, with its settings made already."""
        return in_model_folder(output, lambda folder: cls._train(data, settings, folder, resume, display))

    @classmethod
    def _train(
        cls,
        sources: Sequence[LabelledVideos | Path | str],
        settings: Settings,
        folder: ModelFolder,
        resume: bool,
        display: Display | None,
    ) -> Self:
        with Run.started(folder, settings, display, resume=resume) as run:
            if run.has_begun:
                if sources:
                    run.display.line(f"going on with the videos that were prepared in {folder.tokens}")
                settings = resumed_settings(folder, TASK, settings)
                data = open_data(folder, PictureReader.load(folder), settings)
                network = _network(data, settings, run)
            else:
                settings, data, network = _begin(sources, settings, run)
            fit(network, data, settings, run)
        model = cls(network, data.reader, data.targets, settings, folder, run.processes.device)
        return model.finish(run, lambda: video_classifier_card(folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        targets, reader, chosen = saved_targets(place, settings), PictureReader.load(place), choose_device(device)
        network = build_model(settings, build_image_encoder(reader, settings), len(targets.classes))
        place.load_weights(network, chosen)
        return cls(network, reader, targets, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        write_settings(target, TASK, self.settings, classes=self.targets.classes, **self.reader.save(target))

    @property
    def name(self) -> str:
        """The stages and their sizes, for tables."""
        return self.settings.stages

    def predict(self, videos: Sequence[Video | str]) -> list[VideoPrediction]:
        """Classify videos.

        Args:
            videos: folders of pictures, GIFs, or pixels of shape (time, height, width) or (..., channel).

        Raises:
            ArgumentError: where one video is given in place of a list.
            DataError: naming the video, where one can't be read.
        """
        if isinstance(videos, str | Path):
            raise ArgumentError("`videos` must be a list of videos, got a single one")
        if not len(videos):
            return []
        given = LabelledVideos.of(videos)
        probabilities = predict(self.network, VideoSequences.whole(self._frames(given), given), self.targets)
        names = self.targets.names(self.targets.likely(probabilities))
        return [
            VideoPrediction(labels, dict(zip(self.targets.classes, row, strict=True)))
            for labels, row in zip(names, probabilities.tolist(), strict=True)
        ]

    def evaluate(
        self, *data: LabelledVideos | Path | str, part: str | None = None, baselines: bool = True
    ) -> Evaluation:
        """How well the model classifies, beside the most frequent class and a single frame's nearest neighbour.

        Args:
            *data: files, folders, or ``LabelledVideos``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            baselines: whether the other models are shown.

        Raises:
            DataError: where the data can't be read or has a class that the model doesn't know.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        if data:
            videos = chosen_part(find_videos(data), part)
            frames = self._frames(videos)
        else:
            videos = LabelledVideos.load(self.folder.tokens / f"{part or 'valid'}.jsonl", part or "valid")
            frames = open_pictures(self.folder, part or "valid")
        sequences = VideoSequences.whole(frames, videos)
        probabilities = predict(self.network, sequences, self.targets)
        beside = self._beside(sequences) if baselines and (self.folder.tokens / "train.jsonl").exists() else {}
        return evaluate_probabilities(probabilities, videos, self.targets, name=self.name, beside=beside)

    def _beside(self, sequences: VideoSequences) -> dict[str, Tensor]:
        """What sees nothing move: the most frequent class, and the training video whose middle frame is nearest."""
        train = LabelledVideos.load(self.folder.tokens / "train.jsonl", "train")
        known = VideoSequences.whole(open_pictures(self.folder, "train"), train)
        rows = nearest_pictures(_middle(sequences), _middle(known))
        return {
            "most frequent class": most_frequent(train, len(sequences), self.targets),
            "nearest middle frame": self.targets.encode(train)[torch.from_numpy(rows)],
        }

    def _frames(self, videos: LabelledVideos) -> Frames:
        frames = AllFrames(videos)
        return Frames(self.reader.inputs(frames[:], frames.places).numpy())


def _middle(sequences: VideoSequences) -> Frames:
    return Frames(sequences.frames.array, sequences.begins + sequences.lengths // 2)


def _begin(
    sources: Sequence[LabelledVideos | Path | str], settings: Settings, run: Run
) -> tuple[Settings, ClassifiedVideos, RecurrentVideoClassifier]:
    """Prepare a new run: its folder, data, settings and network."""
    if not sources:
        missing = f"{run.folder.path}: holds no run to resume" if run.resume else "there are no videos to learn from"
        raise ArgumentError(f"{missing}; give a file or folder of labelled videos, or --sample")
    if run.processes.count > 1:
        raise ArgumentError("video classifiers are trained by one process; start it without torchrun")
    with new_folder(run.folder, run.processes, may_exist=run.resume):
        reader = load_data(sources, settings, run)
        data = open_data(run.folder, reader, settings)
        changes: dict[str, object] = {"precision": "32" if settings.precision == "auto" else settings.precision}
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        network = _network(data, settings, run)
    write_settings(run.folder, TASK, settings, classes=data.targets.classes, **reader.save(run.folder))
    weights = sum(weight.numel() for weight in network.parameters())
    run.display.line(f"{settings.stages}; {weights:,} weights, dropout {settings.dropout}")
    return settings, data, network


def _network(data: ClassifiedVideos, settings: Settings, run: Run) -> RecurrentVideoClassifier:
    torch.manual_seed(settings.seed)
    images = build_image_encoder(data.reader, settings)
    return build_model(settings, images, len(data.targets.classes)).to(run.processes.device)
