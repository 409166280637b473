"""Translation: from a sentence to a sentence, many to many; and a sentence to itself, the recurrent autoencoder.

An encoder reads the source token by token. Its final state starts a decoder, a language model of the target that feeds
each output back as its next input. With attention the decoder also looks at all of the encoder's outputs at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from throughtime.data import (
    Ids,
    PairBatches,
    ParallelText,
    SentenceTokenizer,
    Splits,
    find_parallel,
    find_sentences,
    load_splits,
    save_splits,
    split_parallel,
)
from throughtime.errors import ArgumentError, DataError, counted
from throughtime.models import EncoderDecoder
from throughtime.tasks.network_training import CellName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.reading import translation_readings
from throughtime.tasks.sentence_tokenizers import TokenKind, learn_tokenizers, open_tokenizers, save_tokenizers
from throughtime.tasks.sequence_search import teacher_forced_loss, write_greedily
from throughtime.tasks.settings import Positive, Probability
from throughtime.tasks.translation_scores import score_translations
from throughtime.training import (
    Checkpoints,
    ModelFolder,
    Position,
    TranslationObjective,
    Validation,
)

TASK = "translation"
WATCHED_PAIRS = 16
EVALUATION_BATCH = 64
FEWEST_PAIRS = 4


class Settings(TrainingSettings):
    """Settings of a translator. What is None is chosen from the data."""

    source: str | None = None
    """The source's language, as in the ends of the files' names; or its column, by name or by number from 1."""
    target: str | None = None
    """The target's language or column."""
    autoencode: bool = False
    """Whether the network learns to reproduce sentences, one a line of plain text, from its state alone."""
    encoding: str | None = None
    """The files' encoding; UTF-8, or else recognised and told, by default."""
    validation_pairs: Positive = 1000
    """Pairs kept for validation where no validation file is given, a tenth at most; and decoded at each validation."""

    tokens: TokenKind = "bpe"
    """What a token is: a byte-pair encoding's piece, a word, a character, or a byte."""
    source_tokens: TokenKind | None = None
    """What a token of the source is, where it differs."""
    target_tokens: TokenKind | None = None
    """What a token of the target is, where it differs."""
    lower: bool = False
    """Whether all is brought to lower case."""
    split_punctuation: bool = True
    """Whether punctuation marks are words of their own (word)."""
    joint: bool | None = None
    """Whether both languages have one vocabulary and one embedding; as a byte-pair encoding does by default."""
    vocabulary_size: Positive | None = None
    """How many tokens to know at most in each vocabulary."""
    min_count: Positive = 1
    """How often a character or word must occur to be in the vocabulary."""
    max_length: Positive = 100
    """Pairs with a sentence of more tokens are left out of the training."""
    max_ratio: Annotated[float, Field(gt=1)] = 9.0
    """Pairs of which one sentence has more than so many times the other's tokens, and ten, are left out."""

    cell: CellName = "lstm"
    embedding_size: Positive = 256
    """Features of a token's vector; 128 in an autoencoder by default."""
    hidden_size: Positive = 512
    """Units of each recurrent layer of the decoder, and of both directions of the encoder together."""
    encoder_hidden_size: Positive | None = None
    """Units of each direction of the encoder, where they are to be others."""
    num_layers: Positive = 1
    """Recurrent layers of the encoder, and of the decoder."""
    bidirectional: bool = True
    """Whether the encoder reads from both ends."""
    attention: Literal["general", "additive", "dot", "none"] | None = None
    """How the decoder looks at the source; general, or none in an autoencoder, by default."""
    attention_order: Literal["after", "before"] = "after"
    """Whether attention comes after the decoder's step (Luong et al. 2015) or before it (Bahdanau et al. 2015)."""
    input_feeding: bool = False
    """Whether what attention gave is part of the next step's input, which makes training slower (after)."""
    tied: bool = True
    """Whether the output layer shares the target embedding's weights."""
    dropout: Probability = 0.4
    """Probability of dropping a unit after the embeddings, between the layers and before the output; an autoencoder
    drops none by default."""

    label_smoothing: Probability = 0.1
    """Share of the target's probability that is spread over the vocabulary; 0 in an autoencoder by default."""
    scheduled_sampling: Probability = 0.0
    """How often, in the end, the decoder's inputs are its own outputs in training; 0 is teacher forcing."""
    scheduled_sampling_after: Annotated[float, Field(ge=1)] = 1000.0
    """Updates over which that share rises."""
    average: Positive = 3
    """How many of the best validations' weights are averaged in the end, if that is better; 1 leaves it out."""
    select_by: Literal["bleu", "chrf", "loss"] = "bleu"
    """What decides on the weights that are kept and when to stop; BLEU and chrF are of what is written freely."""
    batch_tokens: Positive = 2000
    """Tokens of a batch's targets, of each process."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    warmup: Annotated[int, Field(ge=0)] = 100

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.autoencode and self.attention not in {None, "none"}:
            raise ArgumentError(
                f"`autoencode` goes through the state alone; leave out `attention`, got {self.attention!r}"
            )
        if self.autoencode and (self.source or self.target):
            raise ArgumentError("`autoencode` learns from plain sentences; leave out `source` and `target`")
        if self.joint and self.kinds[0] != self.kinds[1]:
            raise ArgumentError(f"`joint` needs one kind of token on both sides, got {' and '.join(self.kinds)}")
        if self.input_feeding and (self.chosen_attention is None or self.attention_order == "before"):
            raise ArgumentError("`input_feeding` needs attention, and its `attention_order` 'after'")
        return self

    @property
    def kinds(self) -> tuple[TokenKind, TokenKind]:
        """What a token of the source is, and of the target."""
        return self.source_tokens or self.tokens, self.target_tokens or self.tokens

    @property
    def is_joint(self) -> bool:
        """Whether there is one vocabulary."""
        return self.autoencode or (self.kinds == ("bpe", "bpe") if self.joint is None else self.joint)

    @property
    def chosen_attention(self) -> str | None:
        """The kind of attention, if there is any."""
        if self.attention is None:
            return None if self.autoencode else "general"
        return None if self.attention == "none" else self.attention

    @property
    def network_name(self) -> str:
        """Cell, size and attention, for people to read."""
        attention = "without attention"
        if self.chosen_attention:
            feeding = " and input feeding" if self.input_feeding else ""
            before = " before the step" if self.attention_order == "before" else ""
            attention = f"with {self.chosen_attention} attention{before}{feeding}"
        return f"{self.cell.upper()} {self.num_layers} x {self.hidden_size} {attention}"


@dataclass(frozen=True)
class TranslationData:
    """A set of translations, and what it means in numbers.

    Attributes:
        splits: its parts.
        source: the source's vocabulary.
        target: the target's vocabulary; the same where it is joint.
        settings: what is left out of the training.
    """

    splits: Splits[ParallelText]
    source: SentenceTokenizer
    target: SentenceTokenizer
    settings: Settings

    @cached_property
    def train(self) -> tuple[list[Ids], list[Ids], int]:
        """The training pairs' sources and targets, shape (length,) each, and how many were left out."""
        sources = self.source.encode_all(self.splits.train.sources)
        targets = self.target.encode_all(self.splits.train.targets)
        kept = [fits(len(one), len(other), self.settings) for one, other in zip(sources, targets, strict=True)]
        rows = np.flatnonzero(kept).tolist()
        return [sources[row] for row in rows], [targets[row] for row in rows], len(kept) - len(rows)

    @cached_property
    def valid(self) -> tuple[list[Ids], list[Ids]]:
        """The sources and targets that validation reads."""
        few = self.splits.valid.examples[: self.settings.validation_pairs]
        return self.source.encode_all(pair.source for pair in few), self.target.encode_all(pair.target for pair in few)


