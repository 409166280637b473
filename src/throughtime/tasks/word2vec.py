"""word2vec: a vector for each word of a text, learned by telling words from the words around them.

Skip-gram lets each word of the context tell the word in the middle, CBOW their mean; what is told is one word among
words of noise (negative sampling) or a way down a binary tree (hierarchical softmax).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from throughtime.data import Corpus, CorpusSource, Words, open_corpus
from throughtime.errors import ArgumentError
from throughtime.files import append_line
from throughtime.tasks.settings import Duration, Positive, TaskSettings, parse_duration
from throughtime.training import Display, ModelFolder, Processes, duration, interrupts, save_tree
from throughtime.word2vec import (
    VECTORS_FILE,
    Report,
    Vocabulary,
    Word2VecTrainer,
    WordVectors,
    count_vocabulary,
    find_phrases,
    join_phrases,
)

TASK = "word2vec"
MARKS = ".,;:!?\"')\u2019\u201d"


class Settings(TaskSettings):
    """Settings of word2vec."""

    RESUMABLE: ClassVar[frozenset[str]] = frozenset({"epochs", "time_budget", "checkpoint_every", "threads"})

    architecture: Literal["skip-gram", "cbow"] = "skip-gram"
    """What tells the word in the middle: each word of the context, or their mean (cbow)."""
    objective: Literal["negative-sampling", "hierarchical-softmax"] = "negative-sampling"
    """What a word is told from: words of noise, or the branches of a Huffman tree."""
    size: Annotated[int, Field(ge=1, le=65536)] = 100
    """Features of a vector."""
    window: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Words of the context on either side at most."""
    dynamic_window: bool = True
    """Whether the reach is drawn from 1 to `window` at each word."""
    negatives: Annotated[int, Field(ge=1, le=1000)] = 5
    """Words of noise that each word is told from."""
    noise_exponent: float = 0.75
    """Exponent of the counts in the distribution of the noise."""
    subsample: Annotated[float, Field(ge=0)] = 1e-3
    """Share of the text from which on a word's occurrences are thinned out; 0 keeps all."""

    words: Words = "as-is"
    """What a word is: what stands between white space, the same in lower case, or runs of letters in lower case."""
    encoding: str = "utf-8"
    """The text files' encoding."""
    min_count: Positive = 5
    """How often a word must occur to get a vector."""
    vocabulary_size: Annotated[int, Field(ge=2)] | None = None
    """How many words get a vector at most, the most frequent ones."""
    phrases: Annotated[int, Field(ge=0, le=8)] = 0
    """Passes that join neighbours such as new york into one word; each may make a phrase longer."""
    phrase_threshold: float = 10.0
    """The score above which two neighbours are a phrase."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the text; 5 where no time budget is given."""
    time_budget: Duration | None = None
    """Time to train, such as 90s, 10m or 1h30m; the learning rate then follows the clock."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """At the beginning; 0.025 for skip-gram and 0.05 for cbow by default. Each of n processes takes n times of it."""
    min_learning_rate: Annotated[float, Field(ge=0)] = 1e-4
    """At the end."""
    deterministic: bool = False
    """Whether the same seed gives the same vectors bit for bit, on any number of cores; one core then trains alone."""
    threads: Positive | None = None
    """Threads that train side by side; as many as there are cores by default."""
    averagings: Positive = 32
    """How often in an epoch several processes take the mean of their matrices."""
    checkpoint_every: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two checkpoints."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of everything random."""

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.epochs is not None and self.time_budget is not None:
            raise ArgumentError("give one of `epochs` and `time_budget`")
        if self.learning_rate is not None and self.learning_rate < self.min_learning_rate:
            raise ArgumentError(f"`learning_rate` must be at least `min_learning_rate`, {self.min_learning_rate}")
        return self

    @property
    def starting_rate(self) -> float:
        """The learning rate at the beginning."""
        return self.learning_rate or {"skip-gram": 0.025, "cbow": 0.05}[self.architecture]

    @property
    def cores(self) -> int:
        """How many threads read and train."""
        return self.threads or os.cpu_count() or 1


@dataclass(frozen=True)
class TextData:
    """A text and the words in it that get a vector."""

    corpus: Corpus
    vocabulary: Vocabulary


def load_data(sources: Sequence[CorpusSource], settings: Settings, *, display: Display) -> TextData:
    """Count the words of the text, and join its phrases.

    Args:
        sources: files, folders, texts in memory, or one iterable of sentences, each a sequence of words.
        settings: what a word is, and which get a vector.
        display: shows what was found.

    Raises:
        DataError: where the text can't be read, is empty, or has too few words.
    """
    display.update("reading the text", 0.0)
    corpus = open_corpus(sources, encoding=settings.encoding, words=settings.words)
    for number in range(settings.phrases):
        display.update(f"finding phrases, pass {number + 1}", 0.0)
        corpus = _with_phrases(corpus, settings, number, display)
    display.update("counting words", 0.0)
    vocabulary = count_vocabulary(
        corpus.files,
        is_tokens=corpus.is_tokens,
        min_count=settings.min_count,
        size=settings.vocabulary_size,
        threads=settings.cores,
    )
    share = vocabulary.known_words / vocabulary.text_words
    display.line(
        f"{corpus.name}: {vocabulary.text_words:,} words, {vocabulary.sentences:,} sentences; "
        f"{len(vocabulary):,} different words get a vector, which are {share:.1%} of the text"
    )
    if vocabulary.forgotten:
        display.line("there were too many different words to count all: of the rarest, some occurrences were missed")
    if settings.words == "as-is" and _looks_raw(vocabulary):
        display.line("many words end in punctuation marks; --words letters takes runs of letters alone")
    return TextData(corpus, vocabulary)


