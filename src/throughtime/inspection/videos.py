"""The videos that a model is looked at with, its own or others, and frames side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from throughtime.appearance import new_figure, palette
from throughtime.data import AllFrames, CaptionedVideos, LabelledVideos, Pixels, VideoSequences
from throughtime.data.videos import Videos
from throughtime.errors import ArgumentError
from throughtime.inspection.given import Given
from throughtime.inspection.picture_gates import MOST_FRAMES, draw_strip
from throughtime.inspection.picture_gates import SIDE as PICTURE
from throughtime.inspection.pictures import GREY, SIDE
from throughtime.tasks import video_captioning
from throughtime.tasks.image_features import PictureReader, open_pictures, pictures_file
from throughtime.training import ModelFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SeenVideos:
    """Videos.

    Attributes:
        sequences: as the network gets them.
        said: the labels of each, or its captions; none where they aren't known.
        are_known: whether the network gets pixels, not a backbone's features.
    """

    sequences: VideoSequences
    said: tuple[tuple[str, ...], ...]
    are_known: bool

    @classmethod
    def read(cls, folder: ModelFolder, reader: PictureReader, given: Given, window: int | None = None) -> SeenVideos:
        """The videos that are given, or else a model's own validation videos.

        Args:
            folder: of the model.
            reader: from frames to what its network gets.
            given: what it is to be looked at with.
            window: frames of a part of a video; whole ones if None.

        Raises:
            ArgumentError: where text is given, or the model's own videos are not there any more.
            DataError: naming the video, where one can't be read.
        """
        given.check("videos", texts=False, files=True)
        videos: Videos
        if given.files:
            videos = LabelledVideos.of(list(given.files))
            own = AllFrames(videos)
            frames, said = reader.frames(own, own.places), videos.labels
        elif pictures_file(folder, "valid").exists():
            videos, said = own_videos(folder)
            frames = open_pictures(folder, "valid")
        else:
            raise ArgumentError(f"{folder.path} keeps no validation videos to look at; give some by --input")
        cut = VideoSequences.whole(frames, videos)
        if window is not None:
            cut = VideoSequences.windows(frames, videos, window)
        if not len(cut):
            raise ArgumentError("the videos must have two frames to look at, got fewer")
        return cls(cut, tuple(said), reader.gives_pixels)

    def pixels(self, row: int) -> list[Pixels]:
        """The frames of one, as the network sees them; grey where it gets a backbone's features."""
        begin, length = int(self.sequences.begins[row]), int(self.sequences.lengths[row])
        if not self.are_known:
            return [np.full((SIDE, SIDE, 1), GREY, np.uint8)] * length
        return list(self.sequences.frames.array[begin : begin + length])


def own_videos(folder: ModelFolder) -> tuple[Videos, list[tuple[str, ...]]]:
    """A model's own validation videos, without their frames, and the labels or captions of each."""
    file = folder.tokens / "valid.jsonl"
    if folder.read_config()["task"] == video_captioning.TASK:
        captioned = CaptionedVideos.load(file, "valid")
        return captioned, captioned.captions
    labelled = LabelledVideos.load(file, "valid")
    return labelled, labelled.labels


def plot_frames(strips: Mapping[str, Sequence[Pixels | None]], *, dark: bool = False) -> Figure:
    """Draw frames side by side, a row for each name, a column for each of some steps.

    Args:
        strips: frames of shape (height, width, channel), equally many of each name; None where there is none.
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is nothing to draw, or not equally many.
    """
    lengths = {len(frames) for frames in strips.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ArgumentError("`strips` must have equally many frames of each name, and at least one")
    count = lengths.pop()
    colours = palette(dark=dark)
    steps = np.unique(np.linspace(0, count - 1, min(MOST_FRAMES, count)).astype(int)).tolist()
    figure = new_figure(1.3 + PICTURE * len(steps), 0.35 + (PICTURE + 0.06) * len(strips), dark=dark)
    grid = figure.subplots(len(strips), len(steps), squeeze=False)
    for axes, step in zip(grid[0], steps, strict=True):
        axes.set_title(str(step + 1), fontsize=9, color=colours.faint, pad=3)
    for line, (name, frames) in zip(grid, strips.items(), strict=True):
        chosen = [frames[step] for step in steps]
        shown = [None if frame is None else np.broadcast_to(frame, (*frame.shape[:2], 3)) for frame in chosen]
        draw_strip(line, name, shown, colours)
    return figure
