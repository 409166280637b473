"""Truncated backpropagation through time: BPTT(k2; k1) of Williams & Peng (1990).

Every k1 steps the loss of the last k1 outputs flows back through the last k2 steps and not one further. A window
is those k2 steps; it starts from a state that is a constant. Where k2 > k1 the windows overlap, and the state at
which the next one starts lies inside this one:

    steps      0 . . . . 5 . . . . 10 . . . 15        k1 = 5, k2 = 10
    window 0   [loss    ]
    window 1   [         loss      ]
    window 2             [          loss   ]

Here each window is run anew with the weights as they are now, k2 / k1 times each step. In ``throughtime.bptt.history``
each step is run once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.bptt.segment import Run
from throughtime.bptt.state import detach
from throughtime.errors import ArgumentError, check_positive_integer


@dataclass(frozen=True)
class Window:
    """The part of a sequence between two updates.

    Attributes:
        start: the first step that the gradient reaches.
        stop: the step after the last.
        loss_start: the first step whose output counts in the loss.
        carry: steps from ``start`` to the start of the next window, or to the end of the sequence.
    """

    start: int
    stop: int
    loss_start: int
    carry: int


@dataclass(frozen=True)
class TruncatedLoss:
    """One window's loss.

    Attributes:
        loss: what to call ``backward`` on.
        window: the steps that it covers.
        state: the state, detached, at which the next window starts; after the last window, at the sequence's end.
    """

    loss: Tensor
    window: Window
    state: Any


def check_truncation(k1: int, k2: int | None) -> int:
    """Give k2, which is k1 where it is None.

    Raises:
        ArgumentError: where k1 or k2 is not a positive integer, or k2 is less than k1.
    """
    check_positive_integer("k1", k1)
    if k2 is None:
        return k1
    check_positive_integer("k2", k2)
    if k2 < k1:
        raise ArgumentError(
            f"`k2` must be at least `k1` ({k1}), or the loss of some outputs would flow nowhere; got {k2}"
        )
    return k2


def check_same_time(inputs: Tensor, targets: Tensor) -> None:
    """Raise ArgumentError unless there is one time step of targets for each of the inputs."""
    if len(inputs) != len(targets):
        raise ArgumentError(f"`targets` must have as many time steps as `inputs` ({len(inputs)}), got {len(targets)}")


def windows(length: int, k1: int, k2: int | None = None) -> Iterator[Window]:
    """The windows of a sequence.

    The last one ends with the sequence and may have fewer outputs that count; each of them flows back as far as it
    would in a full window. All its steps are carried, so that its state is the one after the sequence.

    Args:
        length: steps of the sequence.
        k1: steps from one update to the next.
        k2: steps that the gradient flows back, at least k1, which is the default.

    >>> [(window.start, window.loss_start, window.stop) for window in windows(12, 5, 10)]
    [(0, 0, 5), (0, 5, 10), (5, 10, 12)]

    Raises:
        ArgumentError: where k1, k2 or the length can't be used; when called and not only when iterated over.
    """
    check_positive_integer("length", length)
    return _windows(length, k1, check_truncation(k1, k2))


def _windows(length: int, k1: int, k2: int) -> Iterator[Window]:
    for loss_start in range(0, length, k1):
        stop = min(loss_start + k1, length)
        start = max(0, loss_start + k1 - k2)
        following = stop if stop == length else max(0, loss_start + 2 * k1 - k2)
        yield Window(start, stop, loss_start, following - start)


def run_window(run: Run, inputs: Tensor, state: Any, *, carry: int) -> tuple[Tensor, Any]:
    """Run a window's inputs and keep the state after the first ``carry`` of them for the next window.

    The network is called once where ``carry`` is the whole window (k1 = k2) or nothing, else twice. What it does
    differs in nothing from running the window in one call, as long as it draws no random numbers.

    Args:
        run: the network.
        inputs: shape (time, batch, ...), the window's inputs.
        state: the state before the window, detached; None for the network's own initial state.
        carry: from 0 to time.

    Returns:
        The outputs of all steps, shape (time, batch, ...), and the carried state, detached.
    """
    if carry == 0:
        outputs, _ = run(inputs, state)
        return outputs, state
    first, middle = run(inputs[:carry], state)
    if carry == len(inputs):
        return first, detach(middle)
    second, _ = run(inputs[carry:], middle)
    return torch.cat([first, second]), detach(middle)


def truncated_bptt(
    run: Run,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    state: Any = None,
    *,
    k1: int,
    k2: int | None = None,
) -> Iterator[TruncatedLoss]:
    """Go through a sequence window by window; call ``backward`` and update the weights between them.

    Every window is run from its start with the weights as they are now, and the gradient is the exact one of that
    run. ``truncated_bptt_with_history`` runs each step once instead.

    Args:
        run: a recurrent network, ``run(inputs, state) -> (outputs, state)``.
        inputs: shape (time, batch, ...).
        targets: shape (time, batch, ...).
        loss: ``loss(outputs, targets)`` of the steps that count, a scalar.
        state: the state before the sequence; None for the network's own initial state.
        k1: steps from one update to the next.
        k2: steps that the gradient flows back, at least k1, which is the default.

    Raises:
        ArgumentError: where k1 or k2 can't be used, or inputs and targets differ in time; when called and not only
            when iterated over.

    >>> layer = torch.nn.RNN(2, 3)
    >>> inputs, targets = torch.zeros(7, 1, 2), torch.ones(7, 1, 3)
    >>> for part in truncated_bptt(layer, inputs, targets, torch.nn.functional.mse_loss, k1=3, k2=6):
    ...     part.loss.backward()  # and an optimiser's step
    """
    check_same_time(inputs, targets)
    return _losses(run, inputs, targets, loss, detach(state), windows(len(inputs), k1, k2))


def _losses(
    run: Run,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    state: Any,
    parts: Iterator[Window],
) -> Iterator[TruncatedLoss]:
    for window in parts:
        outputs, state = run_window(run, inputs[window.start : window.stop], state, carry=window.carry)
        counted = outputs[window.loss_start - window.start :]
        yield TruncatedLoss(loss(counted, targets[window.loss_start : window.stop]), window, state)