def _with_phrases(corpus: Corpus, settings: Settings, number: int, display: Display) -> Corpus:
    phrases = find_phrases(
        corpus.files,
        is_tokens=corpus.is_tokens,
        min_count=settings.min_count,
        threshold=settings.phrase_threshold,
        threads=settings.cores,
    )
    path = corpus.temporary.file(f"phrases-{number}")
    joined = join_phrases(corpus.files, phrases, path, is_tokens=corpus.is_tokens)
    display.line(f"pass {number + 1} found {len(phrases):,} phrases and joined {joined:,} pairs of words")
    return replace(corpus, files=(path,))


def _looks_raw(vocabulary: Vocabulary) -> bool:
    marked = sum(word[-1] in MARKS and len(word) > 1 for word in vocabulary.words)
    return marked > len(vocabulary) / 10


def build_model(
    data: TextData, settings: Settings, processes: Processes, *, parent: WordVectors | None = None
) -> Word2VecTrainer:
    """Make the matrices of word2vec, with fresh vectors or those of a parent for the words that it knows."""
    trainer = Word2VecTrainer(
        data.vocabulary,
        data.corpus.files,
        is_tokens=data.corpus.is_tokens,
        architecture=settings.architecture,
        size=settings.size,
        window=settings.window,
        dynamic_window=settings.dynamic_window,
        negatives=settings.negatives if settings.objective == "negative-sampling" else 0,
        noise_exponent=settings.noise_exponent,
        sample=settings.subsample,
        # The mean of n models has moved as far as each of them, by a share 1 / n of the text (Goyal et al. 2017).
        learning_rate=settings.starting_rate * processes.count,
        min_learning_rate=settings.min_learning_rate,
        seed=settings.seed,
        threads=1 if settings.deterministic else settings.cores,
        shard=(processes.rank, processes.count),
    )
    if parent is not None:
        known = [(row, parent.index(word)) for row, word in enumerate(data.vocabulary.words) if word in parent]
        ours, theirs = (list(places) for places in zip(*known, strict=True)) if known else ([], [])
        trainer.vectors[ours] = torch.from_numpy(parent.vectors[theirs])
    return trainer


def fit(
    trainer: Word2VecTrainer,
    settings: Settings,
    folder: ModelFolder | None,
    *,
    processes: Processes,
    display: Display,
) -> bool:
    """Train; the folder keeps the log and, twice a minute or so, what a resumed run needs.

    Returns:
        Whether the run came to its end; else it was interrupted, and saved.

    Raises:
        DataError: where the text can't be read any more.
    """
    seconds = parse_duration(settings.time_budget) if settings.time_budget else None
    epochs = None if seconds else settings.epochs or 5.0
    at_most = math.ceil(trainer.pieces / settings.averagings) if processes.count > 1 else None
    saved_at = trainer.seconds
    if folder and processes.is_main:
        save_progress(trainer, folder)
    with interrupts() as interrupted:
        for report in trainer.rounds(epochs=epochs, seconds=seconds, at_most=at_most):
            if processes.count > 1:
                average(trainer, processes)
            _show(display, trainer, report, seconds)
            if folder and processes.is_main:
                _log(folder, trainer, report)
                if trainer.seconds - saved_at > settings.checkpoint_every:
                    save_progress(trainer, folder)
                    saved_at = trainer.seconds
            if interrupted.is_set():
                break
    if folder and processes.is_main:
        save_progress(trainer, folder)
    return not interrupted.is_set()


def average(trainer: Word2VecTrainer, processes: Processes) -> None:
    """Give all processes the mean of their matrices."""
    for matrix in (trainer.input, trainer.output):
        matrix.copy_(processes.gather(matrix).mean(dim=0))


def save_progress(trainer: Word2VecTrainer, folder: ModelFolder) -> None:
    """Write the vectors as they are, and what a resumed run needs."""
    predict(trainer).save(folder.path / VECTORS_FILE)
    save_tree(folder.state_file, trainer.state())


def _show(display: Display, trainer: Word2VecTrainer, report: Report, seconds: float | None) -> None:
    left = (seconds or trainer.seconds / max(report.fraction, 1e-9)) - trainer.seconds
    speed = trainer.words / max(trainer.seconds, 1e-9)
    loss = "" if math.isnan(report.loss) else f"loss {report.loss:.3f}  "
    figures = f"{loss}epoch {report.epoch}  {speed:,.0f} words/s  {duration(max(left, 0))} left"
    display.update("training", report.fraction, figures)


def _log(folder: ModelFolder, trainer: Word2VecTrainer, report: Report) -> None:
    record: dict[str, float] = {
        "step": trainer.done,
        "epoch": report.epoch,
        "words": trainer.words,
        "words_per_second": round(report.words / max(report.seconds, 1e-9)),
        "seconds": round(trainer.seconds, 2),
    }
    if not math.isnan(report.loss):
        record["loss"] = report.loss
    append_line(folder.metrics_file, json.dumps(record))


def predict(trainer: Word2VecTrainer) -> WordVectors:
    """The vectors as they are now."""
    vectors: Tensor = trainer.vectors.clone()
    return WordVectors(trainer.vocabulary.words, vectors.numpy(), trainer.vocabulary.counts)
