"""What a decoded sequence may not do, whichever way it is searched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.errors import ArgumentError, check_positive_integer, check_range


@dataclass(frozen=True)
class Constraints:
    """What a sequence must and must not do.

    Attributes:
        end: the token that ends a sequence.
        max_length: tokens at most, the end not counted; one number, or one for each source. A sequence that gets so
            long is ended.
        min_length: tokens at least, the end not counted.
        forbidden: tokens that never occur.
        block_ngrams: no sequence of so many tokens occurs twice (Paulus et al. 2018); None for no such limit.
        prefixes: for each source the tokens that its sequences begin with; none where empty.

    Raises:
        ArgumentError: for a number out of range.
    """

    end: int
    max_length: int | Sequence[int] = 100
    min_length: int = 0
    forbidden: tuple[int, ...] = ()
    block_ngrams: int | None = None
    prefixes: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        for length in (self.max_length,) if isinstance(self.max_length, int) else self.max_length:
            check_positive_integer("max_length", length)
        check_range("min_length", self.min_length, low=0)
        if self.block_ngrams is not None:
            check_positive_integer("block_ngrams", self.block_ngrams)
        if self.end in self.forbidden:
            raise ArgumentError("`forbidden` must not hold the end, or no sequence could end")

    def longest(self, sources: int) -> Tensor:
        """The most tokens of each source's sequences, shape (sources,), int64.

        Raises:
            ArgumentError: where there is not one for each.
        """
        if isinstance(self.max_length, int):
            return torch.full((sources,), self.max_length)
        if len(self.max_length) != sources:
            raise ArgumentError(f"`max_length` must be one number or {sources}, got {len(self.max_length)}")
        return torch.tensor(self.max_length)

    def apply(self, scores: Tensor, written: Tensor, sources: Tensor) -> Tensor:
        """Scores with -inf where a token may not come next.

        Args:
            scores: shape (rows, vocabulary); changed in place.
            written: shape (rows, steps), int64: what each row has so far.
            sources: shape (rows,), int64: which source each row is of, for the prefixes.
        """
        steps = written.shape[1]
        if self.forbidden:
            scores[:, list(self.forbidden)] = -torch.inf
        if steps < self.min_length:
            scores[:, self.end] = -torch.inf
        if self.block_ngrams is not None and steps >= self.block_ngrams:
            for row, tokens in enumerate(written.tolist()):
                scores[row, _completions(tokens, self.block_ngrams)] = -torch.inf
        for row, source in enumerate(sources.tolist()) if any(len(own) > steps for own in self.prefixes) else ():
            prefix = self.prefixes[source]
            if len(prefix) > steps:
                wanted = scores[row, prefix[steps]].clone()
                scores[row] = -torch.inf
                # A forced token is taken even where the rules above, or the model, wouldn't have it.
                scores[row, prefix[steps]] = wanted if wanted.isfinite() else 0.0
        return scores


def _completions(tokens: list[int], size: int) -> list[int]:
    """The tokens that would complete an n-gram of that size which the sequence has already."""
    beginning = tokens[len(tokens) - size + 1 :]
    return [
        tokens[start + size - 1]
        for start in range(len(tokens) - size + 1)
        if tokens[start : start + size - 1] == beginning
    ]
