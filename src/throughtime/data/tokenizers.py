"""The vocabulary of a text, by characters, bytes, words or byte-pair encoding."""

from __future__ import annotations

from collections.abc import Iterable

from throughtime.data.byte_tokenizers import BPETokenizer, ByteTokenizer
from throughtime.data.character_tokenizer import CharTokenizer
from throughtime.data.tokenizer import Tokenizer
from throughtime.data.word_tokenizer import WordTokenizer
from throughtime.errors import ArgumentError, check_choice, check_positive_integer

KINDS = ("char", "byte", "word", "bpe")


def train_tokenizer(
    kind: str,
    blocks: Iterable[str],
    *,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    split_punctuation: bool = False,
) -> Tokenizer:
    """Learn a vocabulary from a text.

    Words of more than a thousand characters are unknown words, and where more than a million are different, those
    that stay rare are dropped on the way. Byte-pair encoding learns from the first 64 million characters.

    Args:
        kind: char, byte, word or bpe.
        blocks: the training text.
        vocabulary_size: at most so many tokens; all characters and words by default, and for byte-pair encoding
            a size that grows with the text, from 512 to 16,000. There are always 256 bytes.
        min_count: how often a character or word must occur.
        split_punctuation: whether punctuation marks are words of their own.

    Raises:
        ArgumentError: for an unknown kind, a number that cannot be, or a text of which there is nothing to learn:
            a single token.
    """
    check_choice("tokens", kind, KINDS)
    check_positive_integer("min_count", min_count)
    if vocabulary_size is not None:
        check_positive_integer("vocabulary_size", vocabulary_size)
    if kind == "byte":
        return ByteTokenizer.of()
    if kind == "bpe":
        if vocabulary_size is not None and vocabulary_size < 256:
            message = "`vocabulary_size` must be at least 256 for bpe, whose first tokens are the bytes"
            raise ArgumentError(f"{message}, got {vocabulary_size}")
        return BPETokenizer.learn(blocks, size=vocabulary_size)
    if kind == "char":
        learnt = CharTokenizer.learn(blocks, size=vocabulary_size, min_count=min_count)
    else:
        learnt = WordTokenizer.learn(
            blocks, size=vocabulary_size, min_count=min_count, split_punctuation=split_punctuation
        )
    specials, fewest = (1, 2) if kind == "char" else (2, 1)
    found = learnt.vocabulary_size - specials
    if found < fewest:
        remedy = "a smaller `min_count`" if vocabulary_size is None else "a larger `vocabulary_size`"
        raise ArgumentError(
            f"the vocabulary would be {found} {kind}(s), so there is nothing to predict; "
            f"give a text with more than one, or {remedy}"
        )
    return learnt
