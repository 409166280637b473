"""The two vocabularies of a translator, or the one that both languages share: learned, saved and opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from throughtime.data import SentenceTokenizer, Tokenizer, normalised, train_tokenizer
from throughtime.training import ModelFolder

TokenKind = Literal["bpe", "word", "char", "byte"]


def learn_tokenizers(
    sources: Sequence[str],
    targets: Sequence[str],
    kinds: tuple[TokenKind, TokenKind],
    *,
    joint: bool,
    lower: bool,
    vocabulary_size: int | None,
    min_count: int,
    split_punctuation: bool,
) -> tuple[SentenceTokenizer, SentenceTokenizer]:
    """Learn the vocabularies of sentences and of their translations.

    Args:
        sources: the sentences.
        targets: their translations; the very sentences in an autoencoder.
        kinds: what a token of each side is.
        joint: whether both get one vocabulary.
        lower: whether all is brought to lower case.
        vocabulary_size: of each vocabulary at most.
        min_count: how often a character or word must occur.
        split_punctuation: whether punctuation marks are words of their own.

    Raises:
        ArgumentError: where there is nothing to learn, or a number can't be.
    """

    def learn(sentences: Sequence[str], kind: TokenKind) -> SentenceTokenizer:
        learned = train_tokenizer(
            kind,
            (f" {normalised(sentence, lower=lower)}\n" for sentence in sentences),
            vocabulary_size=vocabulary_size,
            min_count=min_count,
            split_punctuation=split_punctuation,
        )
        return SentenceTokenizer(learned, lower=lower)

    if joint:
        both = learn(sources if sources == targets else [*sources, *targets], kinds[1])
        return both, both
    return learn(sources, kinds[0]), learn(targets, kinds[1])


def save_tokenizers(folder: ModelFolder, source: SentenceTokenizer, target: SentenceTokenizer) -> None:
    """Write what ``open_tokenizers`` reads."""
    if source is target:
        source.tokenizer.save(folder.tokenizer_file)
        return
    for tokenizer, file in zip((source, target), _files(folder), strict=True):
        tokenizer.tokenizer.save(file)


def open_tokenizers(folder: ModelFolder, *, joint: bool, lower: bool) -> tuple[SentenceTokenizer, SentenceTokenizer]:
    """The source's and the target's vocabulary.

    Args:
        folder: of the model.
        joint: whether they are one.
        lower: whether sentences are brought to lower case.

    Raises:
        ModelFolderError: where one is missing or damaged.
    """
    if joint:
        both = SentenceTokenizer(Tokenizer.load(folder.tokenizer_file), lower=lower)
        return both, both
    source, target = (SentenceTokenizer(Tokenizer.load(file), lower=lower) for file in _files(folder))
    return source, target


def _files(folder: ModelFolder) -> tuple[Path, Path]:
    return folder.source_tokenizer_file, folder.target_tokenizer_file
