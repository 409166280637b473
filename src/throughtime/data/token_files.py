"""Token ids on disk, written as a text streams by and mapped into memory to be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.data.array_files import mapped_array
from throughtime.data.text import Text
from throughtime.data.tokenizer import Tokenizer
from throughtime.errors import ModelFolderError, data_error
from throughtime.files import replacing, write_text


@dataclass(frozen=True)
class TokenCounts:
    """What a text amounts to.

    Attributes:
        tokens: its length in tokens.
        characters: its length in Unicode code points.
        bytes: its length in bytes of UTF-8.
        unknown: how many of its tokens are not in the vocabulary.
    """

    tokens: int
    characters: int
    bytes: int
    unknown: int


def write_tokens(
    path: Path, tokenizer: Tokenizer, text: Text, *, progress: Callable[[int], None] | None = None
) -> TokenCounts:
    """Write a text's ids as a .npy file of the smallest unsigned integers that hold them, and its counts beside it.

    The memory used does not depend on the text's length.

    Args:
        path: ends in .npy; the counts go to the same name with .json.
        tokenizer: gives the ids.
        text: what to encode.
        progress: called now and then with the number of characters done.

    Raises:
        DataError: where the text is empty.
        DiskFullError: where there is no room; no part of the file is left.
    """
    dtype = np.min_scalar_type(tokenizer.vocabulary_size - 1)
    tokens = characters = size = unknown = 0

    def watched() -> Any:
        nonlocal characters, size
        for block in text.blocks():
            characters += len(block)
            size += len(block.encode("utf-8", "surrogatepass"))
            yield block
            if progress:
                progress(characters)

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, _header(dtype, 0))
        for ids in tokenizer.encode_blocks(watched()):
            tokens += len(ids)
            if tokenizer.unknown_id is not None:
                unknown += int(np.count_nonzero(ids == tokenizer.unknown_id))
            file.write(ids.astype(dtype).tobytes())
        if not tokens:
            raise data_error(text.name, "has no tokens; give a file with text in it")
        file.seek(0)
        # numpy pads the header so that the length fits in later.
        np.lib.format.write_array_header_1_0(file, _header(dtype, tokens))
    counts = TokenCounts(tokens, characters, size, unknown)
    write_text(path.with_suffix(".json"), json.dumps(vars(counts)) + "\n")
    return counts


class TokenFile:
    """Token ids that ``write_tokens`` wrote.

    Attributes:
        ids: shape (tokens,), mapped into memory and read-only.
        counts: what the text amounts to.

    Raises:
        ModelFolderError: where a file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.ids: npt.NDArray[Any] = mapped_array(path)
            self.counts = TokenCounts(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
            if self.ids.dtype.kind != "u" or self.ids.shape != (self.counts.tokens,):
                raise ValueError(f"{self.ids.dtype} of shape {self.ids.shape} are not {self.counts.tokens} token ids")
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error

    def __len__(self) -> int:
        """Tokens."""
        return len(self.ids)


def _header(dtype: np.dtype[Any], tokens: int) -> dict[str, Any]:
    return {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (tokens,)}
