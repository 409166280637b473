"""Drawing each next token from a model's scores, and feeding it back as the next input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, check_positive_integer, check_range, check_shape

NextStep = Callable[[Any, Tensor], tuple[Any, Tensor]]
"""``next_step(state, token) -> (state, scores)``: tokens (batch,), int64; scores (batch, vocabulary)."""


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from scores; what is None is left out.

    The order is: forbidden tokens, repetition penalty, temperature, top-k, top-p, min-p.

    Attributes:
        temperature: divides the scores; below 1 likely tokens get likelier; 0 always takes the likeliest (greedy).
        top_k: only so many of the likeliest tokens can be drawn.
        top_p: only the smallest set of the likeliest tokens whose probabilities sum to this (Holtzman et al. 2020).
        min_p: only tokens at least this times as likely as the likeliest (Nguyen et al. 2025).
        repetition_penalty: makes tokens that have come already less likely, if above 1 (Keskar et al. 2019).
        forbidden: ids that are never drawn.

    Raises:
        ArgumentError: for a number out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    forbidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_range("temperature", self.temperature, low=0, high_open=True)
        if self.top_k is not None:
            check_positive_integer("top_k", self.top_k)
        if self.top_p is not None:
            check_range("top_p", self.top_p, low=0, high=1, low_open=True)
        if self.min_p is not None:
            check_range("min_p", self.min_p, low=0, high=1)
        if self.repetition_penalty is not None:
            check_range("repetition_penalty", self.repetition_penalty, low=0, low_open=True, high_open=True)
        for token in self.forbidden:
            check_range("forbidden", token, low=0, high_open=True)

    def scores(self, scores: Tensor, seen: Tensor) -> Tensor:
        """The scores to draw from, -inf where a token can't be drawn.

        Args:
            scores: shape (batch, vocabulary), unnormalised log-probabilities.
            seen: shape (batch, vocabulary), bool: the tokens that have come already.

        Raises:
            ArgumentError: where a row has no token that can be drawn, or a score that is NaN or +inf.
        """
        if self.forbidden:
            check_range("forbidden", max(self.forbidden), low=0, high=scores.shape[-1], high_open=True)
            scores = scores.index_fill(-1, torch.tensor(self.forbidden, device=scores.device), -torch.inf)
        if self.repetition_penalty is not None:
            scores = penalize_repetition(scores, seen, self.repetition_penalty)
        best = scores.amax(-1, keepdim=True)
        if best.isneginf().any():
            raise ArgumentError("no token is left to draw: every one is forbidden or has probability 0")
        if not best.isfinite().all():
            raise ArgumentError("`scores` must be finite or -inf, got NaN or +inf; the weights may be damaged")
        if self.temperature == 0:
            return scores
        # The highest becomes 0, so that no temperature, however low, lets it overflow.
        scores = (scores - best) / self.temperature
        if self.top_k is not None:
            scores = keep_top_k(scores, self.top_k)
        if self.top_p is not None:
            scores = keep_top_p(scores, self.top_p)
        if self.min_p is not None:
            scores = keep_min_p(scores, self.min_p)
        return scores

    def draw(
        self, scores: Tensor, seen: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Draw a token for each row, on the CPU in float64, and note it in ``seen``.

        A token takes one random number: the first whose probability, with those of the tokens before it, exceeds it.

        Args:
            scores: as of ``scores``.
            seen: the same, on the CPU; it is changed.
            generator: of the random numbers, on the CPU; torch's own if None; or one for each row, which draws for the
                row what it would draw for it alone.

        Returns:
            Shape (batch,), int64, on the CPU.
        """
        allowed = self.scores(scores.detach().cpu().double(), seen)
        if self.temperature == 0:
            token = allowed.argmax(-1, keepdim=True)
        else:
            up_to = allowed.softmax(-1).cumsum_(-1)
            whole = up_to[:, -1:]
            # Rounding may reach the whole, behind which there is no token.
            reached = torch.minimum(_uniform(len(scores), generator) * whole, whole.nextafter(torch.zeros_like(whole)))
            token = torch.searchsorted(up_to, reached, right=True)
        seen.scatter_(-1, token, value=True)
        return token.squeeze(-1)


def _uniform(rows: int, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
    """Random numbers from 0 to 1, shape (rows, 1), float64."""
    if generator is None or isinstance(generator, torch.Generator):
        return torch.rand(rows, 1, dtype=torch.float64, generator=generator)
    return torch.cat([torch.rand(1, 1, dtype=torch.float64, generator=own) for own in generator])


def sample(
    next_step: NextStep,
    state: Any,
    scores: Tensor,
    sampling: Sampling,
    *,
    length: int,
    generator: torch.Generator | None = None,
    seen: Tensor | None = None,
) -> Iterator[Tensor]:
    """Draw tokens one after the other; each costs one step, however many came before.

    Filtering and drawing are done on the CPU in float64, so that a seed gives the same text on every device that
    gives the same scores.

    Args:
        next_step: gives the next state and scores for a token.
        state: after the prompt.
        scores: shape (batch, vocabulary), after the prompt; the rows of the batch are written independently.
        sampling: how to draw.
        length: how many tokens.
        generator: of the random numbers, on the CPU; torch's own if None.
        seen: shape (batch, vocabulary), bool: the prompt's tokens, for the repetition penalty.

    Yields:
        The tokens of each step, shape (batch,), int64, on the device of the scores.

    Raises:
        ArgumentError: for a length or shape that can't be, when called; while iterating, where no token is left
            to draw or a score is NaN.
    """
    check_positive_integer("length", length)
    check_shape("scores", scores.shape, ("batch", "vocabulary"))
    if seen is None:
        seen = torch.zeros(scores.shape, dtype=torch.bool)
    check_shape("seen", seen.shape, scores.shape)
    return _draw(next_step, state, scores, sampling, length, generator, seen.to("cpu", copy=True))


def _draw(
    next_step: NextStep,
    state: Any,
    scores: Tensor,
    sampling: Sampling,
    length: int,
    generator: torch.Generator | None,
    seen: Tensor,
) -> Iterator[Tensor]:
    for step in range(length):
        token = sampling.draw(scores, seen, generator).to(scores.device)
        yield token
        if step + 1 < length:
            state, scores = next_step(state, token)


def penalize_repetition(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divide positive scores of seen tokens by the penalty and multiply negative ones (CTRL, Keskar et al. 2019)."""
    penalized = torch.where(scores > 0, scores / penalty, scores * penalty)
    return torch.where(seen, penalized, scores)


def keep_top_k(scores: Tensor, k: int) -> Tensor:
    """Keep the k highest scores of each row, and those equal to the k-th; the others become -inf."""
    if k >= scores.shape[-1]:
        return scores
    threshold = scores.topk(k).values[..., -1:]
    return scores.masked_fill(scores < threshold, -torch.inf)


def keep_top_p(scores: Tensor, p: float) -> Tensor:
    """Keep each row's smallest set of highest scores with probability at least p together; the others become -inf."""
    if p >= 1:
        return scores  # a sum of rounded probabilities may reach 1 before the last
    ordered, order = scores.sort(descending=True, stable=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, before < p)
    return scores.masked_fill(~kept, -torch.inf)


def keep_min_p(scores: Tensor, p: float) -> Tensor:
    """Keep the tokens at least p times as likely as each row's likeliest; the others become -inf."""
    probabilities = scores.softmax(-1)
    return scores.masked_fill(probabilities < p * probabilities.amax(-1, keepdim=True), -torch.inf)
