"""Drawing whole sequences, or writing the likeliest token at each step, for a batch of sources at once."""

from __future__ import annotations

from typing import Any

import torch

from throughtime.decoding.beam_search import Hypothesis, Select
from throughtime.decoding.constraints import Constraints
from throughtime.decoding.sampling import NextStep, Sampling


def sample_sequences(
    next_step: NextStep,
    select: Select,
    state: Any,
    sampling: Sampling,
    constraints: Constraints,
    *,
    sources: int,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """Write one sequence for each source; one that has ended leaves the batch.

    Args:
        next_step: from a state and tokens (rows,), on the CPU, to the state after them and scores (rows, vocabulary).
        select: the state of some rows, on the scores' device.
        state: before the first step, one row for each source. The first token that goes in is ``constraints.end``.
        sampling: how to draw; a temperature of 0 writes greedily. Its forbidden tokens are the constraints' business.
        constraints: what a sequence must and must not do.
        sources: how many.
        generator: of the random numbers, on the CPU; torch's own if None.

    Returns:
        A sequence for each source, whose score is its log-probability.

    Raises:
        ArgumentError: where no token is left to draw, or a score is NaN.
    """
    longest = constraints.longest(sources)
    written: list[list[int]] = [[] for _ in range(sources)]
    totals = [0.0] * sources
    active = torch.arange(sources)
    tokens = torch.full((sources,), constraints.end)
    penalised = sampling.repetition_penalty is not None
    for step in range(int(longest.max()) + 1):
        state, scores = next_step(state, tokens)
        device = scores.device
        scores = scores.detach().cpu()
        log_probabilities = (scores if sampling.temperature == 0 else scores.double()).log_softmax(-1)
        so_far = torch.tensor([written[source] for source in active.tolist()]).view(len(active), step)
        allowed = constraints.apply(log_probabilities.clone(), so_far, active)
        seen = torch.zeros(allowed.shape, dtype=torch.bool)
        if penalised:
            seen.scatter_(1, so_far, value=True)
        allowed = sampling.scores(allowed, seen)
        if sampling.temperature == 0:
            tokens = allowed.argmax(-1)
        else:
            tokens = torch.multinomial(allowed.softmax(-1), 1, generator=generator).squeeze(-1)
        tokens = tokens.where(longest[active] > step, constraints.end)
        gained = log_probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1)
        for source, token, nats in zip(active.tolist(), tokens.tolist(), gained.tolist(), strict=True):
            totals[source] += nats
            if token != constraints.end:
                written[source].append(token)
        rows = torch.nonzero(tokens != constraints.end).flatten()
        if not len(rows):
            break
        if len(rows) < len(active):
            state, active, tokens = select(state, rows.to(device)), active[rows], tokens[rows]
    return [Hypothesis(tuple(own), total, total) for own, total in zip(written, totals, strict=True)]
