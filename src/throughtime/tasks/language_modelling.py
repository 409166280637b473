"""Language modelling: learn a text, judge other text by it, and write on.

The network reads a text token by token and gives the probability of each next token; writing feeds each output
back as the next input. Training is truncated backpropagation through time over lanes of the text, whose state
is carried from window to window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from throughtime.bptt import clip_each_norm, clip_global_norm
from throughtime.cells import CELLS
from throughtime.data import (
    Lanes,
    TextSource,
    TokenFile,
    Tokenizer,
    Tokens,
    evaluation_windows,
    find_splits,
    train_tokenizer,
    write_tokens,
)
from throughtime.errors import ArgumentError, check_choice
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.settings import TaskSettings, parse_duration
from throughtime.training import (
    OPTIMIZERS,
    SCHEDULES,
    Display,
    Limits,
    ModelFolder,
    NextTokenObjective,
    Position,
    Processes,
    Recorder,
    Schedule,
    Trainer,
    autocast,
    build_optimizers,
    next_token_loss,
)

TASK = "language_modelling"
VALIDATION_LANES = 32

Probability = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


class Settings(TaskSettings):
    """Settings of a language model. What is None is chosen from the text's size and the time there is."""

    tokens: Literal["char", "byte", "word", "bpe"] = "char"
    """What a token is: a character, a byte, a word between white space, or a byte-pair encoding's piece."""
    vocabulary_size: Positive | None = None
    """How many tokens to know at most (char, word, bpe)."""
    min_count: Positive = 1
    """How often a character or word must occur to be in the vocabulary."""
    split_punctuation: bool = False
    """Whether punctuation marks are words of their own (word)."""
    encoding: str = "utf-8"
    """The text files' encoding."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Part of the text, at its end, that is kept for validation where no validation file is given."""

    cell: Annotated[str, Field(description=f"The recurrent cell: {', '.join(CELLS)}.")] = "lstm"
    hidden_size: Positive | None = None
    """Units of each recurrent layer."""
    num_layers: Positive | None = None
    """Recurrent layers, one above the other."""
    embedding_size: Positive | None = None
    """Features of a token's vector."""
    tied: bool = False
    """Whether the output layer shares the embedding's weights."""
    vectors: str | None = None
    """Word vectors to start the embedding from: a file of any format, or a model folder (word)."""
    fixed_vectors: bool = False
    """Whether those vectors stay as they are."""
    dropout: Probability | None = None
    """Probability of dropping a unit between the layers."""
    locked_dropout: bool = True
    """Whether a dropout mask stays the same through time (variational dropout)."""
    embedding_dropout: Probability = 0.0
    """Probability of dropping a token's whole vector."""
    weight_range: Annotated[float, Field(gt=0)] | None = None
    """Draw every weight uniformly from +- this at the start, in place of each layer's own way."""

    optimizer: str = "muon"
    """The optimiser: adamw, sgd, or muon for the recurrent matrices and AdamW for the rest."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate of AdamW or SGD."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.05
    """Learning rate of Muon."""
    momentum: Probability = 0.0
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Weight decay of the matrices."""
    schedule: str = "cosine"
    """How the learning rate moves: constant, cosine, linear, trapezoid, exponential, plateau."""
    warmup: Annotated[int, Field(ge=0)] = 30
    """Steps over which the learning rate rises from zero."""
    decay_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The factor of the exponential and plateau schedules."""
    decay_after: Annotated[int, Field(ge=0)] = 4
    """Epochs before the exponential schedule begins to fall."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Clip the norm of the gradient to this."""
    clip_by: Literal["global", "each"] = "global"
    """Whether the norm is that of all gradients together or of each matrix's."""

    batch_size: Positive | None = None
    """Lanes that the text is read in, side by side; of each process."""
    bptt: Positive = 128
    """Steps from one update to the next (k1)."""
    bptt_back: Positive | None = None
    """Steps that the gradient flows back (k2); as many as `bptt` by default."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the text."""
    steps: Positive | None = None
    """Updates in all."""
    time_budget: str | None = None
    """Time to train, such as 90s, 10m or 1h30m; 10m where neither epochs nor steps are given."""
    validations: Positive = 12
    """Validations along the run."""
    validation_tokens: Positive = 1_000_000
    """How much of the validation text is read at each validation at most."""
    patience: Positive | None = 5
    """Validations in a row without improvement before stopping early."""
    checkpoint_every: Annotated[float, Field(gt=0)] = 30.0
    """Seconds between two checkpoints; there is one at each validation too."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """Arithmetic: bf16 multiplies in bfloat16 with float32 weights; auto takes it where the hardware has it."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""
    threads: Positive | None = None
    """Processor threads."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of everything random."""

    @field_validator("cell")
    @classmethod
    def _known_cell(cls, value: str) -> str:
        check_choice("cell", value, CELLS)
        return value

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        check_choice("optimizer", value, OPTIMIZERS)
        return value

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, value: str) -> str:
        check_choice("schedule", value, SCHEDULES)
        return value

    @field_validator("time_budget")
    @classmethod
    def _readable_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.bptt_back is not None and self.bptt_back < self.bptt:
            raise ArgumentError(f"`bptt_back` must be at least `bptt` ({self.bptt}), got {self.bptt_back}")
        if self.vectors is not None and self.tokens != "word":
            raise ArgumentError(f"`vectors` are those of words; give `tokens` 'word', got {self.tokens!r}")
        if self.fixed_vectors and (self.vectors is None or self.tied):
            raise ArgumentError("`fixed_vectors` needs `vectors`, and an embedding that is not `tied` to the output")
        if sum(limit is not None for limit in (self.epochs, self.steps, self.time_budget)) > 1:
            raise ArgumentError("give one of `epochs`, `steps` and `time_budget`")
        return self


