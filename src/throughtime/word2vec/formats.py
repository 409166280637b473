"""Reading and writing word vectors: which format a file is in is told by its content.

safetensors        mapped into memory; the only one that stores counts and words with spaces
word2vec-text      "count size", then a word and its numbers a line; also gzipped
word2vec-binary    the same with float32 numbers, as the original C program and gensim write it
fasttext-vec       what fastText calls .vec, word2vec-text by another name
glove              word2vec-text without its first line
projector          TensorBoard's embedding projector: vectors.tsv, and metadata.tsv beside it
"""

from __future__ import annotations

from pathlib import Path

from throughtime.errors import ArgumentError, check_choice, data_error
from throughtime.word2vec.binary_format import read_word2vec_binary, write_word2vec_binary
from throughtime.word2vec.safetensors_format import read_safetensors, write_safetensors
from throughtime.word2vec.table import HEADER, Table, opened
from throughtime.word2vec.text_formats import (
    is_number,
    metadata_path,
    read_glove,
    read_projector,
    read_word2vec_text,
    write_projector,
    write_text_format,
)

__all__ = ["FORMATS", "SUFFIXES", "VECTORS_FILE", "Table", "detect", "read", "write"]

READERS = {
    "safetensors": read_safetensors,
    "word2vec-text": read_word2vec_text,
    "word2vec-binary": read_word2vec_binary,
    "fasttext-vec": read_word2vec_text,
    "glove": read_glove,
    "projector": read_projector,
}
FORMATS = tuple(READERS)
SUFFIXES = {
    ".safetensors": "safetensors",
    ".txt": "word2vec-text",
    ".bin": "word2vec-binary",
    ".vec": "fasttext-vec",
    ".glove": "glove",
    ".tsv": "projector",
}
VECTORS_FILE = "vectors.safetensors"
SAMPLE_BYTES = 1 << 16
NUMBER_CHARACTERS = b"0123456789+-.eE \t\rnaifNAIF"


def read(path: Path, format: str | None = None) -> Table:  # noqa: A002 - the field's own word
    """Read word vectors.

    Args:
        path: a file, or a folder that holds vectors.safetensors.
        format: one of FORMATS; by default what the content looks like.

    Raises:
        DataError: where the file can't be read as vectors, naming the line or byte.
        ArgumentError: where there is no such format.
    """
    if format is not None:
        check_choice("format", format, FORMATS)
    if path.is_dir():
        folder, path = path, path / VECTORS_FILE
        if not path.is_file():
            raise data_error(
                folder, f"this folder has no {VECTORS_FILE}; give a file of word vectors or a model folder"
            )
    return READERS[format or detect(path)](path)


def detect(path: Path) -> str:
    """Tell the format of a file by its content; only a projector's needs its neighbour.

    A first line of two whole numbers is a header, or GloVe's vector of one number for a word that is itself a number:
    which, the second line decides.

    Raises:
        DataError: where it is none of FORMATS, or can't be read.
    """
    with opened(path) as (file, size):
        sample = file.read(SAMPLE_BYTES)
    if not sample:
        raise data_error(path, "is empty; give a file of word vectors")
    if size is not None and sample[8:9] == b"{" and int.from_bytes(sample[:8], "little") < 1 << 32:
        return "safetensors"
    first, _, rest = sample.partition(b"\n")
    parts = first.split()
    metadata = metadata_path(path)
    is_table = b"\t" in first and all(map(is_number, parts))
    if is_table and metadata.is_file():
        return "projector"
    header = HEADER.fullmatch(first)
    if header:
        return _with_header(rest, int(header[2]))
    if is_table:
        message = f"is a table of numbers alone; the words must stand beside it in {metadata.name}"
        raise data_error(path, f"{message}, or give the format 'glove' if the first column is the words")
    if len(parts) > 1 and is_number(parts[-1]) and b"\0" not in sample:
        return "glove"
    message = "is not a file of word vectors: the first line is neither a word and its numbers nor their count and size"
    raise data_error(path, message)


def _with_header(rest: bytes, features: int) -> str:
    word, _, values = rest.lstrip(b"\n").partition(b" ")
    line = values.partition(b"\n")[0]
    is_text = bool(line.strip()) and not line.strip(NUMBER_CHARACTERS) and b"\0" not in word
    count = len(line.split())
    if is_text and count == 1 and features != 1 and b"\n" not in word:
        return "glove"
    # A newline may stand among the bytes of a binary vector, but the zeros and control characters give those away.
    return "word2vec-text" if is_text or _is_plain(rest) else "word2vec-binary"


def _is_plain(sample: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\n\r\v\f" for byte in sample[:4096]) and _is_utf8(sample[:4096])


def _is_utf8(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end == len(sample) and error.reason == "unexpected end of data"
    return True


def write(path: Path, table: Table, format: str | None = None) -> None:  # noqa: A002 - the field's own word
    """Write word vectors, whole or not at all; text and word2vec's binary format are gzipped if named .gz.

    Args:
        path: the file; in a folder that exists, vectors.safetensors is written.
        table: what to write.
        format: one of FORMATS; by default what the name's ending stands for in SUFFIXES.

    Raises:
        ArgumentError: where there is no such format or folder, the name says no format, or a word can't be stored.
        DiskFullError: where the disk is full.
    """
    if path.is_dir():
        path /= VECTORS_FILE
    if not path.parent.is_dir():
        raise ArgumentError(f"{path}: there is no folder {str(path.parent)!r}; make it, or give another")
    if format is None:
        suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
        if suffix.lower() not in SUFFIXES:
            raise ArgumentError(f"{path}: the name says no format; end it in {', '.join(SUFFIXES)}, or give `format`")
        format = SUFFIXES[suffix.lower()]  # noqa: A001
    check_choice("format", format, FORMATS)
    if format == "safetensors":
        write_safetensors(path, table)
    elif format == "word2vec-binary":
        write_word2vec_binary(path, table)
    elif format == "projector":
        write_projector(path, table)
    else:
        write_text_format(path, table, format)
