"""Truncated backpropagation through time, BPTT(k2; k1), that runs each step forwards once.

The graph of the last k2 steps is kept, in segments that are cut where a window starts or ends, and each window's loss
goes back through those of the window, from the last to the first:

    steps      0 . . . . 5 . . . . 10 . . . 15        k1 = 5, k2 = 10
    window 0   [run, loss]
    window 1   [  kept  ][run, loss]
    window 2             [  kept   ][run, loss]

This is the algorithm as Williams & Peng (1990) describe it: the gradient is taken with the activations that the
network had at each step, and with the weights that made them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

from throughtime.bptt.segment import Part, Run, Segment, accumulate, is_differentiable
from throughtime.bptt.state import detach, tensors_of
from throughtime.bptt.truncated import TruncatedLoss, Window, check_same_time, windows
from throughtime.errors import ArgumentError


def truncated_bptt_with_history(
    run: Run,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    state: Any = None,
    *,
    k1: int,
    k2: int | None = None,
) -> Iterator[TruncatedLoss]:
    """Go through a sequence window by window as ``truncated_bptt`` does, but run each step forwards only once.

    The two differ where the weights have been updated within a window. ``truncated_bptt`` runs the window again and
    gives the exact gradient at the present weights, from a state that earlier weights have made. This function goes
    back through the steps as they were: the steps before the last k1 with the weights that they were run with, which
    are copied for that, and the derivatives are added up as though they were to the present weights. As long as no
    weight has changed in the window, the two are equal, and otherwise they differ in the order of the learning rate.
    For k1 = k2 they are the same. The way back is as long in both; that through a window can be gone once.

    What it takes is the graph of k2 steps and a copy of the weights for each k1 of them.

    Args:
        run: a recurrent network, ``run(inputs, state) -> (outputs, state)``. It is called on at most k1 steps.
        inputs: shape (time, batch, ...).
        targets: shape (time, batch, ...).
        loss: ``loss(outputs, targets)`` of the steps that count, a scalar.
        state: the state before the sequence; None for the network's own initial state.
        k1: steps from one update to the next.
        k2: steps that the gradient flows back, at least k1, which is the default.

    Raises:
        ArgumentError: where k1 or k2 can't be used, or inputs and targets differ in time; when called and not only
            when iterated over. Where a loss is gone back through twice, or a tensor that ``run`` read, not being a
            weight, was changed in place.

    >>> layer = torch.nn.RNN(2, 3)
    >>> optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    >>> inputs, targets = torch.zeros(7, 1, 2), torch.ones(7, 1, 3)
    >>> for part in truncated_bptt_with_history(layer, inputs, targets, torch.nn.functional.mse_loss, k1=3, k2=6):
    ...     part.loss.backward()
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    """
    check_same_time(inputs, targets)
    parts = windows(len(inputs), k1, k2)
    return _losses(run, inputs, targets, loss, detach(state), parts, cut=-(k1 if k2 is None else k2) % k1)


@dataclass(frozen=True)
class _Kept:
    """A segment whose graph is kept: from which step to which, the state before it, and the weights that it read."""

    start: int
    stop: int
    before: Any
    segment: Segment
    weights: dict[int, Tensor]


def _losses(
    run: Run,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    state: Any,
    parts: Iterator[Window],
    *,
    cut: int,
) -> Iterator[TruncatedLoss]:
    def recur(sequences: tuple[Tensor, ...], before: Any) -> tuple[Tensor, Any]:
        return run(sequences[0], before)

    history: deque[_Kept] = deque()
    for window in parts:
        while history and history[0].start < window.start:
            history.popleft()
        keep = _Keep()
        # Every window starts at a multiple of k1 less k2, and so does a segment.
        borders = sorted({window.loss_start, min(window.loss_start + cut, window.stop), window.stop})
        for start, stop in pairwise(borders):
            of_state = [start > window.start and is_differentiable(tensor) for tensor in tensors_of(state)]
            kept = keep.run(recur, inputs[start:stop], state, [inputs.requires_grad, *of_state], start)
            history.append(kept)
            state = detach(kept.segment.state)
        following = window.start + window.carry
        carried = next((kept.before for kept in history if kept.start == following), state)
        yield TruncatedLoss(_window_loss(window, list(history), inputs, targets, loss), window, carried)


def _window_loss(
    window: Window,
    history: list[_Kept],
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    def measure(sequences: tuple[Tensor, ...], _: Any) -> tuple[Tensor, None]:
        return loss(sequences[0], sequences[1]), None

    last = [kept.segment.result.detach() for kept in history if kept.start >= window.loss_start]
    outputs = last[0] if len(last) == 1 else torch.cat(last)
    measured = Segment(measure, (outputs, targets[window.loss_start : window.stop]), None, (True, False))
    weights = measured.graph()[0]
    for kept in history:
        weights |= kept.weights
    path = _Path(window, history, measured, list(weights.values()))
    result: Any = _WindowLoss.apply(path, inputs[window.start : window.stop], *weights.values())
    return result


class _WindowLoss(torch.autograd.Function):
    """The node that stands in the caller's graph for a window."""

    @staticmethod
    def forward(ctx: Any, path: _Path, *_: Tensor) -> Tensor:
        ctx.path = path
        assert path.measured is not None  # noqa: S101 - it is there until the way back
        return path.measured.result.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, *ctx.path.back(gradient)


