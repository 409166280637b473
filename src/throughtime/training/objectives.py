"""From a batch and a network to the loss that training lowers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from throughtime.bptt import run_window
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class Objective:
    """What a model returns for a batch.

    Attributes:
        loss: scalar, the mean over ``count`` targets; in nats where it is a cross-entropy.
        count: how many targets the mean is over.
        state: what the next batch starts from; nested tuples of tensors, or None where nothing is carried.
    """

    loss: Tensor
    count: int
    state: object = None


class TokenWindow(Protocol):
    """A window of a text for truncated backpropagation through time, as ``data.batching`` makes it.

    Attributes:
        inputs: shape (time, batch), int64, token ids.
        targets: shape (loss steps, batch), int64, what follows each of the last inputs.
        carry: after how many of the inputs the state is kept for the next window.
        starts_sequence: whether the state is zero before the window.
    """

    @property
    def inputs(self) -> Tensor: ...  # noqa: D102
    @property
    def targets(self) -> Tensor: ...  # noqa: D102
    @property
    def carry(self) -> int: ...  # noqa: D102
    @property
    def starts_sequence(self) -> bool: ...  # noqa: D102


class TokenNetwork(Protocol):
    """A network that reads tokens and scores the next one."""

    def recur(self, tokens: Tensor, state: object) -> tuple[Tensor, object]: ...  # noqa: D102
    def scores(self, outputs: Tensor) -> Tensor: ...  # noqa: D102


class NextTokenObjective(nn.Module):
    """The mean cross-entropy, in nats, of each next token of a text given all before it.

    Args:
        network: a module with ``recur(tokens, state) -> (outputs, state)`` over (time, batch) tokens, and
            ``scores(outputs)`` that gives unnormalised log-probabilities of shape (..., vocabulary).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, window: TokenWindow, carried: object) -> Objective:
        """Run the window on from the carried state; the loss is over its last outputs alone."""
        device = next(self.parameters()).device
        inputs, targets = window.inputs.to(device), window.targets.to(device)
        state = None if window.starts_sequence else carried
        network = cast("TokenNetwork", self.network)
        outputs, state = run_window(network.recur, inputs, state, carry=window.carry)
        scores = network.scores(outputs[-len(targets) :])
        return Objective(next_token_loss(scores, targets), targets.numel(), state)


class ExamplesWithTargets(Protocol):
    """A batch of whole sequences, as ``data.example_batches`` makes it.

    Attributes:
        tokens: values of shape (time, batch, ...): token ids, numbers, pixels.
        targets: shape (batch,), int64; or (batch, classes), whether each class is there, or how right it is.
    """

    @property
    def tokens(self) -> SequenceBatch: ...  # noqa: D102
    @property
    def targets(self) -> Tensor: ...  # noqa: D102


class ClassificationObjective(nn.Module):
    """The mean cross-entropy, in nats, of the classes of sequences.

    Args:
        network: from a SequenceBatch to scores of shape (batch, classes).
        class_weights: how much an example of each class counts, shape (classes,); all alike if None.
    """

    def __init__(self, network: nn.Module, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.class_weights = class_weights

    def forward(self, batch: ExamplesWithTargets, _: object = None) -> Objective:
        """Score the batch; nothing is carried."""
        device = next(self.parameters()).device
        tokens = batch.tokens.to(device)
        weights = None if self.class_weights is None else self.class_weights.to(device)
        loss = classification_loss(self.network(tokens), batch.targets.to(device), weights)
        return Objective(loss, len(batch.targets))


def classification_loss(scores: Tensor, targets: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy in nats over a batch, in float32 at least.

    Args:
        scores: shape (batch, classes).
        targets: shape (batch,), int64, the class of each; or (batch, classes), whether each class is there, where
            the loss is the sum over the classes of that of each yes or no.
        class_weights: shape (classes,). An example counts by its class's weight, and the mean is weighted; of yes and
            no, the yes is multiplied.
    """
    precise = scores if scores.dtype == torch.float64 else scores.float()
    if targets.ndim == 1:
        return functional.cross_entropy(precise, targets, weight=class_weights)
    losses = functional.binary_cross_entropy_with_logits(
        precise, targets.to(precise.dtype), pos_weight=class_weights, reduction="none"
    )
    return losses.sum(-1).mean()


def next_token_loss(scores: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats of (..., vocabulary) scores against (...) targets, in float32 at least."""
    precise = scores if scores.dtype == torch.float64 else scores.float()
    return functional.cross_entropy(precise.flatten(0, -2), targets.flatten(), reduction=reduction)
