"""Beam search over any step function, for a batch of sources at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.decoding.constraints import Constraints
from throughtime.decoding.sampling import NextStep
from throughtime.errors import ArgumentError, check_positive_integer, check_range

Select = Callable[[Any, Tensor], Any]
"""``select(state, rows) -> state``: the state of some rows, (new rows,), int64; a source's rows stand together."""


@dataclass(frozen=True)
class Beam:
    """How to search.

    Attributes:
        size: sequences of each source that are kept from step to step; 1 is greedy search.
        n_best: how many are given, at most ``size``.
        length_penalty: alpha of Wu et al. (2016), https://arxiv.org/abs/1609.08144: log-probabilities are divided by
            ((5 + length) / 6) ** alpha, the end counted; 0 ranks by probability, which favours short sequences.
        coverage_penalty: beta of the same: the sum over the source's tokens of log(min(attention received, 1)) is
            added beta times.

    Raises:
        ArgumentError: for a number out of range.
    """

    size: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        check_positive_integer("beam_size", self.size)
        check_positive_integer("n_best", self.n_best)
        if self.n_best > self.size:
            raise ArgumentError(f"`n_best` must be at most `beam_size` ({self.size}), got {self.n_best}")
        check_range("length_penalty", self.length_penalty, low=0, high_open=True)
        check_range("coverage_penalty", self.coverage_penalty, low=0, high_open=True)

    def divisor(self, length: int) -> float:
        """What the log-probability of a sequence of that length is divided by, its end counted."""
        return ((5 + length) / 6) ** self.length_penalty


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that was found.

    Attributes:
        tokens: without the end.
        log_probability: of all tokens and the end, in nats.
        score: what it is ranked by; higher is better.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float


