"""Searching for what a network writes, where it looked for each word of it, and what it thinks of given sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import (
    Ids,
    SentenceTokenizer,
    Sequences,
    evaluation_batches,
    pad_sequences,
    sequences_of,
    with_ends,
)
from throughtime.decoding import Beam, Constraints, Hypothesis, Sampling, beam_search, sample_sequences
from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.models import DecoderState, DecodingNetwork
from throughtime.sequence import SequenceBatch
from throughtime.training import autocast, target_loss, valid_targets

EVALUATION_BATCH = 64

Alignment = npt.NDArray[np.float32]
"""How much each token of a translation, its end counted, looked at each token of the source: (target, source)."""


@dataclass(frozen=True)
class Search:
    """How a network's sentences are searched for.

    Attributes:
        beam_size: sequences that are kept from step to step; 1 is greedy search.
        n_best: sentences for each source, at most ``beam_size``; with a temperature, any number.
        length_penalty: how much longer sentences are favoured; see ``Beam``.
        coverage_penalty: how much leaving parts of the source without attention is disfavoured; see ``Beam``.
        temperature: draw sentences in place of searching for the best; below 1 more usual ones; None searches.
        top_k: draw from so many of the likeliest tokens only.
        top_p: draw from the fewest tokens that have this probability together.
        seed: of the drawing; other translations each time if None.
        min_length: tokens at least.
        max_length: tokens at most; twice the steps of the source and twenty if None.
        block_ngrams: no sequence of so many tokens comes twice.
        replace_unknown: write the source word that was looked at most where the network writes an unknown word;
            otherwise, and without attention, it never writes one.
        batch_size: sources that are decoded side by side.

    Raises:
        ArgumentError: for a number out of range.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    min_length: int = 0
    max_length: int | None = None
    block_ngrams: int | None = None
    replace_unknown: bool = True
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_positive_integer("batch_size", self.batch_size)
        check_positive_integer("n_best", self.n_best)
        if self.max_length is not None:
            check_positive_integer("max_length", self.max_length)
        if self.temperature is None:
            for name in ("top_k", "top_p"):
                if getattr(self, name) is not None:
                    raise ArgumentError(f"`{name}` is for drawing sentences; give a `temperature`, too")
            _ = self.beam
        else:
            _ = self.sampling
        Constraints(0, min_length=self.min_length, block_ngrams=self.block_ngrams)

    @property
    def beam(self) -> Beam:
        """The beam."""
        return Beam(self.beam_size, self.n_best, self.length_penalty, self.coverage_penalty)

    @property
    def sampling(self) -> Sampling:
        """How tokens are drawn."""
        return Sampling(temperature=self.temperature or 0.0, top_k=self.top_k, top_p=self.top_p)


@torch.inference_mode()
def search_sequences(
    network: DecodingNetwork,
    sources: Sequences | Sequence[Ids],
    search: Search,
    target: SentenceTokenizer,
    prefixes: Sequence[Ids] = (),
) -> list[list[Hypothesis]]:
    """Find what the network writes for each source, the best first.

    Args:
        network: in evaluation mode.
        sources: any sequences, or tokens of each source, shape (length,); none of them empty.
        search: how.
        target: the vocabulary of what is written.
        prefixes: tokens that the sentences of each source begin with; none if empty.

    Raises:
        ArgumentError: for a coverage penalty without attention.
    """
    generator = torch.Generator()
    _ = generator.seed() if search.seed is None else generator.manual_seed(search.seed)
    has_attention = network.decoder.attention is not None
    may_be_unknown = search.replace_unknown and has_attention
    forbidden = () if target.unknown_id is None or may_be_unknown else (target.unknown_id,)
    found: dict[int, list[Hypothesis]] = {}
    lengths = sequences_of(sources).lengths
    for rows, tokens in evaluation_batches(sources, search.batch_size):
        places = rows.tolist()
        own = [prefixes[row].tolist() for row in places] if prefixes else []
        limits = [
            search.max_length or longest_translation(int(lengths[row])) + (len(own[place]) if own else 0)
            for place, row in enumerate(places)
        ]
        constraints = Constraints(network.end, limits, search.min_length, forbidden, search.block_ngrams, own)
        state = encode(network, tokens)
        if search.temperature is None:
            hypotheses = beam_search(
                network.next_step,
                DecoderState.select,
                state,
                search.beam,
                constraints,
                sources=len(rows),
                coverage=coverage if has_attention else None,
            )
        else:
            draws = [
                sample_sequences(
                    network.next_step,
                    DecoderState.select,
                    state,
                    search.sampling,
                    constraints,
                    sources=len(rows),
                    generator=generator,
                )
                for _ in range(search.n_best)
            ]
            hypotheses = [sorted(several, key=lambda one: -one.score) for several in zip(*draws, strict=True)]
        found.update(zip(places, hypotheses, strict=True))
    return [found[row] for row in range(len(sources))]


def coverage(state: DecoderState) -> Tensor:
    """The attention that each source token has received, shape (rows, source); 1 in the padding."""
    if state.coverage is None or state.memory is None:
        raise ArgumentError("`coverage_penalty` needs a model with attention")
    padding = state.memory.padding
    if padding is None:
        return state.coverage
    rows = padding.squeeze(1).repeat_interleave(len(state.coverage) // len(padding), 0)
    return state.coverage.masked_fill(rows, 1.0)


@torch.inference_mode()
def alignments(
    network: DecodingNetwork, sources: Sequences | Sequence[Ids], targets: Sequence[Ids]
) -> list[Alignment] | None:
    """Where the network looks for each token of given sentences and for their ends; None without attention."""
    found: dict[int, Alignment] = {}
    lengths = sequences_of(sources).lengths
    for rows, tokens in evaluation_batches(sources, EVALUATION_BATCH):
        own = [targets[row] for row in rows.tolist()]
        padded = pad_sequences([with_ends(tokens_of, network.end) for tokens_of in own]).values
        state = encode(network, tokens)
        weights = network.decode(padded[:-1].to(next(network.parameters()).device), state).weights
        if weights is None:
            return None
        is_padded = state.memory is not None and state.memory.padding is not None
        for place, row in enumerate(rows.tolist()):
            width = int(lengths[row]) if is_padded else weights.shape[2]
            found[row] = weights[: len(own[place]) + 1, place, :width].float().cpu().numpy()
    return [found[row] for row in range(len(sources))]


@torch.inference_mode()
def teacher_forced_loss(
    network: DecodingNetwork, sources: Sequences | Sequence[Ids], targets: Sequence[Ids], *, precision: str
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


def encode(network: DecodingNetwork, tokens: SequenceBatch) -> DecoderState:
    """The decoder's state before its first step."""
    return network.encode(tokens.to(next(network.parameters()).device))


def write_greedily(
    network: DecodingNetwork,
    sources: Sequences | Sequence[Ids],
    *,
    unknown: int | None,
    max_length: int | None = None,
) -> list[Hypothesis]:
    """The likeliest token at each step, for each source.

    Args:
        network: in evaluation mode.
        sources: any sequences, or tokens of each source, shape (length,).
        unknown: the token that is never written, if there is such.
        max_length: tokens at most; twice the steps of the source and twenty if None.
    """
    lengths = sequences_of(sources).lengths
    found: dict[int, Hypothesis] = {}
    for rows, tokens in evaluation_batches(sources, EVALUATION_BATCH):
        limits = [max_length or longest_translation(int(lengths[row])) for row in rows.tolist()]
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
