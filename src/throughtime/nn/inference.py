"""Calls of a layer without gradients, prepared once for each shape.

A step of a small layer takes a microsecond in the core; looking at each of its arguments anew took sixty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from throughtime._core import Stack as CoreStack
from throughtime.cells import State
from throughtime.nn.input_form import Sequences
from throughtime.recurrence.passes import KERNELS, bfloat16_parts
from throughtime.recurrence.stack import StackSizes, StoredWeights, make_stack

MOST_PLANS = 16


class _Plan(NamedTuple):
    """How the core runs inputs of one shape with weights that lie at these addresses.

    Attributes:
        addresses: of all weights.
        states: tensors like the states.
        stack: the core's description.
    """

    addresses: list[int]
    states: tuple[Tensor, ...]
    stack: CoreStack


class Inference:
    """Runs a module's stack of cells where nothing but its equations is asked for.

    Args:
        sizes: of the stack.
        names: of each layer's and direction's weights, to the module's parameters.
    """

    def __init__(self, sizes: StackSizes, names: Sequence[Mapping[str, str]]) -> None:
        self._sizes = sizes
        self._names = names
        self._flat_names = [name for own in names for name in own.values()]
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def run(
        self,
        parameters: Mapping[str, Tensor | None],
        values: Sequences,
        initial: State | None,
        *,
        batch_first: bool = False,
    ) -> tuple[Tensor, State] | None:
        """Run the core; or do nothing and give None where it can't be run like that, or an argument doesn't fit.

        Args:
            parameters: the module's own, by name.
            values: a tensor of shape (time, batch, input_size), or (batch, time, input_size) if batch_first.
            initial: states of shape (layers * directions, batch, size), or None for zeros.
            batch_first: in which order ``values`` are, and the output shall be.

        Returns:
            The output, shape (time, batch, directions * output size), transposed if batch_first, and the final states.
        """
        if torch.compiler.is_compiling() or type(values) is not Tensor or is_tracing():
            return None
        sizes, shape, dtype = self._sizes, values.shape, values.dtype
        weights = [parameters.get(name) for name in self._flat_names]
        if (
            len(shape) != 3
            or shape[2] != sizes.input_size
            or 0 in shape
            or not all(
                weight is not None and weight.dtype is dtype and weight.is_cpu and weight.is_contiguous()
                for weight in weights
            )
            or not values.is_cpu
            or values.stride(2) != 1
            or torch.is_autocast_enabled("cpu")
        ):
            return None
        addresses = [weight.data_ptr() for weight in weights if weight is not None]
        key = (shape, dtype, batch_first, torch.get_num_threads(), torch.get_float32_matmul_precision())
        plan = self._plans.pop(key, None)  # taken out, so that no other thread writes to it
        if plan is None or plan.addresses != addresses:
            plan = self._make_plan(parameters, values.transpose(0, 1) if batch_first else values, addresses)
            if plan is None:
                return None
        if initial is not None and not _fit(initial, plan.states):
            return None
        directions, size = sizes.num_directions, sizes.output_size
        time, batch = (shape[1], shape[0]) if batch_first else (shape[0], shape[1])
        output = torch.empty((time, batch, directions * size), dtype=dtype)
        final = tuple([torch.empty_like(state) for state in plan.states])
        time_stride, batch_stride = values.stride(1 if batch_first else 0), values.stride(0 if batch_first else 1)
        at = (0, 0) if initial is None else _addresses(initial)
        plan.stack.run(values.data_ptr(), time_stride, batch_stride, output.data_ptr(), *at, *_addresses(final))
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return output.transpose(0, 1) if batch_first else output, final

    def _make_plan(self, parameters: Mapping[str, Any], values: Tensor, addresses: list[int]) -> _Plan | None:
        sizes = self._sizes
        if sizes.cell not in KERNELS or values.dtype not in {torch.float32, torch.float64}:
            return None
        stored = [StoredWeights({name: parameters[own[name]] for name in own}) for own in self._names]
        time, batch, _ = values.shape
        parts = bfloat16_parts(values, None)
        stack = make_stack(sizes, stored, time=time, batch=batch, bfloat16_parts=parts)
        rows = sizes.num_layers * sizes.num_directions
        states = tuple(torch.empty(rows, batch, size, dtype=values.dtype) for size in sizes.state_sizes)
        return _Plan(addresses, states, stack)


class InferringModule(nn.Module):
    """Base of the modules that are a stack of cells.

    Attributes:
        last_backend: the name of the backend that ran in the last call; None before the first.
    """

    last_backend: str | None = None
    _inference: Inference | None = None
    _weight_names: list[dict[str, str]]

    @property
    def stack_sizes(self) -> StackSizes:
        """What the layers are beside their weights."""
        raise NotImplementedError

    def _infer(
        self, values: Sequences, initial: State | None, *, batch_first: bool = False
    ) -> tuple[Tensor, State] | None:
        """As ``Inference.run``."""
        if torch.is_grad_enabled():
            return None
        if self._inference is None:
            self._inference = Inference(self.stack_sizes, self._weight_names)
        found = self._inference.run(self._parameters, values, initial, batch_first=batch_first)
        if found is not None:
            self._set_last_backend("fused")
        return found

    def _set_last_backend(self, name: str) -> None:
        if self.last_backend != name:  # setting a module's attribute takes some microseconds
            self.last_backend = name

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without what depends on where the weights lie."""
        return {name: value for name, value in self.__dict__.items() if name != "_inference"}


def _fit(initial: State, states: tuple[Tensor, ...]) -> bool:
    return len(initial) == len(states) and all(
        type(own) is Tensor
        and own.shape == state.shape
        and own.dtype is state.dtype
        and own.is_cpu
        and own.is_contiguous()
        for own, state in zip(initial, states, strict=True)
    )


def _addresses(states: State) -> tuple[int, int]:
    return states[0].data_ptr(), states[1].data_ptr() if len(states) > 1 else 0
