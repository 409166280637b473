"""Text classification: from a text to a label, many to one.

Tokens become vectors, a convolution slides over them, recurrent layers read them in both directions, what they say is
pooled to one vector for the text, and a fully connected layer scores the classes. Every stage can be left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from throughtime.data import (
    Columns,
    Ids,
    LabelledText,
    Splits,
    Tokenizer,
    find_labelled,
    load_splits,
    normalised,
    save_splits,
    split_labelled,
    train_tokenizer,
)
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentTextClassifier
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import ClassifierSettings, check_examples, scores_of
from throughtime.tasks.network_training import Run
from throughtime.tasks.settings import Positive, Probability
from throughtime.training import ModelFolder

TASK = "text_classification"
MOST_WORDS = 30_000


class Settings(ClassifierSettings):
    """Settings of a text classifier. What is None is chosen from the data."""

    text_column: str | None = None
    """The column of the text, by its name or by its number from 1 (CSV, TSV, JSONL); recognised by default."""

    tokens: Literal["word", "char", "byte", "bpe"] = "word"
    """What a token is: a word, a character, a byte, or a byte-pair encoding's piece."""
    lower: bool = True
    """Whether all is brought to lower case."""
    split_punctuation: bool = True
    """Whether punctuation marks are words of their own (word)."""
    vocabulary_size: Positive | None = None
    """How many tokens to know at most (char, word, bpe); 30,000 words by default."""
    min_count: Positive = 1
    """How often a character or word must occur to be in the vocabulary."""
    max_length: Annotated[int, Field(ge=2)] = 400
    """Tokens of a text that are read; of a longer one its beginning and its end, half and half."""

    embedding: Literal["learned", "one-hot"] = "learned"
    """What stands for a token: a learned vector, or a one-hot one (for small vocabularies, such as characters)."""
    embedding_size: Positive | None = None
    """Features of a token's vector; 128, or those of the word vectors that are given."""
    vectors: str | None = None
    """Word vectors to start from: a file of any format, or a model folder (word)."""
    fixed_vectors: bool = False
    """Whether the vectors that are given stay as they are."""
    own_vectors: bool | None = None
    """Whether word2vec learns the vectors to start from, on the training texts (word); by default where these have
    100,000 words or more."""
    embedding_dropout: Probability = 0.3
    """Probability of dropping a token's whole vector, anew for each batch."""

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if (self.vectors is not None or self.own_vectors) and (self.tokens != "word" or self.embedding != "learned"):
            raise ArgumentError("word vectors need `tokens` 'word' and an `embedding` that is 'learned'")
        if self.vectors is not None and self.own_vectors:
            raise ArgumentError("give one of `vectors` and `own_vectors`")
        if self.fixed_vectors and self.vectors is None and not self.own_vectors:
            raise ArgumentError("`fixed_vectors` needs `vectors` or `own_vectors`")
        if self.text_column is not None and self.text_column == self.label_column:
            raise ArgumentError(f"`text_column` and `label_column` are both {self.text_column!r}; give two columns")
        if self.embedding == "one-hot" and self.embedding_dropout and "embedding_dropout" in self.model_fields_set:
            raise ArgumentError("`embedding_dropout` needs an `embedding` that is 'learned'")
        return self

    @property
    def columns(self) -> Columns:
        """Where a row has its text and its label."""
        return Columns(self.text_column, self.label_column, self.label_separator)


@dataclass(frozen=True)
class ClassifiedText:
    """A labelled data set, and what it means in numbers.

    Attributes:
        splits: its parts.
        tokenizer: learned from the training part.
        targets: its classes.
        settings: what a token is, and how many are read.
    """

    splits: Splits[LabelledText]
    tokenizer: Tokenizer
    targets: ClassTargets
    settings: Settings

    @cached_property
    def train(self) -> list[Ids]:
        """The training texts' tokens."""
        return encode(self.splits.train.texts, self.tokenizer, self.settings)

    @cached_property
    def valid(self) -> list[Ids]:
        """The validation texts' tokens."""
        return encode(self.splits.valid.texts, self.tokenizer, self.settings)


