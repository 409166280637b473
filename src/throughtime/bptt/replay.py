"""What a second run of a segment needs to be the same as the first: random numbers, and autocast as it was."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import get_device_states, set_device_states


@dataclass(frozen=True)
class RandomState:
    """Where the random number generators of the processor and of the tensors' devices stand.

    Attributes:
        states: of the processor, then of each device.
        devices: the indices of the devices.
        device_type: the kind of the devices; "cpu" where there is none.
    """

    states: tuple[Tensor, ...]
    devices: tuple[int, ...]
    device_type: str

    @classmethod
    def now(cls, tensors: Iterable[Tensor], earlier: RandomState | None = None) -> RandomState:
        """Note where the generators stand; where that is as it was earlier, it takes no new memory."""
        elsewhere = [tensor for tensor in tensors if tensor.device.type != "cpu"]
        devices, states = get_device_states(*elsewhere) if elsewhere else ((), ())
        new = (torch.get_rng_state(), *states)
        if earlier is not None and all(map(torch.equal, new, earlier.states)):
            return earlier
        return cls(new, tuple(devices), elsewhere[0].device.type if elsewhere else "cpu")

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        return sum(state.nbytes for state in self.states)

    def restore(self) -> None:
        """Set the generators back to where they stood."""
        # Copies, since torch 2.13 crashes where a generator's state is a view into a larger tensor.
        processor, *others = (state.clone() for state in self.states)
        torch.set_rng_state(processor)
        if self.devices:
            set_device_states(list(self.devices), others, device_type=self.device_type)


@contextmanager
def random_numbers_kept(tensors: Iterable[Tensor]) -> Generator[RandomState]:
    """Leave the generators after the block where they were before it, which is what ``with`` gives."""
    before = RandomState.now(tensors)
    try:
        yield before
    finally:
        before.restore()


def autocast_as_now(tensors: Iterable[Tensor]) -> Callable[[], AbstractContextManager[object]]:
    """Note how autocast is set for the processor and the tensors' devices; what comes back sets it so again."""
    settings = [
        (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind), torch.is_autocast_cache_enabled())
        for kind in {"cpu", *(tensor.device.type for tensor in tensors)}
    ]

    @contextmanager
    def again() -> Generator[None]:
        with ExitStack() as stack:
            for kind, dtype, enabled, cache in settings:
                stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled, cache_enabled=cache))
            yield

    return again
