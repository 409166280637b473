"""Neurons that follow something: ranked by how well their value tells what a mask says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.errors import ArgumentError, check_positive_integer
from throughtime.inspection.gates import Activations

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Neuron:
    """One unit of a state, of one layer and direction.

    Attributes:
        layer: from 0.
        reverse: whether it reads from the end.
        state: hidden or cell.
        unit: from 0.
    """

    layer: int
    reverse: bool
    state: str
    unit: int

    def __str__(self) -> str:
        direction = ", reverse" if self.reverse else ""
        return f"layer {self.layer + 1}{direction}, {self.state} {self.unit}"


@dataclass(frozen=True)
class RankedNeuron:
    """How well a neuron tells what a mask says.

    Attributes:
        neuron: which.
        score: for a mask of two values the AUROC: the probability that the neuron is higher where the mask is True
            than where it is not, below 0.5 where it is lower. For numbers, Pearson's correlation.
        strength: how far the score is from saying nothing, from 0 to 1: 2 |AUROC - 0.5|, or |correlation|.
        held_out: the score on steps that had no part in the ranking; None where none were kept.
    """

    neuron: Neuron
    score: float
    strength: float
    held_out: float | None = None


def rank_neurons(
    activations: Sequence[Activations], mask: npt.ArrayLike, *, row: int = 0, held_out: float = 0.0
) -> list[RankedNeuron]:
    """Rank all units of all states by how well each alone tells what the mask says.

    The best of many hundred neurons looks good by chance as well: with ``held_out``, the ranking is made on the
    beginning of the sequence, and each score is measured again on the rest.

    Args:
        activations: what the layer did, as ``record_gates`` gives it.
        mask: shape (time,): bool, or numbers, of which two different ones are taken as False and True.
        row: which row of the batch the mask belongs to.
        held_out: the share of the steps, at their end, that is kept from the ranking.

    Returns:
        The strongest first.

    Raises:
        ArgumentError: where the mask is not as long as the row, or is the same everywhere.
    """
    values = np.asarray(mask, dtype=np.float64)
    own = [one.row(row) for one in activations]
    time = len(next(iter(own[0].states.values()))) if own else 0
    if values.shape != (time,):
        raise ArgumentError(f"`mask` must have shape ({time},), a value for each step, got {values.shape}")
    border = time - round(time * held_out)
    neurons, matrix = neuron_values(own)
    scores, is_binary = _scores(matrix[:border], values[:border])
    again = _scores(matrix[border:], values[border:], binary=is_binary)[0] if _varies(values[border:]) else None
    strengths = 2 * np.abs(scores - 0.5) if is_binary else np.abs(scores)
    order = np.argsort(-strengths, kind="stable")
    return [
        RankedNeuron(
            neurons[place],
            float(scores[place]),
            float(strengths[place]),
            None if again is None else float(again[place]),
        )
        for place in order.tolist()
    ]


def neuron_values(activations: Sequence[Activations]) -> tuple[list[Neuron], Values]:
    """All units of all states of a batch of one row: which they are, and their values, shape (time, neurons)."""
    neurons: list[Neuron] = []
    columns: list[Values] = []
    for one in activations:
        for name, values in one.states.items():
            columns.append(values[:, 0].double().cpu().numpy())
            neurons += [Neuron(one.layer, one.reverse, name, unit) for unit in range(values.shape[-1])]
    return neurons, np.concatenate(columns, axis=1)


def most_varied(activations: Sequence[Activations], count: int, *, row: int = 0) -> list[Neuron]:
    """The neurons whose values vary most over a row, in units of what they can reach, one layer's as another's.

    Hidden states alone, which lie between -1 and 1 in most cells.
    """
    check_positive_integer("count", count)
    neurons, values = neuron_values([one.row(row) for one in activations])
    places = [place for place, neuron in enumerate(neurons) if neuron.state == "hidden"]
    spread = values[:, places].std(axis=0)
    return [neurons[places[place]] for place in np.argsort(-spread, kind="stable")[:count].tolist()]


def values_of(activations: Sequence[Activations], neuron: Neuron, *, row: int = 0) -> Values:
    """A neuron's value at each step of a row, shape (time,).

    Raises:
        ArgumentError: where there is no such neuron.
    """
    for one in activations:
        if (one.layer, one.reverse) == (neuron.layer, neuron.reverse) and neuron.state in one.states:
            values = one.row(row).states[neuron.state]
            if 0 <= neuron.unit < values.shape[-1]:
                return values[:, 0, neuron.unit].double().cpu().numpy()
    raise ArgumentError(f"`neuron` must be one of the layer's, got {neuron}")


def _varies(values: Values) -> bool:
    return len(values) > 1 and bool((values != values[0]).any())


def _scores(matrix: Values, values: Values, *, binary: bool | None = None) -> tuple[Values, bool]:
    """The score of each column, and whether it is an AUROC."""
    if not _varies(values):
        raise ArgumentError("`mask` is the same at all steps that are ranked by; there is nothing to tell apart")
    kinds = np.unique(values)
    is_binary = len(kinds) == 2 if binary is None else binary
    if not is_binary:
        centred = matrix - matrix.mean(axis=0)
        target = values - values.mean()
        lengths = np.sqrt((centred**2).sum(axis=0) * (target**2).sum())
        return np.divide(target @ centred, lengths, out=np.zeros(matrix.shape[1]), where=lengths > 0), False
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    positive = values == kinds[-1]
    count = int(positive.sum())
    ranks: Any = rankdata(matrix, axis=0)
    # Mann and Whitney's U, as a share of all pairs.
    above = ranks[positive].sum(axis=0) - count * (count + 1) / 2
    return above / (count * (len(values) - count)), True
