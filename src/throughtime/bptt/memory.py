"""Memory: budgets as they are written, and what a segment of a sequence takes, measured."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from throughtime._core import take_scratch_peak
from throughtime.bptt.replay import RandomState, random_numbers_kept
from throughtime.bptt.segment import Part, Segment, is_differentiable
from throughtime.bptt.state import tensors_of
from throughtime.errors import ArgumentError

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_FIRST_PROBE = 2


def parse_bytes(name: str, budget: int | str) -> int:
    """Read a number of bytes, or a string such as "512MB" or "1.5 GiB".

    >>> parse_bytes("memory_budget", "1.5 GiB")
    1610612736

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(budget, int) and not isinstance(budget, bool) and budget > 0:
        return budget
    if isinstance(budget, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", budget.strip())
        units = {unit.lower(): size for unit, size in _UNITS.items()}
        if match and match[2].lower() in units and float(match[1]) > 0:
            return int(float(match[1]) * units[match[2].lower()])
    raise ArgumentError(f"`{name}` must be a positive number of bytes or a string such as '512MB', got {budget!r}")


def format_bytes(count: int) -> str:
    """Write a number of bytes so that it reads well and is not less than it is.

    >>> format_bytes(1_234_567)
    '1.24 MB'
    """
    unit = next(unit for unit in ("GB", "MB", "kB", "B") if count >= _UNITS[unit] or unit == "B")
    hundredths = -(-count * 100 // _UNITS[unit])
    return f"{hundredths / 100:g} {unit}"


@dataclass(frozen=True)
class SegmentCosts:
    """What a segment takes while it is run and gone back through, in bytes: ``fixed + step * steps``.

    Attributes:
        fixed: whatever its length, such as the gradients of the weights.
        step: for each of its steps.
        state: for a stored state.
    """

    fixed: int
    step: int
    state: int


@dataclass(frozen=True)
class Probe:
    """What was seen of a network in its first steps.

    Attributes:
        costs: of a segment.
        weights: the leaves that it reads and that need a gradient.
        reads_a_graph: whether it reads a tensor with a graph of its own that was made before.
    """

    costs: SegmentCosts
    weights: list[Tensor]
    reads_a_graph: bool


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that operations make or graphs hold, from when they are made until they are freed.

    What an operation takes and gives back within itself is not seen; of the native core ``take_scratch_peak`` tells.

    Args:
        known: tensors that were there before and do not count; what operations are given does not count either.

    Attributes:
        live: bytes that are alive now.
        peak: the most that were alive at a time since it was last set.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._seen: dict[int, weakref.ref[Any]] = {}
        self._counted: dict[int, int] = {}
        self._known = {tensor.untyped_storage().data_ptr() for tensor in known}

    def holding(self) -> saved_tensors_hooks:
        """Count in the block also what graphs hold that no operation of torch's has made."""
        return saved_tensors_hooks(self._hold, lambda tensor: tensor)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what is new in what it gives."""
        for tensor in tensors_of((args, kwargs)):
            self._is_new(tensor)
        output = func(*args, **(kwargs or {}))
        for tensor in tensors_of(output):
            if self._is_new(tensor):
                self._count(tensor)
        return output

    def _hold(self, tensor: Tensor) -> Tensor:
        # It may have been seen before, as what an operation was given.
        self._is_new(tensor)
        self._count(tensor)
        return tensor.detach()  # an output that its own graph holds would never be freed

    def _is_new(self, tensor: Tensor) -> bool:
        """Whether its storage has not been seen before; from now on it has, and does not count as yet."""
        if tensor.layout is not torch.strided:
            return False
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._seen:
            return False

        def freed(_: object) -> None:
            self.live -= self._counted.pop(key, 0)
            del self._seen[key]

        self._seen[key] = weakref.ref(storage, freed)
        return True

    def _count(self, tensor: Tensor) -> None:
        if tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        if id(storage) not in self._counted and storage.data_ptr() not in self._known:
            self._counted[id(storage)] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)


def probe(part: Part, sequences: Sequence[Tensor], state: Any, wanted: Sequence[bool]) -> Probe:
    """Run the first steps, forwards and back, to see what a segment takes and which weights it reads.

    The number of steps is doubled until they take more than what is taken whatever their number. The generators of
    random numbers are left as they were.

    Args:
        part: what is run.
        sequences: of shape (time, ...).
        state: the state before the first step.
        wanted: for each of the sequences, then for each tensor of the state, whether its gradient is wanted.
    """

    def first(steps: int) -> Segment:
        return Segment(part, [sequence[:steps] for sequence in sequences], state, wanted)

    length = len(sequences[0])
    tensors = [*sequences, *tensors_of(state)]
    with random_numbers_kept(tensors) as random:
        steps = min(length, _FIRST_PROBE)
        one, another = first(steps), first(steps)
        weights, nodes = one.graph()
        # Two runs have no node in common but what was there before them.
        reads_a_graph = not nodes.isdisjoint(another.graph()[1])
        drawn = RandomState.now(tensors, random)
        before = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(state)}
        after = [tensor for tensor in tensors_of(one.state) if tensor.untyped_storage().data_ptr() not in before]
        stored = sum(tensor.nbytes for tensor in after) + (0 if drawn is random else drawn.nbytes)
        carried = sum(tensor.nbytes for tensor in tensors_of(one.state) if is_differentiable(tensor))
        known = [*tensors, *weights.values()]
        del one, another, nodes, after

        peaks = _peaks(first, steps, known, keep_graph=reads_a_graph)
        step, fixed = [ceil(peak / steps) for peak in peaks], [0, 0]
        while steps < length and (steps == _FIRST_PROBE or 2 * max(fixed) > max(peaks)):
            more = min(length, 2 * steps)
            higher = _peaks(first, more, known, keep_graph=reads_a_graph)
            step = [max(0, ceil((high - low) / (more - steps))) for low, high in zip(peaks, higher, strict=True)]
            fixed = [max(0, high - slope * more) for slope, high in zip(step, higher, strict=True)]
            steps, peaks = more, higher
    # Beside the segment there are the gradient of the state after it and the sums of the weights' gradients, of which
    # there is another copy as they are begun.
    beside = carried + 2 * sum(weight.nbytes for weight in weights.values())
    return Probe(SegmentCosts(max(fixed) + beside, max(step), stored), list(weights.values()), reads_a_graph)


def _peaks(
    first: Callable[[int], Segment], steps: int, known: Sequence[Tensor], *, keep_graph: bool
) -> tuple[int, int]:
    """The most bytes that a segment takes at a time on the way forwards, and on the way back.

    Apart, since in a short segment the weights' gradients hide how the graph grows with the steps.
    """
    live = LiveBytes(known)
    take_scratch_peak()
    with live, live.holding():
        segment = first(steps)
        forwards, live.peak = live.peak + take_scratch_peak(), live.live
        weights = list(segment.graph()[0].values())
        state_gradients = [
            torch.ones_like(tensor) if is_differentiable(tensor) else None for tensor in tensors_of(segment.state)
        ]
        segment.gradients(torch.ones_like(segment.result), state_gradients, weights, keep_graph=keep_graph)
    return forwards, live.peak + take_scratch_peak()