def beam_search(
    next_step: NextStep,
    select: Select,
    state: Any,
    beam: Beam,
    constraints: Constraints,
    *,
    sources: int,
    coverage: Callable[[Any], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    """Search for the best sequences of each source.

    A source is done when ``beam.size`` of its sequences have ended, or no other can become better than those; it then
    leaves the batch. With a beam that holds every sequence there is, the search is exact.

    Args:
        next_step: from a state and tokens (rows,), on the CPU, to the state after them and scores (rows, vocabulary).
        select: the state of some rows, on the scores' device.
        state: before the first step, one row for each source. The first token that goes in is ``constraints.end``.
        beam: how to search.
        constraints: what a sequence must and must not do.
        sources: how many.
        coverage: gives the attention that each of the source's tokens has received from a state, (rows, source), at
            least 1 where there is no token; for the coverage penalty.

    Returns:
        For each source its best sequences, the best first; fewer than ``n_best`` where there are no more.

    Raises:
        ArgumentError: where the coverage penalty is asked for without ``coverage``, or a score is NaN.
    """
    if beam.coverage_penalty and coverage is None:
        raise ArgumentError("`coverage_penalty` needs a model with attention")
    search = _Search(next_step, select, beam, constraints, coverage if beam.coverage_penalty else None, sources)
    return search.run(state)


class _Search:
    def __init__(
        self,
        next_step: NextStep,
        select: Select,
        beam: Beam,
        constraints: Constraints,
        coverage: Callable[[Any], Tensor] | None,
        sources: int,
    ) -> None:
        self.next_step = next_step
        self.select = select
        self.beam = beam
        self.constraints = constraints
        self.coverage = coverage
        self.longest = constraints.longest(sources)
        self.found: list[list[Hypothesis]] = [[] for _ in range(sources)]

    def run(self, state: Any) -> list[list[Hypothesis]]:
        active = torch.arange(len(self.found))
        written = torch.empty(len(active), 0, dtype=torch.int64)
        totals = torch.zeros(len(active), 1, dtype=torch.float64)
        width = 1
        tokens = torch.full((len(active),), self.constraints.end)
        while len(active):
            state, scores = self.next_step(state, tokens)
            device = scores.device
            log_probabilities = scores.detach().log_softmax(-1).cpu()
            # One NaN makes all log-probabilities of its row NaN.
            if log_probabilities[:, 0].isnan().any():
                raise ArgumentError("`scores` must not be NaN; the weights may be damaged")
            rows = active.repeat_interleave(width)
            log_probabilities = self.constraints.apply(log_probabilities, written, rows)
            penalty = self._coverage_penalty(state, len(active), width)
            values, parents, chosen = self._extend(log_probabilities, totals, penalty, active, written.shape[1])
            done = self._finish(values, parents, chosen, penalty, written, active, width)
            keep = torch.tensor([not one for one in done])
            # The best that go on, in the order of their scores, ends left out.
            goes_on = (chosen != self.constraints.end) & values.isfinite()
            order = torch.argsort(torch.where(goes_on, values, -torch.inf), descending=True, stable=True, dim=1)
            order = order[keep, : self.beam.size]
            active = active[keep]
            if not len(active):
                break
            totals = torch.where(goes_on, values, -torch.inf)[keep].gather(1, order)
            firsts = (torch.arange(len(keep))[keep] * width).unsqueeze(1)
            origins = (parents[keep].gather(1, order) + firsts).flatten()
            tokens = chosen[keep].gather(1, order).flatten()
            written = torch.cat([written[origins], tokens.unsqueeze(1)], 1)
            width = self.beam.size
            state = self.select(state, origins.to(device))
        ranked = [sorted(own, key=lambda one: -one.score) for own in self.found]
        return [own[: self.beam.n_best] for own in ranked]

    def _extend(
        self, log_probabilities: Tensor, totals: Tensor, penalty: Tensor, active: Tensor, steps: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best candidates of each source: log-probability, parent and token, each (active, 2 * size)."""
        width = totals.shape[1]
        # What has reached its length can only end.
        full = (self.longest[active] <= steps).repeat_interleave(width)
        if full.any():
            ends = log_probabilities[full, self.constraints.end].clone()
            log_probabilities[full] = -torch.inf
            log_probabilities[full, self.constraints.end] = ends.where(ends.isfinite(), torch.zeros_like(ends))
        count = min(2 * self.beam.size, log_probabilities.shape[1])
        best, tokens = log_probabilities.topk(count)
        best = best.double().unflatten(0, (-1, width)) + totals.unsqueeze(-1)
        # All candidates have one length, so its penalty makes no difference here; coverage's may.
        ranks = (best + (penalty * self.beam.divisor(steps + 1)).unsqueeze(-1)).flatten(1)
        places = ranks.topk(min(2 * self.beam.size, ranks.shape[1])).indices
        if places.shape[1] < 2 * self.beam.size:
            places = torch.cat([places, places[:, :1].expand(-1, 2 * self.beam.size - places.shape[1])], 1)
            repeated = torch.arange(2 * self.beam.size) >= ranks.shape[1]
        else:
            repeated = torch.zeros(2 * self.beam.size, dtype=torch.bool)
        values = best.flatten(1).gather(1, places).masked_fill(repeated, -torch.inf)
        return values, places // count, tokens.unflatten(0, (-1, width)).flatten(1).gather(1, places)

    def _coverage_penalty(self, state: Any, active: int, width: int) -> Tensor:
        """Beta times the sum of log(min(coverage, 1)) of each row, shape (active, width)."""
        if self.coverage is None:
            return torch.zeros(active, width, dtype=torch.float64)
        covered = self.coverage(state).detach().cpu().double().clamp(1e-9, 1.0)
        return self.beam.coverage_penalty * covered.log().sum(-1).view(active, width)

    def _finish(
        self,
        values: Tensor,
        parents: Tensor,
        chosen: Tensor,
        penalty: Tensor,
        written: Tensor,
        active: Tensor,
        width: int,
    ) -> list[bool]:
        """Note the sequences that end within the beam; tell for each active source whether it is done."""
        length = written.shape[1] + 1
        divisor = self.beam.divisor(length)
        done: list[bool] = []
        rows = zip(values.tolist(), parents.tolist(), chosen.tolist(), penalty.tolist(), active.tolist(), strict=True)
        for place, (totals, origins, tokens, penalties, source) in enumerate(rows):
            found = self.found[source]
            best_alive = -float("inf")
            alive = 0
            for rank, (total, origin, token) in enumerate(zip(totals, origins, tokens, strict=True)):
                if total == -float("inf"):
                    continue
                if token != self.constraints.end:
                    best_alive = max(best_alive, total)
                    alive += 1
                elif rank < self.beam.size:
                    ids = tuple(written[place * width + origin].tolist())
                    found.append(Hypothesis(ids, total, total / divisor + penalties[origin]))
            # A sequence's log-probability can only fall; divided by the most that it may be, it bounds the score.
            bound = best_alive / self.beam.divisor(int(self.longest[source]) + 1)
            better = sorted((one.score for one in found), reverse=True)[: self.beam.n_best]
            done.append(
                not alive or len(found) >= self.beam.size or (len(better) == self.beam.n_best and better[-1] >= bound)
            )
        return done