def load_data(sources: Sequence[LabelledText | Path | str], settings: Settings, run: Run) -> None:
    """Read labelled texts, tell what was understood, and learn the vocabulary from the training part.

    Args:
        sources: files, folders, or ``LabelledText``.
        settings: where a row has its text and its label, and what a token is.
        run: its folder gets tokenizer.json and tokens/, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("reading the texts", 0.0)
    parts = find_labelled(sources, columns=settings.columns, encoding=settings.encoding)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    prepare(split_labelled(parts, settings.validation_fraction, seed=settings.seed), settings, run)


def prepare(splits: Splits[LabelledText], settings: Settings, run: Run) -> None:
    """Learn the vocabulary, and write the data into the model folder.

    Raises:
        DataError: where there is nothing to learn from the data.
    """
    check_examples(splits, settings)
    tokenizer = train_tokenizer(
        settings.tokens,
        (normalised(text, lower=settings.lower) + " " for text in splits.train.texts),
        vocabulary_size=settings.vocabulary_size or (MOST_WORDS if settings.tokens == "word" else None),
        min_count=settings.min_count,
        split_punctuation=settings.split_punctuation,
    )
    tokenizer.save(run.folder.tokenizer_file)
    save_splits(splits, run.folder.tokens)
    _describe(splits, tokenizer, settings, run)


def _describe(splits: Splits[LabelledText], tokenizer: Tokenizer, settings: Settings, run: Run) -> None:
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    lengths = [len(tokens) for tokens in encode(splits.train.texts, tokenizer, settings, whole=True)]
    middle, most, longest = np.quantile(lengths, [0.5, 0.95, 1]).astype(int).tolist()
    run.display.line(
        f"length in {settings.tokens}s: half of the texts up to {middle:,}, 95 % up to {most:,}, "
        f"the longest {longest:,}; vocabulary of {tokenizer.vocabulary_size:,}"
    )
    first = splits.train.examples[0]
    text = normalised(first.text, lower=settings.lower)
    run.display.line(f"first example: {', '.join(first.labels)} | {text[:80]}{'...' if len(text) > 80 else ''}")


def open_data(folder: ModelFolder, settings: Settings) -> ClassifiedText:
    """Open the data that ``prepare`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, LabelledText.load)
    targets = ClassTargets.of(splits.train, (), multi_label=settings.multi_label)
    return ClassifiedText(splits, Tokenizer.load(folder.tokenizer_file), targets, settings)


def encode(texts: Sequence[str], tokenizer: Tokenizer, settings: Settings, *, whole: bool = False) -> list[Ids]:
    """The tokens of texts, shape (length,) each, int64; of long texts beginning and end, unless all is asked for."""
    sequences = [tokenizer.encode(normalised(text, lower=settings.lower)) for text in texts]
    if whole:
        return sequences
    half = settings.max_length // 2
    return [
        tokens if len(tokens) <= settings.max_length else np.concatenate([tokens[:half], tokens[-half:]])
        for tokens in sequences
    ]


def build_model(settings: Settings, vocabulary_size: int, num_classes: int) -> RecurrentTextClassifier:
    """Make the network, with fresh weights, from settings that are complete."""
    network = RecurrentTextClassifier(
        vocabulary_size,
        num_classes,
        embedding=settings.embedding,
        embedding_size=settings.embedding_size or 0,
        embedding_dropout=settings.embedding_dropout if settings.embedding == "learned" else 0.0,
        **settings.stages,
    )
    for weight in network.embedding.parameters():
        weight.requires_grad_(not settings.fixed_vectors)
    return network


def predict(
    network: RecurrentTextClassifier,
    texts: Sequence[str],
    tokenizer: Tokenizer,
    targets: ClassTargets,
    settings: Settings,
) -> Tensor:
    """Probabilities of the classes, shape (texts, classes)."""
    device = next(network.parameters()).device
    sequences = encode(texts, tokenizer, settings)
    return targets.probabilities(scores_of(network, sequences, precision="32", device=device))