RESUMABLE = frozenset({"epochs", "steps", "time_budget", "patience", "checkpoint_every", "device", "threads"})
"""The settings that may change when a run is resumed."""


@dataclass(frozen=True)
class TextData:
    """A text as token ids, on disk and mapped into memory.

    Attributes:
        train: what is learned from.
        valid: what decides which weights are kept.
        test: what is only ever evaluated, where the data has such a part.
    """

    tokenizer: Tokenizer
    train: TokenFile
    valid: TokenFile
    test: TokenFile | None


def load_data(
    sources: Sequence[TextSource | Path | str],
    settings: Settings,
    folder: ModelFolder,
    *,
    display: Display,
    tokenizer: Tokenizer | None = None,
) -> TextData:
    """Learn the vocabulary from the training part and write all parts' token ids into the model folder.

    Args:
        sources: files, folders, or texts in memory; where they are named train, valid and test, they are those.
        settings: what a token is.
        folder: gets tokenizer.json and tokens/.
        display: shows how far the preparation is.
        tokenizer: of a model that is trained further; it is extended by what is new in the text.

    Raises:
        DataError: where the text can't be read, is empty, or is too short.
    """
    splits = find_splits(sources, encoding=settings.encoding, validation_fraction=settings.validation_fraction)
    display.update("reading the text", 0.0)
    if tokenizer is None:
        tokenizer = train_tokenizer(
            settings.tokens,
            splits.train.blocks(),
            vocabulary_size=settings.vocabulary_size,
            min_count=settings.min_count,
            split_punctuation=settings.split_punctuation,
        )
    else:
        tokenizer = tokenizer.extended(splits.train.blocks())
    for name, part in splits.parts().items():
        show = partial(_show_preparation, display, name)
        counts = write_tokens(folder.tokens / f"{name}.npy", tokenizer, part, progress=show)
        unknown = f", {counts.unknown:,} unknown" if counts.unknown else ""
        display.line(f"{name}: {counts.tokens:,} tokens, {counts.characters:,} characters{unknown}  ({part.name})")
    tokenizer.save(folder.tokenizer_file)
    return open_data(folder)


def _show_preparation(display: Display, name: str, characters: int) -> None:
    display.update(f"preparing the {name} text", 0.0, f"{characters:,} characters")


def open_data(folder: ModelFolder) -> TextData:
    """Open the data that ``load_data`` prepared."""
    tokenizer = Tokenizer.load(folder.tokenizer_file)
    test = folder.tokens / "test.npy"
    return TextData(
        tokenizer,
        TokenFile(folder.tokens / "train.npy"),
        TokenFile(folder.tokens / "valid.npy"),
        TokenFile(test) if test.exists() else None,
    )


