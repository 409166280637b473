"""Videos: a folder of pictures, an animated GIF, or an array; and many of them as sequences of frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, overload

import numpy as np
import torch

from throughtime.data.examples import load_examples, save_examples
from throughtime.data.frames import Frames
from throughtime.data.images import SUFFIXES, Picture, Pixels, checked_pixels, converted, opened_image, with_pillow
from throughtime.data.labelled_examples import LabelledExamples
from throughtime.data.tokenizer import Ids
from throughtime.errors import ArgumentError, counted, data_error
from throughtime.files import replacing
from throughtime.sequence import SequenceBatch

Video = Path | Pixels
"""A video: a folder of pictures, an animated GIF, or pixels of shape (time, height, width) or (..., channel)."""


class VideoExample(NamedTuple):
    """A video and its labels.

    Attributes:
        video: what it is; None in prepared data, where the frames stand in a file of their own.
        labels: one or several, or none where they aren't needed.
        place: where it stood, such as "left/1.gif".
        frames: how many it has.
    """

    video: Video | None
    labels: tuple[str, ...]
    place: str
    frames: int


@dataclass(frozen=True)
class LabelledVideos(LabelledExamples[VideoExample]):
    """Videos, with labels or without; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "video"

    @classmethod
    def of(
        cls, videos: Iterable[Video | str], labels: Sequence[object] | None = None, name: str = "videos"
    ) -> LabelledVideos:
        """Make it from videos, and their labels where they have some.

        Args:
            videos: folders, GIF files, or pixels, uint8, of shape (time, height, width) or (..., channel).
            labels: a string or a number for each.
            name: what the videos are called in messages.

        Raises:
            ArgumentError: where there are not as many labels as videos.
            DataError: naming the video, where one can't be read.
        """
        own = [Path(video) if isinstance(video, str) else video for video in videos]
        if labels is not None and len(own) != len(labels):
            raise ArgumentError(f"`labels` must be as many as the videos, {len(own)}, got {len(labels)}")
        examples: list[VideoExample] = []
        for number, video in enumerate(own):
            place = str(video) if isinstance(video, Path) else f"{name}[{number}]"
            named = () if labels is None else (str(labels[number]),)
            examples.append(VideoExample(video, named, place, count_frames(video, place)))
        return cls(tuple(examples), name)

    @property
    def lengths(self) -> Ids:
        """Frames of each, shape (videos,)."""
        return np.array([example.frames for example in self.examples], dtype=np.int64)

    def summary(self) -> str:
        """How many videos and frames there are, and how many videos of each label."""
        lengths = self.lengths
        fewest, most = int(lengths.min()), int(lengths.max())
        frames = counted(most, "frame") if fewest == most else f"{fewest} to {most} frames"
        counts = ", ".join(f"{label} {count:,}" for label, count in self.counts().items())
        return f"{counted(len(self), 'video')} of {frames}" + (f"; {counts}" if counts else "")

    def save(self, path: Path) -> None:
        """Write labels, places and numbers of frames, one JSON object a line."""
        save_examples(path, self.examples, without="video")

    @classmethod
    def load(cls, path: Path, name: str) -> LabelledVideos:
        """Read what ``save`` wrote; the examples are without their frames.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, partial(VideoExample, None)), name)


class VideoWithFrames(Protocol):
    """A video that has frames, whatever is known of it beside."""

    @property
    def video(self) -> Video | None: ...  # noqa: D102
    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def frames(self) -> int: ...  # noqa: D102


class Videos(Protocol):
    """Videos, with labels, captions or neither."""

    @property
    def examples(self) -> Sequence[VideoWithFrames]: ...  # noqa: D102
    @property
    def lengths(self) -> Ids: ...  # noqa: D102


class AllFrames(Sequence[Picture]):
    """The frames of all videos, one video after the other, each read when it is asked for.

    Args:
        videos: with their frames.
    """

    def __init__(self, videos: Videos) -> None:
        self.videos = videos
        self._ends = np.cumsum(videos.lengths)
        self._open: tuple[int, Sequence[Picture]] = (-1, ())

    def __len__(self) -> int:
        """Frames of all videos."""
        return int(self._ends[-1])

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        """A frame, or several."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row = int(np.searchsorted(self._ends, index, side="right"))
        if self._open[0] != row:
            example = self.videos.examples[row]
            if example.video is None:
                raise ArgumentError(f"{example.place}: its frames are not here; read the data again from its files")
            self._open = row, frames_of(example.video, example.place)
        return self._open[1][index - int(self._ends[row] - self.videos.examples[row].frames)]

    @property
    def places(self) -> list[str]:
        """What each frame is called in messages."""
        return [f"{one.place}, frame {frame + 1}" for one in self.videos.examples for frame in range(one.frames)]


