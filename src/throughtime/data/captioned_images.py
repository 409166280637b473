"""Pictures with what is said about them, one or several captions each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from throughtime.data.captioned_examples import CaptionedExamples
from throughtime.data.examples import load_examples, save_examples
from throughtime.data.images import Picture, checked_pixels
from throughtime.data.labelled_images import with_picture
from throughtime.errors import ArgumentError


class CaptionedImage(NamedTuple):
    """A picture and its captions.

    Attributes:
        picture: a file, or pixels; None in prepared data, where the pixels stand in a file of their own.
        captions: at least one.
        place: where it stood, such as "photos/1.jpg".
        name: what it is called in results: the number of a COCO picture, else its file's name.
    """

    picture: Picture | None
    captions: tuple[str, ...]
    place: str
    name: str


@dataclass(frozen=True)
class CaptionedImages(CaptionedExamples[CaptionedImage]):
    """Pictures with captions; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "picture"

    @classmethod
    def of(
        cls, pictures: Iterable[Picture | str], captions: Sequence[str | Sequence[str]], name: str = "pictures"
    ) -> CaptionedImages:
        """Make it from pictures and their captions.

        Args:
            pictures: files, or pixels, uint8, of shape (height, width) or (height, width, channel).
            captions: of each picture one, or several.
            name: what the pictures are called in messages.

        Raises:
            ArgumentError: where there are not as many captions as pictures, or a picture has none.
            DataError: where pixels are no picture.
        """
        own = [Path(picture) if isinstance(picture, str) else picture for picture in pictures]
        examples: list[CaptionedImage] = []
        for picture, several, place in said_of(own, captions, name):
            checked = picture if isinstance(picture, Path) else checked_pixels(np.asarray(picture), place)
            examples.append(CaptionedImage(checked, several, place, picture_name(place)))
        return cls(tuple(examples), name)

    @property
    def pictures(self) -> list[Picture]:
        """The pictures alone.

        Raises:
            ArgumentError: where they are prepared data, which stand in a file of their own.
        """
        return [with_picture(example.picture, example.place) for example in self.examples]

    def save(self, path: Path) -> None:
        """Write captions, places and names, one JSON object a line."""
        save_examples(path, self.examples, without="picture")

    @classmethod
    def load(cls, path: Path, name: str) -> CaptionedImages:
        """Read what ``save`` wrote; the examples are without their pictures.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, partial(CaptionedImage, None)), name)


def said_of(
    given: Sequence[Picture], captions: Sequence[str | Sequence[str]], name: str
) -> list[tuple[Picture, tuple[str, ...], str]]:
    """Pictures or videos, each with its captions and what it is called in messages.

    Args:
        given: files or pixels.
        captions: of each one, or several.
        name: of it all.

    Raises:
        ArgumentError: where there are not as many captions, or none for one.
    """
    if len(given) != len(captions):
        raise ArgumentError(f"`captions` must be as many as the {name}, {len(given)}, got {len(captions)}")
    found: list[tuple[Picture, tuple[str, ...], str]] = []
    for number, (one, said) in enumerate(zip(given, captions, strict=True)):
        place = str(one) if isinstance(one, Path) else f"{name}[{number}]"
        several = (said,) if isinstance(said, str) else tuple(said)
        if not several:
            raise ArgumentError(f"`captions`: {place} has none")
        found.append((one, several, place))
    return found


def picture_name(place: str) -> str:
    """What a picture is called in results: COCO's number of COCO_val2014_000000391895.jpg, else the file's name.

    >>> picture_name("val/COCO_val2014_000000391895.jpg"), picture_name("photos/cat.png")
    ('391895', 'cat.png')
    """
    name = Path(place).name
    number = Path(name).stem.rpartition("_")[2] if name.startswith("COCO_") else Path(name).stem
    return str(int(number)) if number.isdecimal() and len(number) == 12 else name
