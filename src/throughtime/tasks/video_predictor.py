"""A network that predicts frames, to hold in the hand: fit it, judge it, let videos go on, save it, load it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from throughtime.data import (
    PARTS,
    AllFrames,
    LabelledVideos,
    Pixels,
    Video,
    VideoSequences,
    chosen_part,
    find_videos,
    frames_of,
)
from throughtime.errors import ArgumentError, check_choice, check_positive_integer
from throughtime.models import FramePredictor
from throughtime.sequence import SequenceBatch
from throughtime.tasks.image_features import PictureReader, open_pictures
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.network_training import Run
from throughtime.tasks.next_frame import (
    TASK,
    Settings,
    VideoData,
    build_model,
    continued_errors,
    enough_epochs,
    fit,
    load_data,
    next_frame_errors,
    open_data,
)
from throughtime.tasks.picture_cards import frame_predictor_card
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.training import ModelFolder


@dataclass(frozen=True)
class FrameRow:
    """How well one model predicts.

    Attributes:
        model: which.
        mse: of each next frame: the squared error, summed over a frame's pixels from 0 to 1, in the mean.
        continued: the same for each frame of going on freely, the first to the last.
    """

    model: str
    mse: float
    continued: tuple[float, ...]


@dataclass(frozen=True)
class FrameEvaluation:
    """The evaluation of a network on videos.

    Attributes:
        videos: how many there are.
        observed: frames that are given before it goes on freely.
        rows: the network's, then that of persistence, to which nothing moves.
    """

    videos: int
    observed: int
    rows: tuple[FrameRow, ...]


class VideoPredictor(TrainableModel[FramePredictor, Settings, LabelledVideos]):
    """A trained network that predicts frames.

    Attributes:
        network: gives the log-odds of the next frame's pixels.
        reader: from frames to what the network gets.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of videos"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    FIT = staticmethod(fit)
    CARD = staticmethod(frame_predictor_card)

    def __init__(
        self,
        network: FramePredictor,
        reader: PictureReader,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.reader = reader

    @classmethod
    def _checked(cls, settings: Settings, run: Run) -> Settings:
        if run.processes.count > 1:
            raise ArgumentError("networks that predict frames are trained by one process; start it without torchrun")
        return settings

    @classmethod
    def _parts(cls, data: VideoData) -> tuple[PictureReader]:
        return (data.reader,)

    @classmethod
    def _read_parts(cls, folder: ModelFolder, settings: Settings) -> tuple[PictureReader]:
        del settings  # say nothing of it
        return (PictureReader.load(folder),)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> FramePredictor:
        return build_model(settings, *parts)

    @classmethod
    def _fresh(cls, data: VideoData, settings: Settings, run: Run) -> tuple[Settings, FramePredictor]:
        # Convolutions in bfloat16 would run step by step; in float32 their way back is our own.
        changes: dict[str, object] = {"precision": "32" if settings.precision == "auto" else settings.precision}
        if settings.is_open_ended:
            changes["epochs"] = float(enough_epochs(len(data.sequences.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _told(cls, network: FramePredictor, data: VideoData, settings: Settings) -> str:
        return f"{settings.network_name}; {weights_of(network)}, patches of {network.patch_size} pixels"

    @property
    def name(self) -> str:
        """The network's layers and their sizes, for tables."""
        return self.settings.network_name

    def predict(self, video: Video | str, count: int = 10) -> Pixels:
        """Go on with a video.

        Args:
            video: a folder of pictures, a GIF, or pixels of shape (time, height, width) or (..., channel).
            count: how many frames to predict.

        Returns:
            The frames of the video as the network saw them and then those that it predicts, shape
            (time + count, height, width, channel), uint8.

        Raises:
            ArgumentError: where the count is no positive integer.
            DataError: where the video can't be read.
        """
        check_positive_integer("count", count)
        own = Path(video) if isinstance(video, str) else video
        seen = torch.from_numpy(np.asarray(self.reader.frames(frames_of(own)).array))
        found = self.network.continued(SequenceBatch(seen.unsqueeze(1).to(self.device)), count)
        predicted = (found[:, 0] * 255).round().to(torch.uint8).cpu()
        return np.concatenate([seen.numpy(), predicted.numpy()])

    def evaluate(
        self, *data: LabelledVideos | Path | str, part: str | None = None, observed: int | None = None
    ) -> FrameEvaluation:
        """How well the network predicts, beside persistence: the last frame again.

        Args:
            *data: files, folders, or ``LabelledVideos``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            observed: frames that are given before the network goes on freely; half of them by default.

        Raises:
            ArgumentError: where so many frames can't be observed.
            DataError: where the data can't be read.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        if data:
            videos = chosen_part(find_videos(data), part)
            frames = AllFrames(videos)
            array = self.reader.frames(frames, frames.places)
        else:
            videos = LabelledVideos.load(self.folder.tokens / f"{part or 'valid'}.jsonl", part or "valid")
            array = open_pictures(self.folder, part or "valid")
        sequences = VideoSequences.windows(array, videos, self.settings.window)
        given = max(1, int(sequences.lengths.max()) // 2) if observed is None else observed
        continued = continued_errors(self.network, sequences, given, self.device)
        errors = next_frame_errors(self.network, sequences, self.device)
        names = self.name, "persistence (nothing moves)"
        rows = [
            FrameRow(name, own.mean().item(), tuple(freely.tolist()))
            for name, own, freely in zip(names, errors, continued, strict=True)
        ]
        return FrameEvaluation(len(videos), given, tuple(rows))
