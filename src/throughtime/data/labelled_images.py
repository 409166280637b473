"""Pictures with their labels, as rows that know where they stood."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from throughtime.data.examples import load_examples, save_examples
from throughtime.data.images import Picture, checked_pixels
from throughtime.data.labelled_examples import LabelledExamples
from throughtime.errors import ArgumentError


class ImageExample(NamedTuple):
    """A picture and its labels.

    Attributes:
        picture: a file, or pixels; None in prepared data, where the pixels stand in a file of their own.
        labels: one, or any number where a picture may have several or none.
        place: where it stood, such as "cats/1.png" or "train-images-idx3-ubyte[17]".
    """

    picture: Picture | None
    labels: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class LabelledImages(LabelledExamples[ImageExample]):
    """Pictures with their labels; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "picture"

    @classmethod
    def of(cls, pictures: Iterable[Picture | str], labels: Sequence[object], name: str = "pictures") -> LabelledImages:
        """Make it from pictures and their labels.

        Args:
            pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).
            labels: a string or a number for each, or a list of them.
            name: what the pictures are called in messages.

        Raises:
            ArgumentError: where there are not as many labels as pictures.
            DataError: where pixels are no picture.
        """
        own = [Path(picture) if isinstance(picture, str) else picture for picture in pictures]
        if len(own) != len(labels):
            raise ArgumentError(f"`labels` must be as many as the pictures, {len(own)}, got {len(labels)}")
        examples: list[ImageExample] = []
        for number, (picture, label) in enumerate(zip(own, labels, strict=True)):
            place = str(picture) if isinstance(picture, Path) else f"{name}[{number}]"
            checked = picture if isinstance(picture, Path) else checked_pixels(np.asarray(picture), place)
            several = label if isinstance(label, list | tuple | set | frozenset) else (label,)
            examples.append(ImageExample(checked, tuple(map(str, several)), place))
        return cls(tuple(examples), name)

    @property
    def pictures(self) -> list[Picture]:
        """The pictures alone.

        Raises:
            ArgumentError: where they are prepared data, which stand in a file of their own.
        """
        return [with_picture(example.picture, example.place) for example in self.examples]

    def save(self, path: Path) -> None:
        """Write labels and places, one JSON object a line."""
        save_examples(path, self.examples, without="picture")

    @classmethod
    def load(cls, path: Path, name: str) -> LabelledImages:
        """Read what ``save`` wrote; the examples are without their pictures.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, partial(ImageExample, None)), name)


def with_picture(picture: Picture | None, place: str) -> Picture:
    """The picture.

    Raises:
        ArgumentError: where there is none.
    """
    if picture is None:
        raise ArgumentError(f"{place}: its picture is not here; read the data again from its files")
    return picture