class _Path:
    """The way back through one window."""

    def __init__(self, window: Window, history: list[_Kept], measured: Segment, weights: Sequence[Tensor]) -> None:
        self.window = window
        self.history = history
        self.measured: Segment | None = measured
        self.weights = weights

    def back(self, loss_gradient: Tensor) -> list[Tensor | None]:
        """Give the gradients of the window's inputs and of the weights, and let go of the graph."""
        if self.measured is None:
            raise ArgumentError("the loss of a window can be gone back through once; take its gradients in one call")
        totals: list[Tensor | None] = [None] * len(self.weights)
        (of_outputs, _), of_weights = self.measured.gradients(loss_gradient, [], self.weights, keep_graph=False)
        accumulate(totals, of_weights)
        of_inputs: list[Tensor | None] = []
        carried: list[Tensor | None] = [None] * len(tensors_of(self.history[-1].segment.state))
        for kept in reversed(self.history):
            first = kept.start - self.window.loss_start
            own = of_outputs[first : first + kept.stop - kept.start] if of_outputs is not None and first >= 0 else None
            (of_segment, *carried), of_weights = kept.segment.gradients(own, carried, self.weights, keep_graph=True)
            accumulate(totals, of_weights)
            of_inputs.append(of_segment)
        # The caller may hold the loss while the next window is run.
        self.history, self.measured = [], None
        of_inputs.reverse()
        found = [gradient for gradient in of_inputs if gradient is not None]
        return [torch.cat(found) if len(found) == len(of_inputs) else None, *totals]


class _Keep:
    """Runs segments whose graphs outlive updates of the weights, which optimisers change in place."""

    def __init__(self) -> None:
        self._copies: dict[tuple[Any, ...], Tensor] = {}

    def run(self, part: Part, inputs: Tensor, state: Any, wanted: Sequence[bool], start: int) -> _Kept:
        """Run a segment and copy what its graph holds of the weights, each of them once for all segments."""
        saved: list[_Saved] = []

        def pack(tensor: Tensor) -> _Saved:
            saved.append(_Saved(tensor))
            return saved[-1]

        with saved_tensors_hooks(pack, _Saved.unpack):
            segment = Segment(part, (inputs,), state, wanted)
        weights = segment.graph()[0]
        # By the storage, since a graph also holds views of weights, and cuDNN's buffer of all of them.
        storages = {weight.untyped_storage().data_ptr() for weight in weights.values()}
        for one in saved:
            if one.tensor.layout is torch.strided and one.tensor.untyped_storage().data_ptr() in storages:
                tensor = one.tensor
                key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
                if key not in self._copies:
                    self._copies[key] = tensor.clone()
                one.replace(self._copies[key])
        return _Kept(start, start + len(inputs), state, segment, weights)


class _Saved:
    """A tensor that a graph holds, and its version, since torch looks at that only where there are no hooks."""

    def __init__(self, tensor: Tensor) -> None:
        self.replace(tensor)

    def replace(self, tensor: Tensor) -> None:
        """Hold another tensor in its place."""
        self.tensor = tensor.detach()  # an output that its own graph holds would never be freed
        self.version = tensor._version  # pyright: ignore[reportPrivateUsage]

    def unpack(self) -> Tensor:
        """Give it back to the graph."""
        if self.tensor._version != self.version:  # pyright: ignore[reportPrivateUsage]
            raise ArgumentError(
                f"a tensor of shape {tuple(self.tensor.shape)} that `run` has read, and that is not a weight, was "
                "changed in place before the gradient came back to it"
            )
        return self.tensor
