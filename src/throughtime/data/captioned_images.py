"""Pictures with what is said about them, one or several captions each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from throughtime.data.images import Picture, checked_pixels
from throughtime.data.labelled_images import with_picture
from throughtime.data.splits import Splits, splits_of
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.files import write_text


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
class CaptionedImages:
    """Pictures with captions, in the order in which they were read.

    Attributes:
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
    """

    examples: tuple[CaptionedImage, ...]
    name: str
    remarks: tuple[str, ...] = ()

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
        if len(own) != len(captions):
            raise ArgumentError(f"`captions` must be as many as the pictures, {len(own)}, got {len(captions)}")
        examples: list[CaptionedImage] = []
        for number, (picture, said) in enumerate(zip(own, captions, strict=True)):
            place = str(picture) if isinstance(picture, Path) else f"{name}[{number}]"
            several = (said,) if isinstance(said, str) else tuple(said)
            if not several:
                raise ArgumentError(f"`captions`: {place} has none")
            checked = picture if isinstance(picture, Path) else checked_pixels(np.asarray(picture), place)
            examples.append(CaptionedImage(checked, several, place, picture_name(place)))
        return cls(tuple(examples), name)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.examples)

    @property
    def pictures(self) -> list[Picture]:
        """The pictures alone.

        Raises:
            ArgumentError: where they are prepared data, which stand in a file of their own.
        """
        return [with_picture(example.picture, example.place) for example in self.examples]

    @property
    def captions(self) -> list[tuple[str, ...]]:
        """The captions of each picture."""
        return [example.captions for example in self.examples]

    def summary(self) -> str:
        """How many pictures and captions there are."""
        return f"{len(self):,} pictures with {sum(map(len, self.captions)):,} captions"

    def chosen(self, rows: Iterable[int]) -> CaptionedImages:
        """These pictures alone."""
        return replace(self, examples=tuple(self.examples[row] for row in rows), remarks=())

    def joined(self, *others: CaptionedImages) -> CaptionedImages:
        """These pictures and then the others'."""
        parts = (self, *others)
        return CaptionedImages(
            tuple(example for part in parts for example in part.examples),
            ", ".join(part.name for part in parts),
            tuple(remark for part in parts for remark in part.remarks),
        )

    def save(self, path: Path) -> None:
        """Write captions, places and names, one JSON object a line."""
        rows = (
            {"captions": example.captions, "place": example.place, "name": example.name} for example in self.examples
        )
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    @classmethod
    def load(cls, path: Path, name: str) -> CaptionedImages:
        """Read what ``save`` wrote; the examples are without their pictures.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
            examples = (CaptionedImage(None, tuple(row["captions"]), row["place"], row["name"]) for row in rows)
            return cls(tuple(examples), name)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error


def picture_name(place: str) -> str:
    """What a picture is called in results: COCO's number of COCO_val2014_000000391895.jpg, else the file's name.

    >>> picture_name("val/COCO_val2014_000000391895.jpg"), picture_name("photos/cat.png")
    ('391895', 'cat.png')
    """
    name = Path(place).name
    number = Path(name).stem.rpartition("_")[2] if name.startswith("COCO_") else Path(name).stem
    return str(int(number)) if number.isdecimal() and len(number) == 12 else name


def split_captioned(
    parts: dict[str, CaptionedImages], pictures: int, *, seed: int, by_caption: bool = False
) -> Splits[CaptionedImages]:
    """Take a validation part out of the training part where there is none.

    Args:
        parts: what ``find_captioned`` found.
        pictures: about how many are taken out, but never more than a tenth.
        seed: of the choice.
        by_caption: whether pictures that share a caption go to one part together, so that what is validated was never
            said in training.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_pictures(train, pictures, seed=seed, by_caption=by_caption))


def split_pictures(
    images: CaptionedImages, pictures: int, *, seed: int, by_caption: bool = False
) -> tuple[CaptionedImages, CaptionedImages]:
    """Take a random part of the pictures out; arguments as of ``split_captioned``.

    Returns:
        What stays, and the part.
    """
    wanted = min(pictures, len(images) // 10) or 1
    group = _groups(images) if by_caption else list(range(len(images)))
    rows_of: dict[int, list[int]] = {}
    for row, number in enumerate(group):
        rows_of.setdefault(number, []).append(row)
    if len(rows_of) < 2:
        raise DataError(f"{images.name}: has {len(images)} pictures, too few to keep one for validation")
    numbers = list(rows_of)
    taken: set[int] = set()
    for place in np.random.default_rng((seed, len(images))).permutation(len(numbers)).tolist()[:-1]:
        if len(taken) >= wanted:
            break
        taken.update(rows_of[numbers[place]])
    kept = images.chosen(row for row in range(len(images)) if row not in taken)
    part = images.chosen(row for row in range(len(images)) if row in taken)
    return kept, replace(part, name=f"{len(part)} pictures of {images.name}")


def _groups(images: CaptionedImages) -> list[int]:
    """A number for each picture, the same for those that share a caption, also by way of others."""
    above = list(range(len(images)))

    def top(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    first: dict[str, int] = {}
    for row, captions in enumerate(images.captions):
        for caption in captions:
            other = first.setdefault(" ".join(caption.lower().split()), row)
            above[top(row)] = top(other)
    return [top(row) for row in range(len(images))]
