"""The binary format of word2vec: a line "count size", then each word, a space, and its float32 numbers."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from throughtime.errors import data_error
from throughtime.word2vec.table import (
    Table,
    TableBuilder,
    check_words,
    opened,
    read_header,
    rows_at_once,
    written,
)

BLOCK_BYTES = 1 << 22
WORD_BYTES = 1 << 16


def read_word2vec_binary(path: Path) -> Table:
    """Read a file of the original C program, which ends each vector by a newline, or of gensim, which doesn't.

    Raises:
        DataError: naming the word or byte.
    """
    with opened(path) as (file, size):
        count, features = read_header(path, file, size, lambda features: 4 * features + 2)
        return _read_words(path, file, count, features)


def _read_words(path: Path, file: IO[bytes], count: int, features: int) -> Table:
    builder = TableBuilder(path, features)
    width = 4 * features
    block = b""
    position = file.tell()  # of the block's first byte
    while len(builder.words) < count:
        more = file.read(max(BLOCK_BYTES, width))
        block += more
        words: list[bytes] = []
        vectors: list[bytes] = []
        start = 0
        while len(builder.words) + len(words) < count:
            space = block.find(b" ", start, start + WORD_BYTES)
            if space < 0 and len(block) - start >= WORD_BYTES:
                message = f"no word ends within {WORD_BYTES:,} bytes, so this is not word2vec's binary format"
                raise data_error(path, message, byte=position + start)
            if space < 0 or space + 1 + width > len(block):
                break
            words.append(block[start:space].lstrip(b"\n"))
            start = space + 1 + width
            vectors.append(block[space + 1 : start])
        builder.add(words, np.frombuffer(b"".join(vectors), dtype="<f4").reshape(-1, features))
        position += start
        block = block[start:]
        if not more and len(builder.words) < count:
            message = f"ends within word {len(builder.words) + 1:,} of the {count:,} that its first line names"
            raise data_error(path, message, byte=position + len(block))
    if (block + file.read(2)).strip(b"\n"):
        raise data_error(path, f"goes on after the {count:,} words that its first line names", byte=position)
    return builder.table()


def write_word2vec_binary(path: Path, table: Table) -> None:
    """Write the format as the original C program does, with a newline after each vector.

    Raises:
        ArgumentError: where a word has a space or a line end in it.
    """
    check_words(
        table.words, " \n", "word2vec-binary", "a space or a line end", "write safetensors, which stores any word"
    )
    with written(path, compress=path.suffix.lower() == ".gz") as file:
        file.write(f"{len(table.words)} {table.vectors.shape[1]}\n".encode())
        for rows in rows_at_once(table.vectors):
            words = [word.encode() for word in table.words[rows]]
            vectors = table.vectors[rows].astype("<f4")
            file.write(b"".join(b"%b %b\n" % (word, row.tobytes()) for word, row in zip(words, vectors, strict=True)))
