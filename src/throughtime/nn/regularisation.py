"""What regularises a recurrent layer from inside its time loop: the options, and the masks that they draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.errors import ArgumentError, check_range
from throughtime.recurrence import Direction


class RegularisationOptions(TypedDict, total=False):
    """The probabilities that a recurrent layer takes by keyword beside torch.nn's ``dropout``; see ``Recurrent``."""

    input_dropout: float
    output_dropout: float
    recurrent_dropout: float
    candidate_dropout: float
    zoneout: float | Sequence[float]
    weight_dropout: float


def check_regularisation(
    cell: Cell,
    *,
    input_dropout: float = 0.0,
    output_dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    candidate_dropout: float = 0.0,
    zoneout: float | Sequence[float] = 0.0,
    weight_dropout: float = 0.0,
) -> dict[str, float | tuple[float, ...]]:
    """Check the options for a layer of ``cell``; give all of them by name, several zoneouts as a tuple.

    Raises:
        ArgumentError: if a probability is not in [0, 1], ``zoneout`` has not one for each state, or
            ``candidate_dropout`` has no gate to act behind.
    """
    probabilities = {
        "input_dropout": input_dropout,
        "output_dropout": output_dropout,
        "recurrent_dropout": recurrent_dropout,
        "candidate_dropout": candidate_dropout,
        "weight_dropout": weight_dropout,
    }
    shares = tuple(zoneout) if isinstance(zoneout, Sequence) else zoneout
    if isinstance(shares, tuple):
        if len(shares) != len(cell.states):
            wanted = f"one for each of {len(cell.states)} states ({', '.join(cell.states)})"
            raise ArgumentError(f"`zoneout` must be one probability or {wanted}, got {zoneout!r}")
        each = {f"zoneout[{index}]": share for index, share in enumerate(shares)}
    else:
        each = {"zoneout": shares}
    for name, probability in {**probabilities, **each}.items():
        check_range(name, probability, low=0, high=1)
    if candidate_dropout and cell.gates == ("candidate",):
        raise ArgumentError(f"`candidate_dropout` needs a cell whose candidate is gated, which {cell.name!r} has not")
    return {**probabilities, "zoneout": shares}


def regularised(
    direction: Direction,
    steps: tuple[int, int],
    state_sizes: tuple[int, ...],
    *,
    training: bool,
    recurrent_dropout: float,
    candidate_dropout: float,
    zoneout: float | Sequence[float],
    weight_dropout: float,
) -> Direction:
    """Give ``direction`` the masks of one call, drawn from torch's generator in the order of the arguments.

    Args:
        direction: the direction without masks.
        steps: time and batch.
        state_sizes: the size of each state; the last is hidden_size in every cell, projected or not.
        training: whether to draw; if not, all that acts is zoneout, by its probabilities.
        recurrent_dropout: the probability that a unit of h_{t-1} is dropped for the whole sequence.
        candidate_dropout: the probability that a unit of the candidate is dropped at a step.
        zoneout: the probability that a unit of a state keeps its value at a step, for each state.
        weight_dropout: the probability that an element of weight_hh is dropped for the whole batch.
    """
    if not (zoneout or (training and (recurrent_dropout or candidate_dropout or weight_dropout))):
        return direction  # a single step should not wait for what follows
    weights = direction.weights
    like = weights["weight_hh"]
    time, batch = steps
    recurrent = candidate = None
    if training and recurrent_dropout:
        recurrent = dropout_mask(like, (batch, state_sizes[0]), recurrent_dropout)
    if training and candidate_dropout:
        candidate = dropout_mask(like, (time, batch, state_sizes[-1]), candidate_dropout)
    probabilities = zoneout if isinstance(zoneout, Sequence) else [zoneout] * len(state_sizes)
    shares = tuple(
        zoneout_share(like, (time, batch, size), probability, training=training) if probability else None
        for size, probability in zip(state_sizes, probabilities, strict=True)
    )
    if training and weight_dropout:
        weights = {**weights, "weight_hh": like * dropout_mask(like, tuple(like.shape), weight_dropout)}
    return replace(
        direction,
        weights=weights,
        recurrent_dropout=recurrent,
        candidate_dropout=candidate,
        zoneout=shares if any(share is not None for share in shares) else (),
    )


def dropout_mask(like: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """Draw 0 with probability ``p`` and 1 / (1 - p) else, of the dtype and on the device of ``like``."""
    return _bernoulli(like, shape, 1 - p).mul_(1 / (1 - p) if p < 1 else 0).to(like.dtype)


def zoneout_share(like: Tensor, shape: tuple[int, ...], p: float, *, training: bool) -> Tensor:
    """The share of the old state that stays: in training drawn, 1 with probability ``p`` and 0 else; then ``p``."""
    if training:
        return _bernoulli(like, shape, p).to(like.dtype)
    return like.new_full((), p).expand(shape)


def _bernoulli(like: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    # A third of the time of bernoulli_ on the CPU (2.5 against 7.8 ns a number), which a mask for each step would make
    # felt. Never in half precision, where uniform numbers are too coarse to tell near probabilities apart.
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.empty(shape, dtype=dtype, device=like.device).uniform_().lt_(p)
