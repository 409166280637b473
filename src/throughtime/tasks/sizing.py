"""How large a recurrent network should be for the data and the time there is.

Measured on character models (see docs/language_modelling.md): a network repays its size when training goes over at
least a dozen tokens for each weight, or a dozen times over a small text; more passes need more dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

PASSES = 11.0
"""Tokens read for each weight, or passes over the text, that a network needs at least."""

WEIGHTS_PER_TOKEN = 3.0
"""More weights than this for each token of the text learn it by heart, whatever the dropout."""


@dataclass(frozen=True)
class Size:
    """A stack of recurrent layers.

    Attributes:
        num_layers: how many.
        hidden_size: units of each.
    """

    num_layers: int
    hidden_size: int

    def weights(self, input_size: int) -> int:
        """About how many weights an LSTM of this size has."""
        first = 4 * self.hidden_size * (input_size + self.hidden_size)
        return first + (self.num_layers - 1) * 8 * self.hidden_size**2


SIZES = (
    Size(1, 64),
    Size(1, 128),
    Size(1, 192),
    Size(1, 256),
    Size(1, 320),
    Size(1, 384),
    Size(1, 448),
    Size(1, 512),
    Size(1, 640),
    Size(1, 768),
    Size(2, 640),
    Size(2, 768),
    Size(2, 1024),
    Size(2, 1536),
)


def choose_size(
    training_tokens: int,
    *,
    reading: float | None = None,
    seconds: float | None = None,
    measure: Callable[[Size], float] | None = None,
    input_size: int = 128,
) -> tuple[Size, float]:
    """Choose the largest network that the text and the time can train.

    Args:
        training_tokens: length of the text.
        reading: tokens that training will read in all, where that is known.
        seconds: the time to train, where ``reading`` follows from speed.
        measure: gives the seconds that a network of a size takes to train on one token.
        input_size: features of a token's vector.

    Returns:
        The size, and about how many tokens will be read.
    """
    candidates = [size for size in SIZES if size.weights(input_size) <= WEIGHTS_PER_TOKEN * training_tokens] or [
        SIZES[0]
    ]
    if reading is not None:
        return _largest(candidates, lambda _: reading, training_tokens, input_size), reading
    if seconds is None or measure is None:
        raise ValueError("without a reading, both seconds and a measure of speed are needed")
    measured = {candidates[len(candidates) // 2]: measure(candidates[len(candidates) // 2])}

    def expected(size: Size) -> float:
        nearest = min(measured, key=lambda other: abs(math.log(other.weights(input_size) / size.weights(input_size))))
        work = size.weights(input_size) / nearest.weights(input_size)
        return seconds / (measured[nearest] * work)

    while (best := _largest(candidates, expected, training_tokens, input_size)) not in measured:
        measured[best] = measure(best)
    return best, expected(best)


def choose_dropout(passes: float, weights_per_token: float) -> float:
    """The dropout against learning a text by heart: more for more passes over it and for more weights, at most 0.5.

    None for a single pass; a third for a dozen passes of a network that has a weight for each token.
    """
    if passes <= 1:
        return 0.0
    wanted = 0.085 * math.log2(passes) + 0.05 * math.log2(weights_per_token)
    return round(min(0.5, max(0.0, wanted)), 2)


def _largest(candidates: list[Size], reading: Callable[[Size], float], training_tokens: int, input_size: int) -> Size:
    fitting = [size for size in candidates if reading(size) >= PASSES * min(training_tokens, size.weights(input_size))]
    return max(fitting, key=lambda size: size.weights(input_size), default=candidates[0])
