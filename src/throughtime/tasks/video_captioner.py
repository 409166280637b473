"""A captioner of videos to hold in the hand: fit it, let it caption videos, judge it, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from throughtime.data import (
    AllFrames,
    CaptionColumns,
    CaptionedVideos,
    Frames,
    Video,
    VideoSequences,
    find_captioned_videos,
)
from throughtime.errors import ArgumentError
from throughtime.models import VideoCaptioner as Network
from throughtime.tasks.captioning import Settings
from throughtime.tasks.captioning_model import Caption, CaptioningModel
from throughtime.tasks.image_features import open_pictures
from throughtime.tasks.network_training import Run
from throughtime.tasks.sequence_search import Alignment
from throughtime.tasks.video_captioning import TASK, build_model, load_data, open_data


class VideoCaptioner(CaptioningModel[Network, CaptionedVideos]):
    """A trained captioner of videos; its attributes are those of ``CaptioningModel``."""

    TASK = TASK
    WANTED = "videos with captions"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    EXAMPLES = CaptionedVideos
    NEAREST = "caption of the nearest middle frame"

    @classmethod
    def find(cls, sources: Sequence[Any], columns: CaptionColumns) -> dict[str, CaptionedVideos]:  # noqa: D102
        return find_captioned_videos(sources, columns)

    @classmethod
    def _checked(cls, settings: Settings, run: Run) -> Settings:
        if settings.skip_broken:
            raise ArgumentError("`skip_broken` is for single pictures; mend or remove the video")
        if settings.fine_tune:
            raise ArgumentError("`fine_tune` is for pictures; of videos a `backbone` stays as it is")
        return super()._checked(settings, run)

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> Network:
        reader, tokenizer = parts
        return build_model(settings, reader, tokenizer.vocabulary_size)

    def caption(self, videos: Sequence[Video | str], *, attention: bool = False, **search: Any) -> list[Caption]:
        """Say what happens in videos.

        Args:
            videos: folders of pictures, GIFs, or pixels of shape (time, height, width) or (..., channel).
            attention: whether to tell at which frames the network looked.
            **search: see ``Search``: beam_size, n_best, length_penalty, block_ngrams, temperature and more.

        Raises:
            ArgumentError: where one video's name is given in place of a list, or for a search that can't be.
            DataError: naming the video, where one can't be read.
        """
        return self._caption(videos, attention, search)

    def _seen(self, examples: CaptionedVideos) -> VideoSequences:
        if examples.examples[0].video is None:
            return VideoSequences.whole(open_pictures(self.folder, examples.name), examples)
        frames = AllFrames(examples)
        return VideoSequences.whole(self.reader.frames(frames, frames.places), examples)

    def _pictures(self, seen: VideoSequences) -> Frames:
        return seen.middle_frames

    def _looked(self, weights: Alignment) -> Alignment:
        return weights
