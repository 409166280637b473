"""What the training of an encoder-decoder lowers."""

from __future__ import annotations

import math
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from throughtime.errors import check_range
from throughtime.sequence import SequenceBatch
from throughtime.training.objectives import Objective


class SequencePairs(Protocol):
    """A batch of pairs, as ``data.pair_batches`` makes it; targets begin and end with the token for their ends.

    Several targets may share a source, equally many each; they stand together.
    """

    @property
    def source(self) -> SequenceBatch: ...  # noqa: D102
    @property
    def target(self) -> SequenceBatch: ...  # noqa: D102


class DecodingNetwork(Protocol):
    """An encoder-decoder, as ``models.EncoderDecoder``."""

    def encode(self, source: SequenceBatch) -> Any: ...  # noqa: D102
    def decode(self, tokens: Tensor, state: Any) -> Any: ...  # noqa: D102
    def scores(self, readouts: Tensor) -> Tensor: ...  # noqa: D102
    def next_step(self, state: Any, tokens: Tensor) -> tuple[Any, Tensor]: ...  # noqa: D102


class TranslationObjective(nn.Module):
    """The mean cross-entropy, in nats, of each token of a target given the source and the target before it.

    What stands before a token is the true target (teacher forcing). With scheduled sampling (Bengio et al. 2015,
    https://arxiv.org/abs/1506.03099) each token of it is, with a probability that grows with the number of updates i,
    one that the network itself drew: ``own_share * (1 - k / (k + exp(i / k)))``, k being ``own_after``. As in the
    paper, no gradient flows through the drawing.

    Args:
        network: an encoder-decoder.
        label_smoothing: share of each target's probability that is spread over the whole vocabulary (Szegedy et al.
            2016).
        own_share: the probability, in the end, with which an input is the network's own; 0 is teacher forcing.
        own_after: the constant k of its growth.
        attention_penalty: how much it costs to look at some parts of the source more, or less, than once in all
            (doubly stochastic attention, Xu et al. 2015, equation 14): times the mean of (1 - sum over the steps of the
            weights)^2.

    Raises:
        ArgumentError: for a number out of range.
    """

    updates: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        label_smoothing: float = 0.0,
        own_share: float = 0.0,
        own_after: float = 1000.0,
        attention_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        check_range("label_smoothing", label_smoothing, low=0, high=1, high_open=True)
        check_range("own_share", own_share, low=0, high=1)
        check_range("own_after", own_after, low=1)
        self.network = network
        self.label_smoothing = label_smoothing
        self.own_share = own_share
        check_range("attention_penalty", attention_penalty, low=0, high_open=True)
        self.own_after = own_after
        self.attention_penalty = attention_penalty
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: SequencePairs, _: object = None) -> Objective:
        """Score the batch; nothing is carried."""
        device = next(self.parameters()).device
        network = cast("DecodingNetwork", self.network)
        targets = batch.target.values[1:].to(device)
        mask = valid_targets(batch.target).to(device)
        state = network.encode(batch.source.to(device))
        inputs = batch.target.values[:-1].to(device)
        sources, rows = batch.source.values.shape[1], targets.shape[1]
        if rows > sources:
            state = state.select(torch.arange(sources, device=device).repeat_interleave(rows // sources))
        if self.own_share and self.training:
            inputs = self._mixed(inputs, state)
        self.updates += self.training
        decoded = network.decode(inputs, state)
        chosen = targets[mask]
        scores = network.scores(decoded.readouts[mask])
        loss = target_loss(scores, chosen, self.label_smoothing)
        if self.training:
            loss = loss + self.cost_of_looking(decoded, scores, chosen, mask)
        return Objective(loss, chosen.numel())

    def cost_of_looking(self, decoded: Any, scores: Tensor, chosen: Tensor, mask: Tensor) -> Tensor | float:
        """What is added to the loss of a token for where the network looked.

        Args:
            decoded: as ``models.Decoder`` gives it.
            scores: of the tokens, shape (tokens, vocabulary).
            chosen: the tokens, shape (tokens,).
            mask: where they stand, shape (target, rows), bool.
        """
        del scores, chosen  # soft attention gets its gradient through them
        if not self.attention_penalty or decoded.weights is None:
            return 0.0
        looked = (decoded.weights.float() * mask.unsqueeze(-1)).sum(0)
        return self.attention_penalty * (1 - looked).square().mean()

    @property
    def own_probability(self) -> float:
        """The probability with which the next update's inputs are the network's own."""
        k = self.own_after
        return self.own_share * (1 - k / (k + math.exp(min(float(self.updates) / k, 700.0))))

    @torch.no_grad()
    def _mixed(self, inputs: Tensor, state: Any) -> Tensor:
        """The inputs, some of them replaced by what the network draws, step by step."""
        network = cast("DecodingNetwork", self.network)
        is_own = torch.rand(inputs.shape, device=inputs.device) < self.own_probability
        mixed = inputs.clone()
        for step in range(1, len(inputs)):
            state, scores = network.next_step(state, mixed[step - 1])
            if is_own[step].any():
                drawn = torch.multinomial(scores.softmax(-1), 1).squeeze(-1)
                mixed[step] = torch.where(is_own[step], drawn, inputs[step])
        return mixed


def valid_targets(target: SequenceBatch) -> Tensor:
    """Which of the tokens after the first are the sequences' own and no padding, shape (target - 1, batch), bool."""
    mask = target.mask()
    return torch.ones_like(target.values[1:], dtype=torch.bool) if mask is None else mask[1:]


def target_loss(scores: Tensor, targets: Tensor, label_smoothing: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """Cross-entropy in nats of (targets, vocabulary) scores against (targets,) tokens, in float32 at least."""
    precise = scores if scores.dtype == torch.float64 else scores.float()
    return functional.cross_entropy(precise, targets, label_smoothing=label_smoothing, reduction=reduction)