def fits(source: int, target: int, settings: Settings) -> bool:
    """Whether sentences of so many tokens are learned from."""
    shorter, longer = sorted((source, target))
    return shorter > 0 and longer <= settings.max_length and longer <= max(10, settings.max_ratio * shorter)


def load_data(sources: Sequence[ParallelText | Path | str], settings: Settings, run: Run) -> None:
    """Read the pairs, tell what was understood, and learn the vocabularies from the training part.

    Args:
        sources: files, folders, or ``ParallelText``.
        settings: which languages, and what a token is.
        run: its folder gets the vocabularies and tokens/, its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("reading the sentences", 0.0)
    if settings.autoencode:
        parts = find_sentences(sources, encoding=settings.encoding)
    else:
        parts = find_parallel(sources, source=settings.source, target=settings.target, encoding=settings.encoding)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_parallel(parts, settings.validation_pairs, seed=settings.seed)
    if len(splits.train) < FEWEST_PAIRS:
        raise DataError(
            f"{splits.train.name}: has {counted(len(splits.train), 'pair')}, at least {FEWEST_PAIRS} are needed"
        )
    run.display.update("learning the vocabulary", 0.0)
    source, target = learn_tokenizers(
        splits.train.sources,
        splits.train.targets,
        settings.kinds,
        joint=settings.is_joint,
        lower=settings.lower,
        vocabulary_size=settings.vocabulary_size,
        min_count=settings.min_count,
        split_punctuation=settings.split_punctuation,
    )
    save_tokenizers(run.folder, source, target)
    save_splits(splits, run.folder.tokens)
    _describe(open_data(run.folder, settings), run)


def _describe(data: TranslationData, run: Run) -> None:
    sources, targets, dropped = data.train
    for name, part in data.splits.parts().items():
        run.display.line(f"{name}: {counted(len(part), 'pair')}  ({part.name})")
    if not sources:
        limit = f"`max_length` {data.settings.max_length} and `max_ratio` {data.settings.max_ratio:g}"
        raise DataError(f"{data.splits.train.name}: no pair is within {limit}; give larger limits")
    if dropped:
        run.display.line(f"{dropped:,} training pairs left out: too long, or one side too long for the other")
    middles = [int(np.median([len(tokens) for tokens in side])) for side in (sources, targets)]
    kinds = " and ".join(dict.fromkeys(data.settings.kinds))
    sizes = (
        [data.source.vocabulary_size]
        if data.settings.is_joint
        else [data.source.vocabulary_size, data.target.vocabulary_size]
    )
    run.display.line(
        f"{kinds} tokens, {middles[0]} to {middles[1]} in the median pair; vocabulary of "
        f"{' and '.join(f'{size:,}' for size in sizes)}{' for both' if data.settings.is_joint else ''}"
    )
    first = data.splits.train.examples[0]
    shown = first.source if data.settings.autoencode else f"{first.source} -> {first.target}"
    run.display.line(f"first pair: {shown[:150]}{'...' if len(shown) > 150 else ''}")


def open_data(folder: ModelFolder, settings: Settings) -> TranslationData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, ParallelText.load)
    return TranslationData(splits, *open_tokenizers(folder, joint=settings.is_joint, lower=settings.lower), settings)


def build_model(settings: Settings, source_size: int, target_size: int) -> EncoderDecoder:
    """Make the network, with fresh weights."""
    return EncoderDecoder(
        source_size,
        target_size,
        cell=settings.cell,
        embedding_size=settings.embedding_size,
        hidden_size=settings.hidden_size,
        encoder_hidden_size=settings.encoder_hidden_size,
        num_layers=settings.num_layers,
        bidirectional=settings.bidirectional,
        attention=settings.chosen_attention,
        attention_order=settings.attention_order,
        input_feeding=settings.input_feeding,
        dropout=settings.dropout,
        tied=settings.tied,
        shared=settings.is_joint,
    )


def batches_of(data: TranslationData, settings: Settings, run: Run) -> PairBatches:
    """The training pairs in the batches of this process."""
    sources, targets, _ = data.train
    return PairBatches(
        sources,
        targets,
        end=data.target.end,
        batch_tokens=settings.batch_tokens,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )


def fit(network: EncoderDecoder, data: TranslationData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, or the mean of several where that is better.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    objective = TranslationObjective(
        network,
        label_smoothing=settings.label_smoothing,
        own_share=settings.scheduled_sampling,
        own_after=settings.scheduled_sampling_after,
    )
    checkpoints = Checkpoints(run.folder.path / "checkpoints", settings.average)
    judge = partial(validate, network, data, settings, run)

    def validate_and_keep() -> Validation:
        found = judge()
        if settings.average > 1 and run.processes.is_main:
            checkpoints.keep(network, int(objective.updates), found.score if found.score is not None else -found.loss)
        return found

    position = train_network(
        network,
        objective,
        batches_of(data, settings, run),
        validate_and_keep,
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        readings=lambda: translation_readings(network, data.valid[0][:WATCHED_PAIRS], data.valid[1][:WATCHED_PAIRS]),
    )
    if run.processes.is_main and position.stopped != "interrupted":
        _average(network, checkpoints, judge, position, run)
    return position


def _average(
    network: EncoderDecoder, checkpoints: Checkpoints, judge: Callable[[], Validation], position: Position, run: Run
) -> None:
    """Keep the mean of the best validations' weights, if it is better than the best of them."""
    count = checkpoints.average(network, until=position.step)
    if count < 2:
        return
    network.eval()
    found = judge()
    score = found.score if found.score is not None else -found.loss
    is_better = score > position.best_score
    shown = ", ".join(f"{name} {value:.2f}" for name, value in found.figures.items())
    kept = "kept" if is_better else "not kept, the best of them is better"
    run.display.line(f"mean of the weights of {count} validations: {shown}; {kept}")
    if is_better:
        run.folder.save_weights(network)
    checkpoints.remove()


@torch.inference_mode()
def validate(network: EncoderDecoder, data: TranslationData, settings: Settings, run: Run) -> Validation:
    """Judge the network on the validation pairs: its loss on their tokens, and what it writes freely.

    The scores are of greedy search, with nothing of the references given away: a network that knows the true
    beginning of each sentence (teacher forcing) seems far better than it is.
    """
    sources, targets = data.valid
    loss = teacher_forced_loss(network, sources, targets, precision=settings.precision)
    found = write_greedily(network, sources, unknown=data.target.unknown_id)
    hypotheses = [data.target.decode(one.tokens) for one in found]
    references = data.splits.valid.targets[: len(sources)]
    scores = score_translations(hypotheses, references, lower=settings.lower)
    figures = {"bleu": run.processes.first(scores.bleu), "chrf": run.processes.first(scores.chrf)}
    return Validation(run.processes.first(loss), figures, figures.get(settings.select_by))
