"""How long a cell remembers, read off the gate that keeps its memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.inspection.gates import Activations


@dataclass(frozen=True)
class MemorySpan:
    """How long the units of a layer keep what they hold.

    Attributes:
        name: of the layer.
        half_lives: of each unit, shape (hidden_size,), float64, in steps: after how many of them half of the content
            is left, ln 2 / -mean(ln f), f being what the forget gate (a GRU's update gate) let stay at each step.
            Infinite where it kept all.
    """

    name: str
    half_lives: Tensor

    def describe(self) -> str:
        """The spans in words."""
        shortest, middle, longest = torch.quantile(
            self.half_lives.clamp(max=1e9), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
        ).tolist()
        return (
            f"{self.name}: half of what a unit holds is gone after {_steps(middle)} in the middle of the units; "
            f"a tenth of them loses it within {_steps(shortest)}, a tenth keeps it for {_steps(longest)} or more."
        )


def memory_span(activations: Activations) -> MemorySpan:
    """Read half-lives off the gates that a layer had while it read.

    Content decays by the product of the gate's values, so that their geometric mean tells. It says how long a unit
    holds what it was given, not for how long that stays useful.

    Raises:
        ArgumentError: where the cell has no gate that keeps, as Elman's.
    """
    if activations.keeps is None:
        raise ArgumentError("`activations` must be of a cell that has a forget or an update gate, an LSTM's or a GRU's")
    keeps = activations.keeps.double()
    valid = torch.ones(keeps.shape[:2], dtype=torch.bool, device=keeps.device)
    if activations.lengths is not None:
        valid = torch.arange(len(keeps)).unsqueeze(1) < activations.lengths
    rates = -keeps[valid.to(keeps.device)].clamp(min=1e-300).log().flatten(0, -2).mean(0)
    return MemorySpan(activations.name, math.log(2) / rates.clamp(min=0))


def memory_spans(activations: Sequence[Activations]) -> list[MemorySpan]:
    """``memory_span`` of each layer and direction; none for a cell without such a gate."""
    return [memory_span(one) for one in activations if one.keeps is not None]


def _steps(count: float) -> str:
    return f"{count:.1f} steps" if count < 10 else f"{count:,.0f} steps"