def build_model(settings: Settings, vocabulary_size: int) -> RecurrentLanguageModel:
    """Make the network, with fresh weights, from settings that are complete."""
    model = RecurrentLanguageModel(
        vocabulary_size,
        cell=settings.cell,
        embedding_size=settings.embedding_size or 0,
        hidden_size=settings.hidden_size or 0,
        num_layers=settings.num_layers or 0,
        dropout=settings.dropout or 0.0,
        embedding_dropout=settings.embedding_dropout,
        locked_dropout=settings.locked_dropout,
        tied=settings.tied,
    )
    if settings.weight_range is not None:
        for weight in model.parameters():
            nn.init.uniform_(weight, -settings.weight_range, settings.weight_range)
    model.embedding.weight.requires_grad_(not settings.fixed_vectors)
    return model


def lanes_of(data: TextData, settings: Settings, processes: Processes) -> Lanes:
    """The training text, cut into the lanes of this process.

    Raises:
        ArgumentError: where the text is too short for so many lanes.
    """
    return Lanes(
        data.train.ids,
        batch_size=settings.batch_size or 1,
        k1=settings.bptt,
        k2=settings.bptt_back,
        seed=settings.seed,
        rank=processes.rank,
        world_size=processes.count,
    )


def fit(
    network: RecurrentLanguageModel,
    data: TextData,
    settings: Settings,
    folder: ModelFolder,
    *,
    processes: Processes,
    display: Display,
    resume: bool = False,
) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    lanes = lanes_of(data, settings, processes)
    seconds = parse_duration(settings.time_budget) if settings.time_budget else None
    steps = round(settings.epochs * len(lanes)) if settings.epochs else settings.steps
    recorder = Recorder(folder, network, display=display, seconds=seconds, is_main=processes.is_main)
    valid = data.valid.ids[: settings.validation_tokens]
    trainer = Trainer(
        model=NextTokenObjective(network),
        optimizers=optimizers_of(network, settings),
        schedule=Schedule(settings.schedule, settings.warmup, settings.decay_rate, settings.decay_after),
        batches=lanes,
        validate=partial(validation_loss, network, valid, settings.precision, processes),
        clip=clipping(settings),
        limits=Limits(steps, seconds, settings.validations, settings.patience),
        observer=recorder,
        processes=processes,
        precision=settings.precision,
        checkpoint_seconds=settings.checkpoint_every,
    )
    # Each process drops other units.
    torch.manual_seed(settings.seed + processes.rank)
    if resume and folder.state_file.exists():
        recorder.resume(trainer)
    position = trainer.run()
    recorder.finish(position)
    return position


def optimizers_of(network: RecurrentLanguageModel, settings: Settings) -> list[torch.optim.Optimizer]:
    """The optimisers that the settings name."""
    return build_optimizers(
        settings.optimizer,
        network.parameters(),
        hidden_matrices=network.hidden_matrices(),
        learning_rate=settings.learning_rate,
        matrix_learning_rate=settings.matrix_learning_rate,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
    )


def clipping(settings: Settings) -> Callable[[Sequence[nn.Parameter]], Any]:
    """How gradients are clipped; without a maximal norm they are measured alone."""
    clip = clip_each_norm if settings.clip_by == "each" else clip_global_norm
    return partial(clip, max_norm=float("inf") if settings.clip is None else settings.clip)


def validation_loss(network: nn.Module, tokens: Tokens, precision: str, processes: Processes) -> float:
    """Mean nats per token of the validation text, the same in all processes."""
    total = total_loss(network, tokens, precision=precision, device=processes.device, lanes=VALIDATION_LANES)
    return processes.first(total / max(len(tokens) - 1, 1))


@torch.inference_mode()
def total_loss(network: nn.Module, tokens: Tokens, *, precision: str, device: torch.device, lanes: int) -> float:
    """The sum in nats of the cross-entropy of each token after the first, given the text before it.

    Args:
        network: in evaluation mode.
        tokens: shape (tokens,).
        precision: 32 or bf16.
        device: of the network.
        lanes: in which the text is read side by side; with 1 each token has all the text before it.
    """
    total = 0.0
    state: Any = None
    for window in evaluation_windows(tokens, batch_size=lanes):
        with autocast(precision, device):
            scores, state = network(window.inputs.to(device), None if window.starts_sequence else state)
        losses = next_token_loss(scores, window.targets.to(device), reduction="none").cpu()
        total += losses[window.counts.flatten()].double().sum().item()
    return total
