"""Translation: from a sentence to a sentence, many to many; and a sentence to itself, the recurrent autoencoder.

An encoder reads the source token by token. Its final state starts a decoder, a language model of the target that feeds
each output back as its next input. With attention the decoder also looks at all of the encoder's outputs at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from throughtime.data import (
    Ids,
    PairBatches,
    ParallelSplits,
    ParallelText,
    SentenceTokenizer,
    Tokenizer,
    evaluation_batches,
    find_parallel,
    find_sentences,
    normalised,
    pad_sequences,
    split_parallel,
    train_tokenizer,
    with_ends,
)
from throughtime.decoding import Constraints, Hypothesis, Sampling, sample_sequences
from throughtime.errors import DataError
from throughtime.models import DecoderState, EncoderDecoder
from throughtime.sequence import SequenceBatch
from throughtime.tasks.network_training import Run, optimizers_of, train_network
from throughtime.tasks.translation_scores import score_translations
from throughtime.tasks.translation_settings import Settings
from throughtime.training import (
    Checkpoints,
    ModelFolder,
    Position,
    TranslationObjective,
    Validation,
    autocast,
    target_loss,
    valid_targets,
)

TASK = "translation"
EVALUATION_BATCH = 64
FEWEST_PAIRS = 4
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class TranslationData:
    """A set of translations, and what it means in numbers.

    Attributes:
        splits: its parts.
        source: the source's vocabulary.
        target: the target's vocabulary; the same where it is joint.
        settings: what is left out of the training.
    """

    splits: ParallelSplits
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
        few = self.splits.valid.pairs[: self.settings.validation_pairs]
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
        raise DataError(f"{splits.train.name}: has {len(splits.train)} pairs, at least {FEWEST_PAIRS} are needed")
    run.display.update("learning the vocabulary", 0.0)
    texts = (splits.train.sources, splits.train.targets)
    if settings.is_joint:
        text = texts[0] if settings.autoencode else [*texts[0], *texts[1]]
        _learn_vocabulary(text, settings.kinds[1], settings).save(run.folder.tokenizer_file)
    else:
        for text, kind, file in zip(texts, settings.kinds, _vocabulary_files(run.folder), strict=True):
            _learn_vocabulary(text, kind, settings).save(file)
    for name, part in splits.parts().items():
        part.save(run.folder.tokens / f"{name}.jsonl")
    _describe(open_data(run.folder, settings), run)


def _learn_vocabulary(sentences: Sequence[str], kind: str, settings: Settings) -> Tokenizer:
    return train_tokenizer(
        kind,
        (f" {normalised(sentence, lower=settings.lower)}\n" for sentence in sentences),
        vocabulary_size=settings.vocabulary_size,
        min_count=settings.min_count,
        split_punctuation=settings.split_punctuation,
    )


def _vocabulary_files(folder: ModelFolder) -> tuple[Path, Path]:
    return folder.path / "source_tokenizer.json", folder.path / "target_tokenizer.json"


def _describe(data: TranslationData, run: Run) -> None:
    sources, targets, dropped = data.train
    for name, part in data.splits.parts().items():
        run.display.line(f"{name}: {len(part):,} pairs  ({part.name})")
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
    first = data.splits.train.pairs[0]
    shown = first.source if data.settings.autoencode else f"{first.source} -> {first.target}"
    run.display.line(f"first pair: {shown[:150]}{'...' if len(shown) > 150 else ''}")


def open_tokenizers(folder: ModelFolder, settings: Settings) -> tuple[SentenceTokenizer, SentenceTokenizer]:
    """The source's and the target's vocabulary.

    Raises:
        ModelFolderError: where one is missing or damaged.
    """
    if settings.is_joint:
        both = SentenceTokenizer(Tokenizer.load(folder.tokenizer_file), lower=settings.lower)
        return both, both
    source, target = (Tokenizer.load(file) for file in _vocabulary_files(folder))
    return SentenceTokenizer(source, lower=settings.lower), SentenceTokenizer(target, lower=settings.lower)


def save_tokenizers(folder: ModelFolder, source: SentenceTokenizer, target: SentenceTokenizer) -> None:
    """Write what ``open_tokenizers`` reads."""
    if source is target:
        source.tokenizer.save(folder.tokenizer_file)
        return
    for tokenizer, file in zip((source, target), _vocabulary_files(folder), strict=True):
        tokenizer.tokenizer.save(file)


def open_data(folder: ModelFolder, settings: Settings) -> TranslationData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    parts = {
        name: ParallelText.load(folder.tokens / f"{name}.jsonl", name)
        for name in PARTS
        if name != "test" or (folder.tokens / "test.jsonl").exists()
    }
    splits = ParallelSplits(parts["train"], parts["valid"], parts.get("test"))
    return TranslationData(splits, *open_tokenizers(folder, settings), settings)


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
    kept = "kept" if is_better else f"not kept, the best single ones have {position.best_score:.2f}"
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


@torch.inference_mode()
def teacher_forced_loss(
    network: EncoderDecoder, sources: Sequence[Ids], targets: Sequence[Ids], *, precision: str
) -> float:
    """Mean nats per token of the targets, their ends counted, each given all before it."""
    device = next(network.parameters()).device
    total, count = 0.0, 0
    for rows, tokens in evaluation_batches(sources, EVALUATION_BATCH):
        target = pad_sequences([with_ends(targets[row], network.end) for row in rows.tolist()])
        mask = valid_targets(target).to(device)
        values = target.values.to(device)
        with autocast(precision, device):
            decoded = network.decode(values[:-1], encode(network, tokens))
            scores = network.scores(decoded.readouts[mask])
        total += target_loss(scores, values[1:][mask], reduction="none").double().sum().item()
        count += int(mask.sum())
    return total / count


def encode(network: EncoderDecoder, tokens: SequenceBatch) -> DecoderState:
    """The decoder's state before its first step."""
    device = next(network.parameters()).device
    return network.encode(SequenceBatch(tokens.values.to(device), tokens.lengths))


def write_greedily(network: EncoderDecoder, sources: Sequence[Ids], *, unknown: int | None) -> list[Hypothesis]:
    """The likeliest token at each step, for each source."""
    found: dict[int, Hypothesis] = {}
    for rows, tokens in evaluation_batches(sources, EVALUATION_BATCH):
        limits = [longest_translation(len(sources[row])) for row in rows.tolist()]
        constraints = Constraints(network.end, max_length=limits, forbidden=() if unknown is None else (unknown,))
        written = sample_sequences(
            network.next_step, DecoderState.select, encode(network, tokens), Sampling(temperature=0), constraints,
            sources=len(rows),
        )  # fmt: skip
        found.update(zip(rows.tolist(), written, strict=True))
    return [found[row] for row in range(len(sources))]


def longest_translation(source_length: int) -> int:
    """Tokens that a translation may have at most, unless the user says otherwise: as no sane translation has."""
    return 2 * source_length + 20
