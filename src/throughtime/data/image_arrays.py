"""Pictures that stand many in a file: IDX (as MNIST has them), NPZ, and tables of pixels."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from throughtime.data.array_files import READING
from throughtime.data.images import Pixels
from throughtime.data.labelled_images import LabelledImages
from throughtime.errors import DataError, counted, data_error

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by their names."""

NPZ_BEGINS = b"PK\x03\x04"
"""What an NPZ file begins with."""

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGE_NAMES = ("images", "x", "image", "data", "imgs")
LABEL_NAMES = ("labels", "y", "label", "targets", "target", "classes")
_PARTS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "test": "test"}


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Read an IDX file, gzipped or not.

    Raises:
        DataError: naming the file, where it is missing or not whole.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise data_error(path, f"cannot be read ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise data_error(path, "is no IDX file: its first bytes name no type of numbers", byte=0)
    kind = np.dtype(_IDX_TYPES[content[2]])
    begin = 4 + 4 * content[3]
    shape = tuple(np.frombuffer(content[4:begin], ">u4").tolist())
    if len(shape) < content[3] or len(content) != begin + math.prod(shape) * kind.itemsize:
        wanted = " x ".join(map(str, shape))
        raise data_error(path, f"is not whole: it should hold {wanted} numbers and has {len(content) - begin:,} bytes")
    return np.frombuffer(content, kind, offset=begin).reshape(shape)


def is_idx_images(path: Path) -> bool:
    """Whether the file's name is that of IDX pictures."""
    return "idx3" in path.name or "idx4" in path.name


def labels_beside(path: Path) -> Path:
    """The file of the labels that go with IDX pictures: train-labels-idx1-ubyte for train-images-idx3-ubyte."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    beside = path.with_name(name)
    if beside.exists():
        return beside
    return beside.with_suffix("") if path.suffix == ".gz" else beside.with_name(f"{name}.gz")


def idx_part(path: Path) -> str:
    """The part that the name of an IDX file says it is: test for t10k, else what it begins with."""
    first = path.name.split("-")[0].lower()
    return "test" if first == "t10k" else _PARTS.get(first, "train")


def read_idx_images(path: Path) -> LabelledImages:
    """Read the pictures of an IDX file, and their labels from the file beside it.

    Raises:
        DataError: naming the file, where one of the two can't be used, or they don't go together.
    """
    pixels = as_pixels(read_idx(path), path)
    beside = labels_beside(path)
    if not beside.exists():
        raise data_error(path, f"has no labels beside it; there should be {beside.name}")
    return _labelled(pixels, read_idx(beside), path, "IDX")


def read_npz(source: Path | bytes, *, name: str | None = None, most_bytes: int | None = None) -> Arrays:
    """Read all arrays of an NPZ file; nothing in it is executed.

    Args:
        source: the file, or its content.
        name: what it is called in messages; its path by default.
        most_bytes: what holds more is refused before it is unpacked, as few bytes may hold very many numbers.

    Raises:
        DataError: naming the file, where it is missing, damaged, too large, or holds Python objects.
    """
    path = name or ("the file" if isinstance(source, bytes) else source)
    try:
        opened = BytesIO(source) if isinstance(source, bytes) else source
        if most_bytes is not None:
            with ZipFile(opened) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > most_bytes:
                raise data_error(path, f"holds {size:,} bytes; make it smaller, {most_bytes:,} are read at most")
        with READING, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except DataError:
        raise
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except (OSError, ValueError, EOFError, MemoryError, BadZipFile, zlib.error, AttributeError) as error:
        # NumPy's own words are about pickles, and advise to load what could execute anything.
        is_pickle = isinstance(error, ValueError) and "allow_pickle" in str(error)
        why = "it is none, or holds Python objects and not numbers alone" if is_pickle else str(error)
        raise data_error(path, f"cannot be read as NPZ ({why})") from error


def read_npz_images(path: Path) -> dict[str, LabelledImages]:
    """Read an NPZ file with pictures and labels: images and labels, or x_train, y_train, x_test, y_test and the like.

    Raises:
        DataError: naming the file, where the arrays' names are not known or the arrays don't go together.
    """
    arrays = read_npz(path)
    found: dict[str, LabelledImages] = {}
    for name, array in arrays.items():
        words = name.lower().split("_")
        own = [word for word in words if word in IMAGE_NAMES]
        part = next((_PARTS[word] for word in words if word in _PARTS), None)
        if not own:
            continue
        beside = next((other for other in arrays if _is_beside(other, part)), None)
        if beside is None:
            raise data_error(path, f"has {name!r} and no labels for it; its arrays are {', '.join(arrays)}")
        found[part or "train"] = _labelled(as_pixels(array, path), arrays[beside], path, f"NPZ, {name} and {beside}")
    if not found:
        raise data_error(path, f"has no array called images or x; its arrays are {', '.join(arrays) or 'none'}")
    return found


def as_pixels(array: npt.NDArray[Any], path: Path | str) -> Pixels:
    """Pictures as pixels, shape (pictures, height, width, channel); from 0 to 255, or fractions of 1.

    Raises:
        DataError: naming the file, where the numbers are no pixels.
    """
    pixels = array[..., None] if array.ndim == 3 else array
    if pixels.ndim != 4 or 0 in pixels.shape:
        wanted = "(pictures, height, width) or (pictures, height, width, channel)"
        raise data_error(path, f"its pictures must have shape {wanted}, got {array.shape}")
    if pixels.shape[3] not in {1, 3, 4} and pixels.shape[1] in {1, 3, 4}:
        pixels = np.moveaxis(pixels, 1, 3)
    if pixels.shape[3] not in {1, 3, 4}:
        raise data_error(path, f"its pictures must have 1, 3 or 4 channels, the last axis, got {array.shape}")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind not in "iuf" or not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
        raise data_error(path, f"its pixels must be numbers from 0 to 255, or from 0 to 1, got {pixels.dtype}")
    is_fraction = pixels.dtype.kind == "f" and pixels.max() <= 1
    return (pixels * (255 if is_fraction else 1)).round().astype(np.uint8)


def pixel_rows(rows: Sequence[Sequence[str]], places: Sequence[str]) -> Pixels:
    """Pixels from the rows of a table, each a square grey picture.

    Args:
        rows: the numbers of each picture, as text.
        places: where each row stands, for messages.

    Raises:
        DataError: naming file and line, where a number is no pixel.
    """
    side = math.isqrt(len(rows[0]))
    pixels = np.empty((len(rows), len(rows[0])), dtype=np.uint8)
    for row, (cells, place) in enumerate(zip(rows, places, strict=True)):
        try:
            values = np.array(cells, dtype=np.float64)
        except ValueError as error:
            raise data_error(place, f"must be pixels from 0 to 255 ({error})") from error
        if not ((values >= 0) & (values <= 255)).all():
            raise data_error(place, f"must be pixels from 0 to 255, got {values.min():g} to {values.max():g}")
        pixels[row] = values.round()
    return pixels.reshape(len(rows), side, side, 1)


def _is_beside(name: str, part: str | None) -> bool:
    words = name.lower().split("_")
    return any(word in LABEL_NAMES for word in words) and part == next(
        (_PARTS[word] for word in words if word in _PARTS), None
    )


def _labelled(pixels: Pixels, labels: npt.NDArray[Any], path: Path, how: str) -> LabelledImages:
    flat = labels.reshape(len(labels), -1)
    if flat.shape[1] != 1 or len(flat) != len(pixels):
        raise data_error(path, f"has {len(pixels):,} pictures and labels of shape {labels.shape}; one each is needed")
    images = LabelledImages.of(list(pixels), flat[:, 0].tolist(), str(path))
    shape = " x ".join(map(str, pixels.shape[1:3]))
    remark = f"{path}: {counted(len(pixels), 'picture')} of {shape} pixels, {_colours(pixels)}, {how}"
    return LabelledImages(images.examples, str(path), (remark,))


def _colours(pixels: Pixels) -> str:
    return "grey" if pixels.shape[3] == 1 else "in colour"
