"""Cells through time by the native core: one call for all steps and directions, gradients derived by hand.

The equations behind ``csrc`` stand in docs/backpropagation_through_time.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from throughtime._core import Direction as CoreDirection
from throughtime._core import Layer as CoreLayer
from throughtime._core import cells, double_tensor, float_tensor
from throughtime.cells import CELLS, Cell, State, projected
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.reference import run_reference
from throughtime.sequence import SequenceBatch

SMALLEST_TILED_BATCH = 8
"""A tile has 16 rows: with fewer than half of them in use, products in float32 are quicker."""

SMALLEST_SPLIT_BATCH = 16
"""The same for products in three parts."""

PLAIN_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole")
NORMALISATION = ("norm_gain_ih", "norm_gain_hh", "norm_gain_cell", "norm_bias_cell")
WEIGHT_ORDER = PLAIN_WEIGHTS + NORMALISATION


class Kernel(NamedTuple):
    """Which of the core's cells computes a cell."""

    number: int
    projected: bool
    states: int


def _kernels() -> Iterator[tuple[Cell, Kernel]]:
    for number, name in enumerate(cells()):
        states = len(CELLS[name].states)
        yield CELLS[name], Kernel(number, False, states)
        if states > 1:
            yield projected(CELLS[name]), Kernel(number, True, states)


KERNELS = dict(_kernels())


