"""Labelled pictures as people keep them: a folder for each class, IDX, NPZ, a table of files or of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from throughtime.data.image_arrays import (
    LABEL_NAMES,
    idx_part,
    is_idx_images,
    pixel_rows,
    read_idx_images,
    read_npz_images,
)
from throughtime.data.images import SUFFIXES
from throughtime.data.labelled_examples import split_off
from throughtime.data.labelled_images import ImageExample, LabelledImages
from throughtime.data.picture_tables import PICTURE_NAMES, TABLES, PictureTable, read_picture_table
from throughtime.data.splits import Splits, joined_parts, splits_of
from throughtime.data.table_rows import first_named
from throughtime.data.text import part_of
from throughtime.errors import DataError, counted, data_error

FEWEST_PIXEL_COLUMNS = 16


@dataclass(frozen=True)
class ImageColumns:
    """Where a row of a table has its picture and its label.

    Attributes:
        image: the name of the column that names the file, or its number from 1; recognised if None.
        label: the same of the label's.
        images: the folder that the names of files start from; the table's own if None.
    """

    image: str | None = None
    label: str | None = None
    images: Path | None = None


RECOGNISED_COLUMNS = ImageColumns()


def find_images(
    sources: Sequence[LabelledImages | Path | str], columns: ImageColumns = RECOGNISED_COLUMNS
) -> dict[str, LabelledImages]:
    """Find the parts of a set of labelled pictures in what the user gave.

    Args:
        sources: ``LabelledImages``; files: IDX (the labels' file beside it is found), NPZ, CSV, TSV or JSONL; or
            folders: with a folder for each class, in folders called train, valid and test or not, or with such files.
        columns: where the rows of a table have picture and label.

    Returns:
        The pictures of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming it.
    """
    found: dict[str, list[LabelledImages]] = {}
    for source in sources:
        parts = [("train", source)] if isinstance(source, LabelledImages) else _found(Path(source), columns)
        for part, images in parts:
            found.setdefault(part, []).append(images)
    if not found:
        raise DataError("there are no pictures; give files or folders")
    return joined_parts(found)


def split_images(parts: dict[str, LabelledImages], validation_fraction: float, *, seed: int) -> Splits[LabelledImages]:
    """Take a validation part, the same share of each class, out of the training part where there is none.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_off(train, validation_fraction, seed=seed))


def is_picture(path: Path) -> bool:
    """Whether the file's name is that of a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _found(path: Path, columns: ImageColumns) -> Iterator[tuple[str, LabelledImages]]:
    if path.is_dir():
        yield from _folder(path, columns)
        return
    yield from _file(path, columns)


def _file(path: Path, columns: ImageColumns) -> Iterator[tuple[str, LabelledImages]]:
    name = path.name.lower().removesuffix(".gz")
    if is_idx_images(path):
        yield idx_part(path), read_idx_images(path)
    elif name.endswith(".npz"):
        for part, images in read_npz_images(path).items():
            yield (part if part != "train" else part_of(path.name) or part), images
    elif name.endswith(TABLES):
        yield part_of(path.name) or "train", _table(path, columns)
    elif not path.exists():
        raise data_error(path, "there is no such file or folder")
    else:
        raise data_error(path, "is no data set of pictures; give IDX, NPZ, CSV, TSV or JSONL, or a folder")


def _folder(path: Path, columns: ImageColumns) -> Iterator[tuple[str, LabelledImages]]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    parts = {part: folder for folder in folders if (part := part_of(folder.name))}
    if "train" in parts:
        for part, folder in parts.items():
            yield part, _classes(folder)
        return
    idx = [entry for entry in entries if is_idx_images(entry)]
    tables = [entry for entry in entries if entry.name.lower().removesuffix(".gz").endswith((*TABLES, ".npz"))]
    if idx or tables:
        for entry in idx or tables:
            yield from _file(entry, columns)
        return
    yield "train", _classes(path)


def _classes(path: Path) -> LabelledImages:
    """Each file a picture, each folder a class."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    examples = [
        ImageExample(file, (folder.name,), str(file))
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if is_picture(file)
    ]
    if not examples:
        raise data_error(path, "has no pictures in folders; there should be a folder for each class, cats/1.png")
    remark = f"{path}: {counted(len(examples), 'picture')} in {counted(len(folders), 'folder')}, each a class"
    return LabelledImages(tuple(examples), str(path), (remark,))


def _table(path: Path, columns: ImageColumns) -> LabelledImages:
    table = read_picture_table(path, (*PICTURE_NAMES, *LABEL_NAMES))
    if columns.image is None and first_named(table.columns, PICTURE_NAMES) is None:
        pixels = _pixel_table(table, columns)
        if pixels is not None:
            return pixels
    image = table.column(columns.image, PICTURE_NAMES, "image")
    label = table.column(columns.label, LABEL_NAMES, "label")
    examples: list[ImageExample] = []
    for row, place in enumerate(table.places):
        value = table.rows[row].get(label)
        labels = tuple(map(str, value)) if isinstance(value, list) else (str(value).strip(),)
        if value is None or "" in labels:
            raise data_error(place, f"has no label in {label!r}")
        examples.append(ImageExample(table.picture(row, image, columns.images), labels, place))
    remark = f"{path}: {counted(len(examples), 'row')}, picture in {image!r}, label in {label!r}"
    return LabelledImages(tuple(examples), str(path), (remark,))


def _pixel_table(table: PictureTable, columns: ImageColumns) -> LabelledImages | None:
    """A row for each picture: its label, and its pixels in a column each, as the CSV files of MNIST have them."""
    named = columns.label or first_named(table.columns, LABEL_NAMES) or table.columns[0]
    others = [name for name in table.columns if name != named]
    if len(others) < FEWEST_PIXEL_COLUMNS or round(len(others) ** 0.5) ** 2 != len(others):
        return None
    label = table.column(named, LABEL_NAMES, "label")
    pixels = pixel_rows([[str(row[name]) for name in others] for row in table.rows], table.places)
    examples = tuple(
        ImageExample(own, (str(row[label]).strip(),), place)
        for own, row, place in zip(pixels, table.rows, table.places, strict=True)
    )
    side = pixels.shape[1]
    remark = f"{table.path}: {counted(len(examples), 'row')} of {side} x {side} grey pixels, label in {label!r}"
    return LabelledImages(examples, str(table.path), (remark,))
