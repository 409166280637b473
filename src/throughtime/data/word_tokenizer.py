"""Words as tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any, Self

import numpy as np
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from throughtime.data.token_decoders import Decoder, WordDecoder
from throughtime.data.tokenizer import LONGEST_PIECE, UNKNOWN, Ids, Tokenizer

END_OF_LINE = "<eos>"

_MOST_WORDS = 1_000_000
_LONGEST_WORD = 1_000
_MOST_KEPT = 100_000
_LONGEST_KEPT = 64


class WordTokenizer(Tokenizer):
    """A token is a word between white space, and each line end is ``<eos>``, as in the Penn Treebank data.

    Punctuation marks are words of their own if the tokeniser was made so.
    """

    kind = "word"

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        super().__init__(library)
        self._ids: dict[str, int] = library.get_vocab()
        self._words = sorted(self._ids, key=self._ids.__getitem__)
        self._splits_punctuation = not isinstance(library.pre_tokenizer, pre_tokenizers.WhitespaceSplit)
        self._kept: dict[str, list[str]] = {}
        if self._words[:2] != [UNKNOWN, END_OF_LINE] or self._ids[self._words[-1]] != len(self._words) - 1:
            raise ValueError(f"its first words must be {UNKNOWN} and {END_OF_LINE}, and no id may be missing")

    @classmethod
    def _empty_libraries(cls) -> list[tokenizers.Tokenizer]:
        return [cls.of([], split_punctuation=splits).library for splits in (False, True)]

    @classmethod
    def of(cls, words: Iterable[str], *, split_punctuation: bool) -> Self:
        """The tokeniser of these words, in this order, after ``<unk>`` and ``<eos>``."""
        vocabulary: dict[str, int] = {}
        for word in (UNKNOWN, END_OF_LINE, *words):
            vocabulary.setdefault(word, len(vocabulary))
        library = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        library.normalizer = normalizers.Replace("\n", f" {END_OF_LINE} ")
        library.pre_tokenizer = _splitter(split_punctuation=split_punctuation)
        return cls(library)

    @classmethod
    def learn(cls, blocks: Iterable[str], *, size: int | None, min_count: int, split_punctuation: bool) -> Self:
        """The words that occur at least ``min_count`` times, or the most frequent ones, by frequency."""
        empty = cls.of([], split_punctuation=split_punctuation)
        ranked = empty._new_words(blocks, min_count=min_count)
        return cls.of(ranked if size is None else ranked[: max(size - 2, 0)], split_punctuation=split_punctuation)

    def split(self, text: str) -> list[str]:
        """The words of a text, ``<eos>`` among them."""
        marked = text.replace("\n", f" {END_OF_LINE} ")
        # Python takes four control characters for white space that Unicode, and the library, don't.
        if any(mark in marked for mark in "\x1c\x1d\x1e\x1f"):
            return self._library_split(marked)
        if not self._splits_punctuation:
            return marked.split()
        return [part for word in marked.split() for part in self._kept.get(word) or self._split_word(word)]

    def _split_word(self, word: str) -> list[str]:
        # The library is slow, and most words come again.
        parts = self._library_split(word)
        if len(word) <= _LONGEST_KEPT:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[word] = parts
        return parts

    def _library_split(self, text: str) -> list[str]:
        splitter: Any = self.library.pre_tokenizer
        return [word for word, _ in splitter.pre_tokenize_str(text)]

    def _encode(self, text: str) -> Ids:
        words = self.split(text)
        unknown = self._ids[UNKNOWN]
        get = self._ids.get
        return np.fromiter(map(get, words, repeat(unknown)), dtype=np.int64, count=len(words))

    def complete(self, text: str) -> int:  # noqa: D102
        end = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
        return end if end or len(text) < LONGEST_PIECE else len(text)

    def decoder(self) -> Decoder:  # noqa: D102
        return WordDecoder(self._words, END_OF_LINE)

    def extended(self, blocks: Iterable[str]) -> Tokenizer:  # noqa: D102
        new = self._new_words(blocks)
        return self.of([*self._words[2:], *new], split_punctuation=self._splits_punctuation)

    def _new_words(self, blocks: Iterable[str], *, min_count: int = 1) -> list[str]:
        """The words that are not in the vocabulary, the most frequent first."""
        counts: Counter[str] = Counter()
        rest = ""
        rare = 0
        for block in chain(blocks, [None]):
            text = rest + (block or "")
            end = len(text) if block is None else self.complete(text)
            rest = text[end:]
            # Nothing so long is a word; a file that is one line without a space must not fill the memory.
            words = self.split(text[:end])
            if max(map(len, words), default=0) > _LONGEST_WORD:
                words = [word for word in words if len(word) <= _LONGEST_WORD]
            counts.update(words)
            while len(counts) > _MOST_WORDS:
                # As the original word2vec does, for the same reason, with words that stay rare.
                rare += 1
                counts = Counter({word: count for word, count in counts.items() if count > rare})
        kept = [word for word, count in counts.items() if count >= min_count and word not in self._ids]
        return sorted(kept, key=lambda word: (-counts[word], word))


def _splitter(*, split_punctuation: bool) -> pre_tokenizers.PreTokenizer:
    spaces = pre_tokenizers.WhitespaceSplit()
    if not split_punctuation:
        return spaces
    # The markers <unk> and <eos> stay whole.
    marks = tokenizers.Regex(rf"{UNKNOWN}|{END_OF_LINE}|[\w\p{{M}}]+|[^\w\p{{M}}\s]")
    return pre_tokenizers.Sequence([spaces, pre_tokenizers.Split(marks, "removed", invert=True)])
