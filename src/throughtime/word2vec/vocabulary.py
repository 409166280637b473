"""The words that get a vector, and how often each occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from throughtime._core import Text, count_words, join_pairs
from throughtime.errors import DataError, data_error

MOST_DIFFERENT_WORDS = 10_000_000
"""Of a text whose rarest words must be forgotten while it is counted: about a gigabyte of memory."""


@dataclass(frozen=True)
class Vocabulary:
    """Words in order of falling count.

    Attributes:
        words: unique.
        counts: int64, shape (words,).
        text_words: words of the text, with those that have no place in the vocabulary.
        sentences: of the text.
        forgotten: words that occur no more often than about this may have been missed, as there were too many; else 0.
    """

    words: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    text_words: int
    sentences: int
    forgotten: int = 0

    def __len__(self) -> int:
        return len(self.words)

    @property
    def known_words(self) -> int:
        """Words of the text that are in the vocabulary."""
        return int(self.counts.sum())

    def keep_probabilities(self, sample: float) -> npt.NDArray[np.float64]:
        """The probability with which each occurrence of a word is kept, shape (words,): frequent ones are thinned out.

        As in the authors' program: with z the share of the word in the text, (sqrt(z / sample) + 1) sample / z, at most
        1. Mikolov et al. (2013), https://arxiv.org/abs/1310.4546, section 2.3, print another formula.

        Args:
            sample: words of a smaller share than about this are never left out; 0 keeps all.
        """
        if sample == 0:
            return np.ones(len(self))
        share = self.counts / self.known_words
        return np.minimum((np.sqrt(share / sample) + 1) * sample / share, 1.0)

    def extended(self, other: Vocabulary) -> Vocabulary:
        """The words of both, their counts added; the text's figures are the other's."""
        counts = dict(zip(self.words, self.counts.tolist(), strict=True))
        for word, count in zip(other.words, other.counts.tolist(), strict=True):
            counts[word] = counts.get(word, 0) + count
        words = sorted(counts, key=lambda word: (-counts[word], word.encode()))
        totals = np.array([counts[word] for word in words], dtype=np.int64)
        return Vocabulary(tuple(words), totals, other.text_words, other.sentences, other.forgotten)


def open_text(files: Sequence[Path], *, is_tokens: bool = False) -> Text:
    """Plain text files for the native core; see ``throughtime.data.Corpus``.

    Raises:
        DataError: where a file can't be opened.
    """
    try:
        return Text([str(file) for file in files], is_tokens)
    except RuntimeError as error:
        raise DataError(str(error)) from error


def count_vocabulary(
    files: Sequence[Path], *, is_tokens: bool = False, min_count: int = 5, size: int | None = None, threads: int = 1
) -> Vocabulary:
    """Count the words of a text.

    Args:
        files: plain UTF-8 text, read in pieces, so that its size doesn't matter.
        is_tokens: whether control characters separate words and sentences; see ``throughtime.data.Corpus``.
        min_count: rarer words are left out.
        size: how many words to keep at most, the most frequent ones.
        threads: that read side by side.

    Raises:
        DataError: where a file can't be read or is not UTF-8, or fewer than two words are left.
    """
    text = open_text(files, is_tokens=is_tokens)
    found, counts, text_words, sentences, forgotten = _count(text, False, min_count, threads)
    words = tuple(_decoded(word, files) for word in found[:size])
    if len(words) < 2:
        what = "has no words" if text_words == 0 else f"has {len(words)} different words that occur {min_count} times"
        advice = "" if text_words == 0 else ", and two are needed; give more text or a lower `min_count`"
        raise data_error(", ".join(map(str, files)), what + advice)
    return Vocabulary(words, np.array(counts[:size], dtype=np.int64), text_words, sentences, forgotten)


def find_phrases(
    files: Sequence[Path], *, is_tokens: bool = False, min_count: int = 5, threshold: float = 10.0, threads: int = 1
) -> list[bytes]:
    """Pairs of neighbours that occur together more often than their counts let expect.

    The score of a pair is (count(a b) - min_count) / (count(a) count(b)) times the number of words of the text:
    Mikolov et al. (2013), https://arxiv.org/abs/1310.4546, equation 6.

    Args:
        files: as of ``count_vocabulary``.
        is_tokens: as of ``count_vocabulary``.
        min_count: rarer words and pairs are left out, and the score's discount.
        threshold: the score above which a pair is a phrase.
        threads: that read side by side.

    Returns:
        The pairs as UTF-8, U+001F between the words.
    """
    text = open_text(files, is_tokens=is_tokens)
    found, counts, text_words, _, _ = _count(text, True, min_count, threads)
    by_word = dict(zip(found, counts, strict=True))
    phrases: list[bytes] = []
    for pair, count in by_word.items():
        first, separator, second = pair.partition(b"\x1f")
        if not separator or first not in by_word or second not in by_word:
            continue
        score = (count - min_count) / (by_word[first] * by_word[second]) * text_words
        if score > threshold:
            phrases.append(pair)
    return phrases


def join_phrases(files: Sequence[Path], phrases: list[bytes], output: Path, *, is_tokens: bool = False) -> int:
    """Write the text with each phrase as one word, its parts joined by an underscore.

    Returns:
        How many times a pair was joined.

    Raises:
        DataError: where a file can't be read or written.
    """
    try:
        return join_pairs(open_text(files, is_tokens=is_tokens), phrases, "_", str(output))
    except RuntimeError as error:
        raise DataError(str(error)) from error


def _count(text: Text, pairs: bool, least: int, threads: int) -> tuple[list[bytes], list[int], int, int, int]:
    try:
        return count_words(text, pairs, least, MOST_DIFFERENT_WORDS, threads)
    except RuntimeError as error:
        raise DataError(str(error)) from error


def _decoded(word: bytes, files: Sequence[Path]) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        for path in files:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if word in line and not _is_utf8(line):
                        message = f"not utf-8 text ({word[:40]!r}); name its encoding, as in `encoding` latin-1"
                        raise data_error(path, message, line=number) from error
        raise DataError(f"the text holds {word[:40]!r}, which is not utf-8") from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
