"""Videos with what is said about them, one or several captions each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from throughtime.data.caption_files import RECOGNISED_CAPTIONS, CaptionColumns, find_captioned
from throughtime.data.captioned_examples import CaptionedExamples
from throughtime.data.captioned_images import CaptionedImages, said_of
from throughtime.data.tokenizer import Ids
from throughtime.data.videos import Video, count_frames
from throughtime.errors import ModelFolderError
from throughtime.files import write_text


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
    """Videos with captions, in the order in which they were read.

    Attributes:
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
    """

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
        rows = ({"captions": one.captions, "place": one.place, "frames": one.frames} for one in self.examples)
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    @classmethod
    def load(cls, path: Path, name: str) -> CaptionedVideos:
        """Read what ``save`` wrote; the examples are without their frames.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
            examples = (CaptionedVideo(None, tuple(row["captions"]), row["place"], int(row["frames"])) for row in rows)
            return cls(tuple(examples), name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error


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
    return {part: several[0].joined(*several[1:]) for part, several in found.items()}


def _of_files(named: CaptionedImages) -> CaptionedVideos:
    """Files that were read as pictures' names, as the videos that they are."""
    examples = tuple(
        CaptionedVideo(video, one.captions, one.place, count_frames(video, one.place))
        for one, video in zip(named.examples, named.pictures, strict=True)
    )
    return CaptionedVideos(examples, named.name, named.remarks)