class VideoSequences:
    """Videos as sequences of frames, or parts of them.

    Args:
        frames: of all videos, one after the other.
        begins: the first frame of each sequence, shape (sequences,).
        lengths: frames of each, shape (sequences,).
    """

    def __init__(self, frames: Frames, begins: Ids, lengths: Ids) -> None:
        self.frames = frames
        self.begins = begins
        self.lengths = lengths

    @classmethod
    def whole(cls, frames: Frames, videos: Videos) -> VideoSequences:
        """Each video from its beginning to its end."""
        lengths = videos.lengths
        return cls(frames, np.cumsum(lengths) - lengths, lengths)

    @classmethod
    def windows(cls, frames: Frames, videos: Videos, window: int) -> VideoSequences:
        """Parts of ``window`` frames at most, one after the other; a single frame at a video's end is left out."""
        begins: list[int] = []
        lengths: list[int] = []
        first = 0
        for count in videos.lengths.tolist():
            for start in range(0, count - 1, window):
                begins.append(first + start)
                lengths.append(min(window, count - start))
            first += count
        return cls(frames, np.array(begins, dtype=np.int64), np.array(lengths, dtype=np.int64))

    def __len__(self) -> int:
        """How many sequences."""
        return len(self.begins)

    def chosen(self, rows: Sequence[int]) -> VideoSequences:
        """These sequences alone."""
        return VideoSequences(self.frames, self.begins[list(rows)], self.lengths[list(rows)])

    @property
    def middle_frames(self) -> Frames:
        """The frame in the middle of each, as a picture."""
        return Frames(self.frames.array, self.begins + self.lengths // 2)

    def batch(self, rows: Sequence[int]) -> SequenceBatch:
        """Some of them, values of shape (time, batch, height, width, channel); zeros after the end of a sequence."""
        lengths = self.lengths[list(rows)]
        array = self.frames.array
        values = np.zeros((int(lengths.max()), len(rows), *array.shape[1:]), dtype=array.dtype)
        for column, (row, length) in enumerate(zip(rows, lengths.tolist(), strict=True)):
            begin = int(self.begins[row])
            values[:length, column] = array[begin : begin + length]
        is_even = bool((lengths == lengths[0]).all())
        return SequenceBatch(torch.from_numpy(values), None if is_even else torch.from_numpy(lengths))


def count_frames(video: Video, place: str) -> int:
    """How many frames a video has.

    Raises:
        DataError: naming the video, where it can't be read.
    """
    return len(frames_of(video, place))


def frames_of(video: Video, place: str = "") -> Sequence[Picture]:
    """The frames of a video: files, or pixels of shape (height, width, channel).

    Args:
        video: a folder of pictures, in the order of their names, a number counting as one; a GIF; or an array.
        place: what it is called in messages.

    Raises:
        DataError: naming the video, where it can't be read.
    """
    if not isinstance(video, Path):
        if video.ndim not in {3, 4} or 0 in video.shape:
            wanted = "must have shape (time, height, width) or (time, height, width, channel)"
            raise data_error(place or "video", f"{wanted}, got {video.shape}")
        return [checked_pixels(frame, place) for frame in video]
    if video.is_dir():
        files = sorted((file for file in video.iterdir() if is_frame(file)), key=_by_number)
        if not files:
            raise data_error(video, "has no pictures in it; a video is a folder with a picture for each frame")
        return files
    return read_animation(video, str(video))


def is_frame(path: Path) -> bool:
    """Whether a file is the picture of a frame by its name."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _by_number(path: Path) -> tuple[str, int, str]:
    """So that frame2.png comes before frame10.png."""
    stem = path.stem.rstrip("0123456789")
    digits = path.stem[len(stem) :]
    return stem, int(digits or 0), path.name


def read_animation(source: Path | bytes, place: str, *, most_pixels: int | None = None) -> list[Pixels]:
    """The frames of an animated GIF, each of shape (height, width, 3).

    Args:
        source: the file, or its content.
        place: what it is called in messages.
        most_pixels: of all frames together; what has more is refused before it is unpacked.

    Raises:
        DataError: where it is missing, broken, no picture, or too large.
        MissingExtraError: where Pillow is not installed.
    """
    with opened_image(BytesIO(source) if isinstance(source, bytes) else source, place) as file:
        from PIL import ImageSequence  # noqa: PLC0415 - an extra

        frames: list[Pixels] = []
        for frame in ImageSequence.Iterator(file):
            pixels = (len(frames) + 1) * file.width * file.height
            if most_pixels is not None and pixels > most_pixels:
                raise data_error(place, f"has too many pixels; make it smaller, {most_pixels:,} are read at most")
            frames.append(np.asarray(converted(frame.copy(), 3)))
        return frames


def save_animation(frames: Pixels, path: Path, *, milliseconds: int = 100) -> None:
    """Write frames of shape (time, height, width, channel) as an animated GIF that begins again at its end."""
    content = animation_of(frames, milliseconds=milliseconds)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def animation_of(frames: Pixels, *, milliseconds: int = 100) -> bytes:
    """The content of the file that ``save_animation`` writes."""
    with_pillow()
    from PIL import Image as Images  # noqa: PLC0415 - an extra

    pictures = [Images.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    content = BytesIO()
    pictures[0].save(content, format="GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
    return content.getvalue()