def refusal(cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]) -> str | None:
    """Say why the native core cannot run this cell on this sequence; None if it can."""
    weights, values = directions[0].weights, sequence.values
    dtype, device = weights["weight_ih"].dtype, weights["weight_ih"].device.type
    zoned = any(direction.zoneout for direction in directions)
    reasons = {
        f"the native core has no kernel for the cell {cell.name!r}": cell not in KERNELS,
        f"the native core runs on the CPU, not on {device}": device != "cpu" or values.device.type != "cpu",
        "the native core cannot be traced yet": torch.compiler.is_compiling() or is_tracing(),
        f"the native core computes in float32 and float64, not in {dtype}": dtype not in {torch.float32, torch.float64},
        "the native core has no zoneout for cells whose output gate looks at the new cell state": zoned
        and not weights.keys().isdisjoint(("weight_peephole", "norm_gain_cell")),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


@dataclass(frozen=True)
class _Settings:
    """What a call needs beside tensors that have gradients."""

    cell: Cell
    kernel: Kernel
    lengths: Tensor | None
    directions: tuple[Direction, ...]
    bfloat16_parts: int
    saves: bool

    @property
    def sizes(self) -> tuple[int, int]:
        """The sizes of the output and of the other states."""
        weights = self.directions[0].weights
        return weights["weight_hh"].shape[1], weights["weight_ih"].shape[0] // len(self.cell.gates)

    def split(self, tensors: Sequence[Tensor | None]) -> tuple[list[list[Tensor | None]], list[list[Tensor | None]]]:
        """Split a flat list into each direction's states and each direction's weights."""
        size = self.kernel.states + len(WEIGHT_ORDER)
        parts = [list(tensors[start : start + size]) for start in range(0, len(tensors), size)]
        return [part[: self.kernel.states] for part in parts], [part[self.kernel.states :] for part in parts]


def run_fused(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    """Run ``cell`` over ``sequence`` in all ``directions`` at once; see ``throughtime.recurrence.run``.

    Products of float32 follow ``torch.get_float32_matmul_precision()`` and autocast, where the processor multiplies
    bfloat16 tiles (Intel AMX): "highest" splits each factor into three bfloat16 parts if the batch has 16 rows or
    more, which is as accurate as float32; "high" into two (relative error about 2^-16); "medium" and autocast round
    factors to bfloat16. Sums, states and gates are float32 always. Smaller batches, and other processors, multiply
    in float32. Under autocast, outputs and states come in the dtypes in which torch's do.
    """
    autocast = torch.is_autocast_enabled("cpu") and directions[0].weights["weight_ih"].dtype == torch.float32
    dtypes: list[torch.dtype] = []
    if autocast:
        dtypes = _autocast_dtypes(cell, sequence.values, directions[0])
        sequence = SequenceBatch(sequence.values.float(), sequence.lengths)
        directions = [_in_float32(direction) for direction in directions]
    output, states = _run(cell, sequence, directions, _bfloat16_parts(sequence.values))
    if not autocast:
        return SequenceBatch(output, sequence.lengths), states
    cast = [tuple(part.to(dtype) for part, dtype in zip(state, dtypes, strict=True)) for state in states]
    return SequenceBatch(output.to(dtypes[0]), sequence.lengths), cast


def _autocast_dtypes(cell: Cell, values: Tensor, direction: Direction) -> list[torch.dtype]:
    """The dtype of each state under autocast: its own, but that a state which is added to keeps the initial one's.

    This is what the products and sums of the equations come to under autocast; torch's LSTM without projection
    gives autocast's dtype for both states.
    """
    dtypes = [torch.get_autocast_dtype("cpu")] * len(cell.states)
    if cell != CELLS["lstm"] and cell.gates != ("candidate",):
        dtypes[-1] = values.dtype if direction.state is None else direction.state[-1].dtype
    return dtypes


def _in_float32(direction: Direction) -> Direction:
    state = None if direction.state is None else tuple(part.float() for part in direction.state)
    return replace(direction, state=state)


def _bfloat16_parts(values: Tensor) -> int:
    """How many bfloat16 parts a factor has; 0 where products are of the values' own dtype."""
    batch = values.shape[1]
    if values.dtype != torch.float32 or batch < SMALLEST_TILED_BATCH:
        return 0
    if torch.is_autocast_enabled("cpu"):
        return 1 if torch.get_autocast_dtype("cpu") == torch.bfloat16 else 2
    precision = torch.get_float32_matmul_precision()
    if precision == "highest":
        return 3 if batch >= SMALLEST_SPLIT_BATCH else 0
    return 2 if precision == "high" else 1


def _run(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction], bfloat16_parts: int
) -> tuple[Tensor, list[State]]:
    kernel = KERNELS[cell]
    tensors: list[Tensor | None] = []
    for direction in directions:
        tensors += direction.state if direction.state is not None else [None] * kernel.states
        tensors += [direction.weights.get(name) for name in WEIGHT_ORDER]
    values = sequence.values
    saves = torch.is_grad_enabled() and (
        values.requires_grad or any(tensor is not None and tensor.requires_grad for tensor in tensors)
    )
    lengths = None if sequence.lengths is None else sequence.lengths.contiguous()
    settings = _Settings(cell, kernel, lengths, tuple(directions), bfloat16_parts, saves)
    output, *final = _Fused.apply(settings, values, *tensors) if saves else _forward(settings, values, tensors)[0]
    return output, [tuple(final[start : start + kernel.states]) for start in range(0, len(final), kernel.states)]


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _place(tensor: Tensor) -> tuple[int, int, int]:
    """Where a tensor (time, batch, feature) lies: address and strides."""
    return tensor.data_ptr(), tensor.stride(0), tensor.stride(1)


def _features_together(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _uninitialised(size: int, dtype: torch.dtype) -> Tensor:
    """Make a vector; a large one of memory that the core keeps, as fresh pages cost more than what is written there."""
    if size < 1 << 17:
        return torch.empty(size, dtype=dtype)
    return double_tensor(size) if dtype == torch.float64 else float_tensor(size)


class _Prepared(NamedTuple):
    """The core's description of a call, and the tensors that it points to."""

    layer: CoreLayer
    directions: list[CoreDirection]
    kept: list[Tensor]


def _prepare(settings: _Settings, values: Tensor, tensors: Sequence[Tensor | None]) -> _Prepared:
    states, weights = settings.split(tensors)
    output_size, hidden_size = settings.sizes
    time, batch, input_size = values.shape
    kept: list[Tensor] = [values]
    layer = CoreLayer(
        settings.kernel.number,
        values.dtype == torch.float64,
        settings.kernel.projected,
        input_size,
        hidden_size,
        output_size,
        time,
        batch,
        _address(settings.lengths),
        torch.get_num_threads(),
    )
    layer.set_input(*_place(values))
    layer.set_bfloat16_parts(settings.bfloat16_parts)
    if settings.directions[0].gradient_clip is not None:
        layer.set_gradient_limit(settings.directions[0].gradient_clip)

    def held(tensor: Tensor) -> Tensor:
        kept.append(tensor.contiguous())
        return kept[-1]

    cores: list[CoreDirection] = []
    for given, own, state in zip(settings.directions, weights, states, strict=True):
        core = CoreDirection()
        core.reverse = given.reverse
        addresses = [0 if weight is None else held(weight).data_ptr() for weight in own]
        core.set_weights(*addresses[: len(PLAIN_WEIGHTS)])
        if settings.cell.normalised:
            core.set_normalisation(*addresses[len(PLAIN_WEIGHTS) :])
        for index, part in enumerate(state):
            if part is not None:
                core.set_initial(index, held(part).data_ptr())
        if given.regularised:
            _regularise(layer, core, given, held)
        cores.append(core)
    return _Prepared(layer, cores, kept)


def _regularise(layer: CoreLayer, core: CoreDirection, given: Direction, held: Callable[[Tensor], Tensor]) -> None:
    if given.reset is not None:
        layer.set_reset(held(given.reset).data_ptr())
    if given.recurrent_dropout is not None:
        core.set_recurrent_dropout(held(given.recurrent_dropout).data_ptr())
    if given.candidate_dropout is not None:
        core.set_candidate_dropout(*_place(held(given.candidate_dropout)))
    for index, share in enumerate(given.zoneout):
        if share is not None:
            core.set_zoneout(index, *_place(held(share)))


def _forward(
    settings: _Settings, values: Tensor, tensors: Sequence[Tensor | None]
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute the outputs and each direction's final states; and what is kept for the gradients."""
    values = _features_together(values)
    prepared = _prepare(settings, values, tensors)
    time, batch, _ = values.shape
    size, hidden_size = settings.sizes
    output = values.new_empty(time, batch, size * len(prepared.directions))
    finals: list[Tensor] = []
    saved: list[Tensor] = []
    for index, core in enumerate(prepared.directions):
        core.set_output(*_place(output[:, :, index * size : (index + 1) * size]))
        for state in range(settings.kernel.states):
            final = values.new_empty(batch, hidden_size if state else size)
            core.set_final(state, final.data_ptr())
            finals.append(final)
        if settings.saves:
            saved.append(_uninitialised(prepared.layer.saved_size, values.dtype))
            core.set_saved(saved[-1].data_ptr())
        prepared.layer.add_direction(core)
    prepared.layer.forward()
    return [output, *finals], saved


class _Fused(torch.autograd.Function):
    """The core's forward with the core's backward as its gradient."""

    @staticmethod
    def forward(ctx: Any, settings: _Settings, values: Tensor, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        results, saved = _forward(settings, values, tensors)
        ctx.settings = settings
        ctx.count = len(tensors)
        ctx.save_for_backward(values, *tensors, results[0], *saved)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        values, *rest = ctx.saved_tensors
        tensors, output, saved = rest[: ctx.count], rest[ctx.count], rest[ctx.count + 1 :]
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # of a graph of gradients: the plain loop can be differentiated again
            return None, *_reference_gradients(ctx.settings, values, tensors, gradients, needed)
        return None, *_backward(ctx.settings, values, tensors, output, saved, gradients, needed)


def _backward(
    settings: _Settings,
    values: Tensor,
    tensors: Sequence[Tensor | None],
    output: Tensor,
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Compute the gradients of the input, and of each direction's states and weights."""
    values = _features_together(values)
    prepared = _prepare(settings, values, tensors)
    kept = prepared.kept
    states = settings.kernel.states
    size, _ = settings.sizes
    d_output = gradients[0]
    if d_output is not None:
        d_output = _features_together(d_output)
        kept.append(d_output)
    results = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format) if wanted and tensor is not None else None
        for tensor, wanted in zip(tensors, needed[1:], strict=True)
    ]
    d_inputs: list[Tensor] = []
    empty = torch.empty if settings.lengths is None else torch.zeros
    for index, core in enumerate(prepared.directions):
        columns = slice(index * size, (index + 1) * size)
        core.set_output(*_place(output[:, :, columns]))
        core.set_saved(saved[index].data_ptr())
        if d_output is not None:
            core.set_output_gradient(*_place(d_output[:, :, columns]))
        first = index * (states + len(WEIGHT_ORDER))
        for state in range(states):
            gradient = gradients[1 + index * states + state]
            if gradient is not None:
                kept.append(gradient.contiguous())
                core.set_final_gradient(state, kept[-1].data_ptr())
            if results[first + state] is not None:
                core.set_initial_gradient(state, _address(results[first + state]))
        found = [_address(result) for result in results[first + states : first + states + len(WEIGHT_ORDER)]]
        core.set_weight_gradients(*found[: len(PLAIN_WEIGHTS)])
        core.set_normalisation_gradients(*found[len(PLAIN_WEIGHTS) :])
        watched = settings.directions[index].hidden_gradient
        if watched is not None:
            core.set_hidden_gradient(*_place(watched))
        if needed[0]:
            d_inputs.append(empty(values.shape, dtype=values.dtype))
            core.set_input_gradient(*_place(d_inputs[-1]))
        prepared.layer.add_direction(core)
    prepared.layer.backward()
    d_input = None
    for part in d_inputs:
        d_input = part if d_input is None else d_input.add_(part)
    return [d_input, *results]


def _reference_gradients(
    settings: _Settings,
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
