"""Characters as tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from throughtime.data.token_decoders import Decoder, TableDecoder
from throughtime.data.tokenizer import UNKNOWN, Ids, Tokenizer


class CharTokenizer(Tokenizer):
    """A token is a Unicode code point; id 0 is for those that are not in the vocabulary."""

    kind = "char"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        vocabulary: dict[str, int] = library.get_vocab()
        self._table = np.zeros(0x110000, dtype=np.int64)
        self._characters = [""] * len(vocabulary)
        for token, index in vocabulary.items():
            self._characters[index] = token
            if token != UNKNOWN:
                self._table[ord(token)] = index
        if self.unknown_id != 0:
            raise ValueError(f"id 0 must be {UNKNOWN}")

    @classmethod
    def _empty_libraries(cls) -> list[tokenizers.Tokenizer]:
        return [cls.of([]).library]

    @classmethod
    def of(cls, characters: Iterable[str]) -> Self:
        """The tokeniser of these characters, in this order."""
        vocabulary = {token: index for index, token in enumerate([UNKNOWN, *characters])}
        library = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        library.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
        library.decoder = decoders.Fuse()
        return cls(library)

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int | None, min_count: int) -> Self:
        """All characters of a text, or the ``size`` - 1 most frequent ones, by code point."""
        counts = _code_point_counts(blocks)
        points = np.flatnonzero(counts >= min_count)
        if size is not None and len(points) > size - 1:
            points = np.sort(points[np.argsort(-counts[points], kind="stable")[: size - 1]])
        return cls.of(map(chr, points.tolist()))

    def _encode(self, text: str) -> Ids:
        return self._table[_code_points(text)]

    def complete(self, text: str) -> int:  # noqa: D102
        return len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return TableDecoder(self._characters)

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: D102
        counts = _code_point_counts(blocks)
        new = [chr(point) for point in np.flatnonzero(counts).tolist() if not self._table[point]]
        return self.of([*self._characters[1:], *new])


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _code_point_counts(blocks: Iterable[str]) -> Ids:
    counts = np.zeros(0x110000, dtype=np.int64)
    for block in blocks:
        found = np.bincount(_code_points(block))
        counts[: len(found)] += found
    return counts
