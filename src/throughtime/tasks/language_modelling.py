"""Language modelling: learn a text, judge other text by it, and write on.

The network reads a text token by token and gives the probability of each next token; writing feeds each output
back as the next input. Training is truncated backpropagation through time over lanes of the text, whose state
is carried from window to window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import nn

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
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.network_training import CellName, Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.reading import language_reading
from throughtime.tasks.settings import Duration, Positive, Probability
from throughtime.training import (
    Display,
    ModelFolder,
    NextTokenObjective,
    Position,
    Processes,
    Validation,
    autocast,
    next_token_loss,
)

TASK = "language_modelling"
VALIDATION_LANES = 32


class Settings(TrainingSettings):
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

    cell: CellName = "lstm"
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

    batch_size: Positive | None = None
    """Lanes that the text is read in, side by side; of each process."""
    bptt: Positive = 128
    """Steps from one update to the next (k1)."""
    bptt_back: Positive | None = None
    """Steps that the gradient flows back (k2); as many as `bptt` by default."""
    time_budget: Duration | None = None
    """Time to train, such as 90s, 10m or 1h30m; 10m where neither epochs nor steps are given."""
    validation_tokens: Positive = 1_000_000
    """How much of the validation text is read at each validation at most."""

    @model_validator(mode="after")
    def _goes_together(self) -> Settings:
        if self.bptt_back is not None and self.bptt_back < self.bptt:
            raise ArgumentError(f"`bptt_back` must be at least `bptt` ({self.bptt}), got {self.bptt_back}")
        if self.vectors is not None and self.tokens != "word":
            raise ArgumentError(f"`vectors` are those of words; give `tokens` 'word', got {self.tokens!r}")
        if self.fixed_vectors and (self.vectors is None or self.tied):
            raise ArgumentError("`fixed_vectors` needs `vectors`, and an embedding that is not `tied` to the output")
        return self


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
    run: Run,
    *,
    tokenizer: Tokenizer | None = None,
) -> TextData:
    """Learn the vocabulary from the training part and write all parts' token ids into the model folder.

    Args:
        sources: files, folders, or texts in memory; where they are named train, valid and test, they are those.
        settings: what a token is.
        run: its folder gets tokenizer.json and tokens/, its display shows how far the preparation is.
        tokenizer: of a model that is trained further; it is extended by what is new in the text.

    Raises:
        DataError: where the text can't be read, is empty, or is too short.
    """
    splits = find_splits(sources, encoding=settings.encoding, validation_fraction=settings.validation_fraction)
    folder, display = run.folder, run.display
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


def fit(network: RecurrentLanguageModel, data: TextData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    valid = data.valid.ids[: settings.validation_tokens]
    return train_network(
        network,
        NextTokenObjective(network),
        lanes_of(data, settings, run.processes),
        partial(validate, network, valid, settings.precision, run.processes),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        readings=lambda: [language_reading(network, _watched(valid, settings.bptt))],
    )


def _watched(tokens: Tokens, time: int) -> torch.Tensor:
    """Windows of a text to watch gradients by, shape (time + 1, 8), or fewer and shorter ones of a short text."""
    length = min(time + 1, len(tokens))
    count = min(8, len(tokens) // length)
    rows = [tokens[row * length : (row + 1) * length].astype(np.int64) for row in range(count)]
    return torch.from_numpy(np.stack(rows, axis=1))


def validate(network: nn.Module, tokens: Tokens, precision: str, processes: Processes) -> Validation:
    """Find the mean nats per token of the validation text, the same in all processes."""
    total = total_loss(network, tokens, precision=precision, device=processes.device, lanes=VALIDATION_LANES)
    return Validation(processes.first(total / max(len(tokens) - 1, 1)))


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
