"""The pictures that a model is looked at with: its own, or others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from throughtime.data import Frames, Pixels
from throughtime.errors import ArgumentError
from throughtime.tasks.image_features import PictureReader, open_pictures, pictures_file
from throughtime.training import ModelFolder

GREY = 128
SIDE = 64


@dataclass(frozen=True)
class Seen:
    """Pictures.

    Attributes:
        frames: as the network gets them.
        pixels: as it sees them, or, where a backbone's features alone were kept, a grey square in their place.
        are_known: whether the pixels are those of the pictures.
        rows: which of the validation pictures they are; none where others were given.
    """

    frames: Frames
    pixels: list[Pixels]
    are_known: bool
    rows: tuple[int, ...] = ()

    @classmethod
    def of_files(cls, reader: PictureReader, files: Sequence[Path]) -> Seen:
        """Those in files.

        Raises:
            DataError: naming the picture, where one can't be read.
        """
        names = [str(file) for file in files]
        pixels = [reader.preprocessing.pixels(file, name) for file, name in zip(files, names, strict=True)]
        return cls(reader.frames(list(files), names), pixels, are_known=True)

    @classmethod
    def of_model(cls, folder: ModelFolder, reader: PictureReader, most: int) -> Seen:
        """Some of a model's own validation pictures, at most so many.

        Raises:
            ArgumentError: where they are not there any more.
        """
        if not pictures_file(folder, "valid").exists():
            raise ArgumentError(f"{folder.path} keeps no validation pictures to look at; give some by --input")
        array = open_pictures(folder, "valid").array
        rows = spread(len(array), most)
        return cls.of_frames(Frames(np.ascontiguousarray(array[rows])), reader, tuple(rows))

    @classmethod
    def of_frames(cls, frames: Frames, reader: PictureReader, rows: tuple[int, ...] = ()) -> Seen:
        """Those that stand in a model's folder, as its network gets them."""
        grey = np.full((SIDE, SIDE, 1), GREY, np.uint8)
        pixels = list(frames.array) if reader.gives_pixels else [grey] * len(frames.array)
        return cls(frames, pixels, reader.gives_pixels, rows)

    def remark(self) -> str | None:
        """What is to be said of them, if anything."""
        if self.are_known:
            return None
        return "Of the model's own pictures the backbone's features alone were kept, so that grey stands for them here."


def spread(count: int, most: int) -> list[int]:
    """Numbers below ``count`` at equal distances, at most so many."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()
