"""The native core as operators of ``torch.library``, which ``torch.compile`` and ``torch.export`` keep in their graphs.

``throughtime::forward`` is what a layer calls while it is traced. Its autograd kernel calls
``throughtime::forward_saving`` and, for the gradients, ``throughtime::backward``, so that a graph of both passes holds
these two. All have the same first arguments:

    values: shape (time, batch, feature), float32 or float64.
    tensors: for each direction its initial states, then its weights in the order of ``WEIGHT_ORDER``; None where there
        is none.
    lengths: shape (batch,), int64, or None.
    reset: shape (time, batch), bool, or None.
    masks: for each direction its recurrent dropout, its candidate dropout and the zoneout of each state, or None.
    cell: the cell's name.
    reverse: for each direction, whether it runs from the end.
    gradient_clip: as in ``Direction``, or None.
    precision: of products as in ``torch.set_float32_matmul_precision``; None for what is set when they run.
    saved_slots: ``Kernel.saved_slots``, so that torch's caches do not take the graph of a version with another one.

They are for layers, which have checked what they pass on: only lengths are checked here, being unknown before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.library import Library

from throughtime.cells import Cell
from throughtime.errors import ArgumentError, BackendError
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.passes import (
    KERNELS,
    WEIGHT_ORDER,
    WIDEST_VECTOR,
    Settings,
    bfloat16_parts,
    empty_gradients,
    empty_results,
    flat_tensors,
    run_backward,
    run_forward,
)
from throughtime.recurrence.reference import run_reference
from throughtime.sequence import SequenceBatch

CELLS_BY_NAME = {cell.name: cell for cell in KERNELS}

ARGUMENTS = (
    "Tensor values, Tensor?[] tensors, Tensor? lengths, Tensor? reset, Tensor?[] masks, "
    "str cell, bool[] reverse, float? gradient_clip, str? precision, int saved_slots"
)


class Fused(torch.autograd.Function):
    """The core's forward with the core's backward as its gradient."""

    @staticmethod
    def forward(ctx: Any, settings: Settings, values: Tensor, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Give the output and each direction's final states."""
        if settings.operator_arguments is None:
            results, saved = run_forward(settings, values, tensors)
        else:
            results, saved = torch.ops.throughtime.forward_saving(values, tensors, *settings.operator_arguments)
        ctx.settings = settings
        ctx.count = len(tensors)
        ctx.save_for_backward(values, *tensors, results[0], *saved)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Give the gradients of the input and of ``tensors``."""
        values, *rest = ctx.saved_tensors
        tensors, output, saved = rest[: ctx.count], rest[ctx.count], rest[ctx.count + 1 :]
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # of a graph of gradients: the plain loop can be differentiated again
            return None, *_reference_gradients(ctx.settings, values, tensors, gradients, needed)
        passed = (output, saved, gradients, needed)
        if ctx.settings.operator_arguments is None:
            return None, *run_backward(ctx.settings, values, tensors, *passed)
        found = iter(torch.ops.throughtime.backward(values, tensors, *ctx.settings.operator_arguments, *passed))
        inputs = zip([values, *tensors], needed, strict=True)
        return None, *(next(found) if wants and tensor is not None else None for tensor, wants in inputs)


def _reference_gradients(
    settings: Settings,
    values: Tensor,
    tensors: Sequence[Tensor | None],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Compute the gradients by autograd through the plain loop, so that they have gradients themselves."""
    states, weights = settings.split(tensors)
    outputs: list[Tensor] = []
    final: list[Tensor] = []
    for given, own, state in zip(settings.directions, weights, states, strict=True):
        named = {name: weight for name, weight in zip(WEIGHT_ORDER, own, strict=True) if weight is not None}
        initial = None if state[0] is None else tuple(part for part in state if part is not None)
        direction = replace(given, weights=named, state=initial)
        output, last = run_reference(settings.cell, SequenceBatch(values, settings.lengths), direction)
        outputs.append(output.values)
        final += last
    results = [torch.cat(outputs, dim=-1), *final]
    pairs = [(result, gradient) for result, gradient in zip(results, gradients, strict=True) if gradient is not None]
    inputs = [values, *tensors]
    wanted = [tensor for tensor, needs in zip(inputs, needed, strict=True) if needs and tensor is not None]
    found = iter(
        torch.autograd.grad(
            [result for result, _ in pairs],
            wanted,
            [gradient for _, gradient in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(found) if needs and tensor is not None else None for tensor, needs in zip(inputs, needed, strict=True)]


def needs_gradients(values: Tensor, tensors: Sequence[Tensor | None]) -> bool:
    """Whether autograd must know of a call with these inputs."""
    return torch.is_grad_enabled() and (
        values.requires_grad or any(tensor is not None and tensor.requires_grad for tensor in tensors)
    )


def operator_arguments(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction], precision: str | None = None
) -> tuple[Any, ...]:
    """Bring a call of a layer to the arguments of ``throughtime::forward``, which the module's docstring describes."""
    kernel = KERNELS[cell]
    masks: list[Tensor | None] = []
    for direction in directions:
        masks += [direction.recurrent_dropout, direction.candidate_dropout]
        masks += direction.zoneout or [None] * kernel.states
    tensors, reverse = flat_tensors(kernel, directions), [direction.reverse for direction in directions]
    settings = (cell.name, reverse, directions[0].gradient_clip, precision, kernel.saved_slots)
    return sequence.values, tensors, sequence.lengths, directions[0].reset, masks, *settings


LIBRARY = Library("throughtime", "DEF")
LIBRARY.define(f"forward({ARGUMENTS}) -> Tensor[]")
LIBRARY.define(f"forward_saving({ARGUMENTS}) -> (Tensor[], Tensor[])")
LIBRARY.define(f"backward({ARGUMENTS}, Tensor output, Tensor[] saved, Tensor?[] gradients, bool[] needed) -> Tensor[]")


def _settings(tensors: Sequence[Tensor | None], *arguments: Any) -> Settings:
    """Read the arguments that all operators have; sizes may be symbols, and values unknown."""
    lengths, reset, masks, name, reverse, clip, *_ = arguments
    cell = CELLS_BY_NAME[name]
    kernel = KERNELS[cell]
    count, mask_count = len(tensors) // len(reverse), len(masks) // len(reverse)
    directions: list[Direction] = []
    for index, is_reverse in enumerate(reverse):
        own = tensors[index * count + kernel.states : (index + 1) * count]
        weights = {name: weight for name, weight in zip(WEIGHT_ORDER, own, strict=True) if weight is not None}
        recurrent, candidate, *zoneout = masks[index * mask_count : (index + 1) * mask_count]
        directions.append(Direction(weights, None, is_reverse, recurrent, candidate, tuple(zoneout), reset, clip))
    return Settings(cell, kernel, lengths, tuple(directions), bfloat16_parts=0, saves=False)


def _saved_size(settings: Settings, values: Tensor, saved_slots: int) -> int:
    """How much a direction keeps at most, whatever the lengths and the instruction set: all that a graph can know."""
    padded = -(-settings.sizes[1] // WIDEST_VECTOR) * WIDEST_VECTOR
    return values.shape[0] * values.shape[1] * padded * saved_slots


def _concrete(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> Settings:
    """Read the arguments of a call that runs, and check what was unknown in the trace.

    Raises:
        ArgumentError: if there are no steps, or lengths do not fit.
        BackendError: if the graph is of a version of this library that keeps something else for the backward pass.
    """
    settings = _settings(tensors, *arguments)
    if values.shape[0] == 0:
        raise ArgumentError("`values` must have at least one time step, got none")
    if arguments[-1] != settings.kernel.saved_slots:
        raise BackendError("this graph was made by another version of throughtime; compile or export it anew")
    lengths = SequenceBatch(values, settings.lengths).lengths  # which checks them
    lengths = None if lengths is None else lengths.contiguous()
    return settings._replace(lengths=lengths, bfloat16_parts=bfloat16_parts(values, arguments[-2]))


def _forward(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> list[Tensor]:
    return run_forward(_concrete(values, tensors, *arguments), values, tensors)[0]


def _forward_fake(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> list[Tensor]:
    return empty_results(_settings(tensors, *arguments), values)


def _forward_autograd(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> list[Tensor]:
    if needs_gradients(values, tensors):
        settings = _settings(tensors, *arguments)._replace(operator_arguments=arguments)
        return list(Fused.apply(settings, values, *tensors))
    with torch._C._AutoDispatchBelowAutograd():  # pyright: ignore[reportPrivateUsage]
        return torch.ops.throughtime.forward(values, tensors, *arguments)


def _forward_saving(
    values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any
) -> tuple[list[Tensor], list[Tensor]]:
    settings = _concrete(values, tensors, *arguments)
    size = _saved_size(settings, values, arguments[-1])
    return run_forward(settings._replace(saves=True, saved_size=size), values, tensors)


def _forward_saving_fake(
    values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any
) -> tuple[list[Tensor], list[Tensor]]:
    settings = _settings(tensors, *arguments)
    size = _saved_size(settings, values, arguments[-1])
    return empty_results(settings, values), [values.new_empty(size) for _ in settings.directions]


def _backward(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> list[Tensor]:
    *common, output, saved, gradients, needed = arguments
    settings = _concrete(values, tensors, *common)
    results = run_backward(settings, values, tensors, output, saved, gradients, needed)
    return [result for result in results if result is not None]


def _backward_fake(values: Tensor, tensors: Sequence[Tensor | None], *arguments: Any) -> list[Tensor]:
    return [result for result in empty_gradients([values, *tensors], arguments[-1]) if result is not None]


for name, kernel, fake in (
    ("forward", _forward, _forward_fake),
    ("forward_saving", _forward_saving, _forward_saving_fake),
    ("backward", _backward, _backward_fake),
):
    LIBRARY.impl(name, kernel, "CPU")
    torch.library.register_fake(f"throughtime::{name}", fake, lib=LIBRARY)
LIBRARY.impl("forward", _forward_autograd, "Autograd")
