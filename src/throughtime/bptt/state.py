"""States of recurrent networks: a tensor, None, or nested tuples, lists and dicts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply ``function`` to each tensor of a state and keep the nesting; anything else stays as it is."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {name: map_tensors(function, part) for name, part in cast("dict[Any, Any]", state).items()}
    if isinstance(state, tuple | list):
        parts = [map_tensors(function, part) for part in cast("list[Any]", state)]
        if hasattr(state, "_fields"):
            return type(state)(*parts)
        return type(state)(parts)
    return state


def tensors_of(state: Any) -> list[Tensor]:
    """List the tensors of a state in the order of its nesting."""
    tensors: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    map_tensors(note, state)
    return tensors


def with_tensors(state: Any, tensors: Iterable[Tensor]) -> Any:
    """Make a state of the same nesting from other tensors, which come in the order of ``tensors_of``."""
    replacements = iter(tensors)
    return map_tensors(lambda _: next(replacements), state)


def detach(state: Any) -> Any:
    """Cut a state off from the graph that made it: a tensor, None, or nested tuples, lists and dicts of them."""
    return map_tensors(Tensor.detach, state)
