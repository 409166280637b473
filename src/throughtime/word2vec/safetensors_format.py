"""Word vectors in a safetensors file, mapped into memory: opening one reads the words and nothing else.

vectors   float32 (words, feature)
words     uint8: all words in UTF-8, with a newline between them
counts    int64 (words,), optional
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from throughtime.errors import DataError, data_error
from throughtime.word2vec.table import Table, check_words, rows_at_once, written

FORMAT_VERSION = 1
HEADER_BYTES = 100_000_000  # what safetensors itself allows
TYPES = {"F32": "<f4", "I64": "<i8", "U8": "|u1"}


def read_safetensors(path: Path) -> Table:
    """Map the vectors of a file; they are read when they are used, and NaN in them is found only then.

    Raises:
        DataError: where the file is no safetensors, damaged, or holds something else.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header, start = _read_header(path, file, size)
            _check_version(path, header.pop("__metadata__", None))
            vectors = _tensor(path, header, "vectors", "F32", start, size)
            joined = _tensor(path, header, "words", "U8", start, size)
            counts = _tensor(path, header, "counts", "I64", start, size) if "counts" in header else None
    except OSError as error:
        raise data_error(path, f"cannot be read ({error.strerror or error})") from error
    if vectors.ndim != 2 or not vectors.size or joined.ndim != 1:
        raise data_error(path, f"`vectors` has shape {vectors.shape}, must be (words, feature) with at least one each")
    try:
        words = joined.tobytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise data_error(path, f"`words` is not UTF-8 text (at its byte {error.start})") from error
    if len(words) != len(vectors):
        raise data_error(path, f"has {len(words):,} words, but {len(vectors):,} vectors")
    if len(set(words)) < len(words):
        seen: set[str] = set()
        double = next(word for word in words if word in seen or seen.add(word))
        raise data_error(path, f"the word {double!r} comes twice")
    if counts is None:
        return Table(words, vectors)
    if counts.shape != (len(words),) or counts.min() < 0:
        raise data_error(path, f"`counts` must be {len(words):,} numbers that are not negative")
    return Table(words, vectors, np.array(counts, dtype=np.int64))


def _read_header(path: Path, file: IO[bytes], size: int) -> tuple[dict[str, Any], int]:
    """The header's JSON, and the byte at which the tensors begin."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_BYTES, size - 8):
        raise data_error(path, "is not a safetensors file, or was cut short within its header")
    try:
        header: object = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise data_error(path, "is not a safetensors file: its header is not JSON") from error
    if not isinstance(header, dict):
        raise data_error(path, "is not a safetensors file: its header names no tensors")
    return cast("dict[str, Any]", header), 8 + length


def _check_version(path: Path, metadata: object) -> None:
    version = cast("dict[str, object]", metadata).get("format_version", "1") if isinstance(metadata, dict) else "1"
    if not isinstance(version, str) or not version.isdecimal() or int(version[:9]) > FORMAT_VERSION:
        message = f"is in format {version!r}, this throughtime reads up to {FORMAT_VERSION}; upgrade throughtime"
        raise data_error(path, message)


def _tensor(path: Path, header: dict[str, Any], name: str, kind: str, start: int, size: int) -> npt.NDArray[Any]:
    """Map one tensor, once its place in the file has proved to be what its shape needs."""
    entry: Any = header.get(name)
    if entry is None:
        found = ", ".join(map(repr, sorted(header)[:5])) or "nothing"
        raise data_error(path, f"holds no word vectors: there is no tensor {name!r} among {found}")
    try:
        shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
        numbers = [*shape, begin, end]
        is_whole = all(type(number) is int and number >= 0 for number in numbers)
        dtype = np.dtype(TYPES[kind])
        fits = is_whole and end - begin == math.prod(shape) * dtype.itemsize and start + end <= size
    except (KeyError, TypeError, ValueError) as error:
        raise data_error(path, f"the header's entry for {name!r} is damaged") from error
    if entry.get("dtype") != kind:
        raise data_error(path, f"the tensor {name!r} is {entry.get('dtype')!r}, must be {kind!r}")
    if not fits:
        raise _place_error(path, name, start + end if is_whole else None, size)
    if begin == end:
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start + begin, shape=shape)


def _place_error(path: Path, name: str, end: int | None, size: int) -> DataError:
    if end is not None and end > size:
        return data_error(
            path, f"the tensor {name!r} ends at byte {end:,}, but the file has {size:,}: it was cut short"
        )
    return data_error(path, f"the header's entry for {name!r} is damaged: shape and place don't fit")


def write_safetensors(path: Path, table: Table) -> None:
    """Write a file that every reader of safetensors understands; vectors that are mapped are copied in blocks.

    Raises:
        ArgumentError: where a word has a newline in it.
    """
    check_words(table.words, "\n", "safetensors", "a newline", "leave it out")
    words = "\n".join(table.words).encode()
    sizes = {
        "vectors": ("F32", list(table.vectors.shape), table.vectors.nbytes),
        "words": ("U8", [len(words)], len(words)),
    }
    if table.counts is not None:  # first, where eight bytes are aligned
        sizes = {"counts": ("I64", [len(table.words)], table.counts.nbytes), **sizes}
    header: dict[str, object] = {
        "__metadata__": {"format": "throughtime word vectors", "format_version": str(FORMAT_VERSION)}
    }
    begin = 0
    for name, (kind, shape, nbytes) in sizes.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, begin + nbytes]}
        begin += nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with written(path, compress=False) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if table.counts is not None:
            file.write(table.counts.astype("<i8").tobytes())
        for rows in rows_at_once(table.vectors):
            file.write(table.vectors[rows].astype("<f4").tobytes())
        file.write(words)
