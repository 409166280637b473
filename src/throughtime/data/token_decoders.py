"""From ids that come one by one to pieces of text, as a model writes."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Sequence


class Decoder(ABC):
    """Turns ids that come one by one into pieces of text; together the pieces are the text of all ids."""

    @abstractmethod
    def push(self, token: int) -> str:
        """The text that this id makes certain."""

    def finish(self) -> str:
        """The text that was still held back."""
        return ""


class TableDecoder(Decoder):
    """Each id is a piece of text."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces

    def push(self, token: int) -> str:  # noqa: D102
        return self._pieces[token]


class BytesDecoder(Decoder):
    """Each id is some bytes of UTF-8; an unfinished character is held back, an impossible one becomes U+FFFD."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:  # noqa: D102
        return self._decoder.decode(self._pieces[token])

    def finish(self) -> str:  # noqa: D102
        return self._decoder.decode(b"", final=True)


class WordDecoder(Decoder):
    """Each id is a word; spaces go between them, and a line end in the place of its marker."""

    def __init__(self, words: Sequence[str], end_of_line: str) -> None:
        self._words = words
        self._end_of_line = end_of_line
        self._starts_line = True

    def push(self, token: int) -> str:  # noqa: D102
        word = self._words[token]
        is_end = word == self._end_of_line
        space = "" if self._starts_line or is_end else " "
        self._starts_line = is_end
        return "\n" if is_end else space + word


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies (GPT-2)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [value for value in range(256) if value not in printable]
    return [chr(value if value in printable else 256 + others.index(value)) for value in range(256)]
