"""Bytes, and pieces of words that are made of bytes, as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from throughtime.data.token_decoders import BytesDecoder, Decoder, byte_symbols
from throughtime.data.tokenizer import LONGEST_PIECE, Ids, Tokenizer

_SAMPLE_CHARACTERS = 64_000_000
_SAMPLE_DIFFERENT_BYTES = 4_000_000
_LONGEST_SAMPLE_WORD = 1_000
_PIECE_CHARACTERS = 10_000

# GPT-2's pieces begin with white space or have none, so that one always begins where white space does.
_BORDER = re.compile(r"(?<=\S)[ \n\t]")
_UP_TO_LAST_BORDER = re.compile(r".*\S(?=[ \n\t])", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+|\d+|(?:[^\w\s]|_)+")


class ByteTokenizer(Tokenizer):
    """A token is a byte of the text's UTF-8 form; its id is its value."""

    kind = "byte"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        if library.get_vocab() != {symbol: value for value, symbol in enumerate(byte_symbols())}:
            raise ValueError("its ids are not the bytes")

    @classmethod
    def _empty_libraries(cls) -> list[tokenizers.Tokenizer]:
        return [cls.of().library]

    @classmethod
    def of(cls) -> Self:
        """The tokeniser; there is only one."""
        vocabulary = {symbol: value for value, symbol in enumerate(byte_symbols())}
        library = tokenizers.Tokenizer(models.BPE(vocabulary, []))
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        library.decoder = decoders.ByteLevel()
        return cls(library)

    def _encode(self, text: str) -> Ids:
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)

    def complete(self, text: str) -> int:  # noqa: D102
        return len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return BytesDecoder([bytes([value]) for value in range(256)])


class BPETokenizer(Tokenizer):
    """A token is a piece of a word, made of bytes that occur together (Sennrich et al. 2016), as in GPT-2."""

    kind = "bpe"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        values = {symbol: value for value, symbol in enumerate(byte_symbols())}
        vocabulary: dict[str, int] = library.get_vocab()
        self._bytes = [b""] * len(vocabulary)
        for token, index in vocabulary.items():
            self._bytes[index] = bytes(values[symbol] for symbol in token)

    @classmethod
    def _empty_libraries(cls) -> list[tokenizers.Tokenizer]:
        library = tokenizers.Tokenizer(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        library.decoder = decoders.ByteLevel()
        return [library]

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int | None) -> Self:
        """Merge the most frequent pairs of a text until there are ``size`` tokens.

        It learns from the first 64 million characters, or from as many as have six megabytes of different words,
        which takes less than a gigabyte of memory.
        """
        sample = list(_sample(blocks))
        (library,) = cls._empty_libraries()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size or min(16_000, max(512, sum(map(len, sample)) // 400)),
            initial_alphabet=byte_symbols(),
            show_progress=False,
        )
        library.train_from_iterator(sample, trainer)
        return cls(library)

    def _encode(self, text: str) -> Ids:
        encodings = self.library.encode_batch_fast(list(_pieces(text)))
        return np.concatenate([np.array(part.ids, dtype=np.int64) for part in encodings] or [np.zeros(0, np.int64)])

    def complete(self, text: str) -> int:  # noqa: D102
        found = _UP_TO_LAST_BORDER.match(text)
        if found:
            return found.end()
        return len(text) if len(text) >= LONGEST_PIECE else 0

    def decoder(self) -> Decoder:  # noqa: D102
        return BytesDecoder(self._bytes)


def _pieces(text: str) -> Iterator[str]:
    # The library keeps far more than the ids of what it encodes at a time.
    start = 0
    while start < len(text):
        border = _BORDER.search(text, start + _PIECE_CHARACTERS)
        end = border.start() if border else len(text)
        yield text[start:end]
        start = end


def _sample(blocks: Iterable[str]) -> Iterator[str]:
    # The library's trainer needs about a hundred bytes for each byte of the different words, and a time that grows
    # with the square of a word's length.
    words: set[str] = set()
    characters = different = 0
    for block in blocks:
        part = block[: _SAMPLE_CHARACTERS - characters]
        new = set(_WORD.findall(part)) - words
        is_unbroken = max(map(len, new), default=0) > _LONGEST_SAMPLE_WORD
        size = _LONGEST_SAMPLE_WORD if is_unbroken else max(1, len(part))
        yield from (part[start : start + size] for start in range(0, len(part), size))
        words |= new
        characters += len(part)
        different += len("".join(new).encode())
        if characters >= _SAMPLE_CHARACTERS or different >= _SAMPLE_DIFFERENT_BYTES:
            return
