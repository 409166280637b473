"""Calls of a layer without gradients, prepared once for each shape.

A step of a small layer takes a microsecond in the core; looking at each of its arguments anew took sixty.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from throughtime._core import Stack as CoreStack
from throughtime.cells import State
from throughtime.nn.input_form import Sequences
from throughtime.recurrence.passes import KERNELS, bfloat16_parts
from throughtime.recurrence.stack import StackSizes, StoredWeights, make_stack

MOST_PLANS = 16

Form = Literal["time first", "batch first", "step"]
"""How inputs lie: (time, batch, feature), (batch, time, feature), or one step, (batch, feature) or (feature,)."""


class _Plan(NamedTuple):
    """How the core runs inputs of one shape with weights that lie at these addresses.

    Attributes:
        addresses: of all weights.
        axes: of the input, that of time and that of the batch.
        output_shape: of what the core gives, time before batch.
        states: tensors like the states.
        stack: the core's description.
    """

    addresses: list[int]
    axes: tuple[int, int]
    output_shape: tuple[int, ...]
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
        self, parameters: Mapping[str, Tensor | None], values: Sequences, initial: State | None, form: Form
    ) -> tuple[Tensor, State] | None:
        """Run the core; or do nothing and give None where it can't be run like that, or an argument doesn't fit.

        Args:
            parameters: the module's own, by name.
            values: a tensor in that form.
            initial: states of shape (layers * directions, batch, size), or None for zeros; for a step, which only a
                stack of one layer takes, in the form of the input.
            form: of the input and the output.

        Returns:
            The output and the final states.
        """
        if type(values) is not Tensor or torch.compiler.is_compiling() or is_tracing():
            return None
        dtype, strides = values.dtype, values.stride()
        if not values.is_cpu or strides[-1:] != (1,) or torch.is_autocast_enabled("cpu"):
            return None
        addresses: list[int] = []
        for name in self._flat_names:
            weight = parameters.get(name)
            if weight is None or weight.dtype is not dtype or not weight.is_cpu or not weight.is_contiguous():
                return None
            addresses.append(weight.data_ptr())
        key = (values.shape, dtype, form, torch.get_num_threads(), torch.get_float32_matmul_precision())
        plan = self._plans.pop(key, None)  # taken out, so that no other thread writes to it
        if plan is None or plan.addresses != addresses:
            plan = self._make_plan(parameters, values, form, addresses)
            if plan is None:
                return None
        if initial is not None and not _fit(initial, plan.states):
            return None
        output = torch.empty(plan.output_shape, dtype=dtype)
        final = tuple([torch.empty_like(state) for state in plan.states])
        time_axis, batch_axis = plan.axes
        at = (0, 0) if initial is None else _addresses(initial)
        plan.stack.run(
            values.data_ptr(), strides[time_axis], strides[batch_axis], output.data_ptr(), *at, *_addresses(final)
        )
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return output.transpose(0, 1) if form == "batch first" else output, final

    def _make_plan(
        self, parameters: Mapping[str, Any], values: Tensor, form: Form, addresses: list[int]
    ) -> _Plan | None:
        sizes, shape = self._sizes, values.shape
        if (
            sizes.cell not in KERNELS
            or values.dtype not in {torch.float32, torch.float64}
            or shape[-1] != sizes.input_size
            or 0 in shape
            or (len(shape) > 2 if form == "step" else len(shape) != 3)
        ):
            return None
        rows = sizes.num_layers * sizes.num_directions
        if form == "step":
            axes, time, lead, of_state = (0, 0), 1, shape[:-1], shape[:-1]
        else:
            axes = (1, 0) if form == "batch first" else (0, 1)
            time, batch = shape[axes[0]], shape[axes[1]]
            lead, of_state = (time, batch), (rows, batch)
        batch = shape[:-1].numel() // time
        stored = [StoredWeights({name: parameters[own[name]] for name in own}) for own in self._names]
        stack = make_stack(sizes, stored, time=time, batch=batch, bfloat16_parts=bfloat16_parts(values, None))
        states = tuple(torch.empty(*of_state, size, dtype=values.dtype) for size in sizes.state_sizes)
        return _Plan(addresses, axes, (*lead, sizes.num_directions * sizes.output_size), states, stack)


class InferringModule(nn.Module, ABC):
    """Base of the modules that are a stack of cells.

    Attributes:
        last_backend: the name of the backend that ran in the last call; None before the first.
    """

    last_backend: str | None = None
    _inference: Inference | None = None
    _weight_names: list[dict[str, str]]

    @property
    @abstractmethod
    def stack_sizes(self) -> StackSizes:
        """What the layers are beside their weights."""

    def _infer(self, values: Sequences, initial: State | None, form: Form) -> tuple[Tensor, State] | None:
        """As ``Inference.run``."""
        if torch.is_grad_enabled():
            return None
        if self._inference is None:
            self._inference = Inference(self.stack_sizes, self._weight_names)
        found = self._inference.run(self._parameters, values, initial, form)
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
    if len(initial) != len(states):
        return False
    for own, state in zip(initial, states, strict=True):
        if type(own) is not Tensor or own.shape != state.shape or own.dtype is not state.dtype:
            return False
        if not own.is_cpu or not own.is_contiguous():
            return False
    return True


def _addresses(states: State) -> tuple[int, int]:
    return states[0].data_ptr(), states[1].data_ptr() if len(states) > 1 else 0
