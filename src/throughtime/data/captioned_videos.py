"""Videos with what is said about them, one or several captions each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from throughtime.data.caption_files import RECOGNISED_CAPTIONS, CaptionColumns, find_captioned
from throughtime.data.captioned_examples import CaptionedExamples
from throughtime.data.captioned_images import CaptionedImages, said_of
from throughtime.data.examples import load_examples, save_examples
from throughtime.data.splits import joined_parts
from throughtime.data.tokenizer import Ids
from throughtime.data.videos import Video, count_frames


class CaptionedVideo(NamedTuple):
    """A video and its captions.

    Attributes:
        video: what it is; None in prepared data, where the frames stand in a file of their own.
        captions: at least one.
        place: where it stood, such as "clips/1.gif".
        frames: how many it has.
    """

    video: Video | None
    captions: tuple[str, ...]
    place: str
    frames: int


@dataclass(frozen=True)
class CaptionedVideos(CaptionedExamples[CaptionedVideo]):
    """Videos with captions; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "video"

    @classmethod
    def of(
        cls, videos: Iterable[Video | str], captions: Sequence[str | Sequence[str]], name: str = "videos"
    ) -> CaptionedVideos:
        """Make it from videos and their captions.

        Args:
            videos: folders, GIF files, or pixels, uint8, of shape (time, height, width) or (..., channel).
            captions: of each video one, or several.
            name: what the videos are called in messages.

        Raises:
            ArgumentError: where there are not as many captions as videos, or a video has none.
            DataError: naming the video, where one can't be read.
        """
        own = [Path(video) if isinstance(video, str) else video for video in videos]
        return cls(
            tuple(
                CaptionedVideo(video, several, place, count_frames(video, place))
                for video, several, place in said_of(own, captions, name)
            ),
            name,
        )

    @property
    def lengths(self) -> Ids:
        """Frames of each, shape (videos,)."""
        return np.array([example.frames for example in self.examples], dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write captions, places and numbers of frames, one JSON object a line."""
        save_examples(path, self.examples, without="video")

    @classmethod
    def load(cls, path: Path, name: str) -> CaptionedVideos:
        """Read what ``save`` wrote; the examples are without their frames.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, partial(CaptionedVideo, None)), name)


def find_captioned_videos(
    sources: Sequence[CaptionedVideos | Path | str], columns: CaptionColumns = RECOGNISED_CAPTIONS
) -> dict[str, CaptionedVideos]:
    """Find the parts of a set of videos with captions in what the user gave.

    Args:
        sources: ``CaptionedVideos``, or files as ``find_captioned`` reads them, which name videos: GIFs, or folders
            with a picture for each frame.
        columns: where the rows of tables have video and caption, and where the videos are.

    Returns:
        The videos of each part, train, valid or test; "train" has all where nothing says.

    Raises:
        DataError: where there is nothing to read, or a file or a video can't be read, naming it.
    """
    own = [source for source in sources if isinstance(source, CaptionedVideos)]
    files = [source for source in sources if not isinstance(source, CaptionedVideos)]
    found = {"train": own} if own else {}
    if files or not own:
        for part, named in find_captioned(files, columns).items():
            found.setdefault(part, []).append(_of_files(named))
    return joined_parts(found)


def _of_files(named: CaptionedImages) -> CaptionedVideos:
    """Files that were read as pictures' names, as the videos that they are."""
    examples = tuple(
        CaptionedVideo(video, one.captions, one.place, count_frames(video, one.place))
        for one, video in zip(named.examples, named.pictures, strict=True)
    )
    return CaptionedVideos(examples, named.name, named.remarks)
