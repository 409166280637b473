"""The two passes of the native core over tensors: one call for all steps and directions, gradients derived by hand.

The equations behind ``csrc`` stand in docs/backpropagation_through_time.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime._core import Direction as CoreDirection
from throughtime._core import Layer as CoreLayer
from throughtime._core import cells, double_tensor, float_tensor
from throughtime.cells import CELLS, Cell, projected
from throughtime.recurrence.direction import Direction

PLAIN_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole")
NORMALISATION = ("norm_gain_ih", "norm_gain_hh", "norm_gain_cell", "norm_bias_cell")
WEIGHT_ORDER = PLAIN_WEIGHTS + NORMALISATION


WIDEST_VECTOR = 16
"""Units in a vector: a multiple of what any instruction set has."""


class Kernel(NamedTuple):
    """Which of the core's cells computes a cell.

    Attributes:
        number: of the core's cell.
        projected: whether its output is projected.
        states: how many the cell has.
        saved_slots: numbers kept for the backward pass, for each step, row and unit.
    """

    number: int
    projected: bool
    states: int
    saved_slots: int


def _kernels() -> Iterator[tuple[Cell, Kernel]]:
    for number, name in enumerate(cells()):
        cell = CELLS[name]
        states = len(cell.states)
        yield cell, Kernel(number, False, states, _saved_slots(number, False))
        if states > 1:
            yield projected(cell), Kernel(number, True, states, _saved_slots(number, True))


def _saved_slots(number: int, is_projected: bool) -> int:
    one_step = CoreLayer(number, False, is_projected, 1, WIDEST_VECTOR, WIDEST_VECTOR, 1, 1, 0, 1)
    return one_step.saved_size // WIDEST_VECTOR


KERNELS = dict(_kernels())


class Settings(NamedTuple):
    """What a call needs beside tensors that have gradients.

    Attributes:
        cell: the cell.
        kernel: which of the core's cells computes it.
        lengths: of the rows, contiguous; None where all are of full length.
        directions: reversal and masks of each direction, and its weights' shapes.
        bfloat16_parts: of each factor of a product; 0 where products are of the values' own dtype.
        saves: whether the forward pass keeps what the backward pass needs.
        operator_arguments: of the operators that are to be called for the two passes, so that a graph holds them;
            None to run the passes at once.
        saved_size: numbers that a direction keeps; None for as many as there is need of.
    """

    cell: Cell
    kernel: Kernel
    lengths: Tensor | None
    directions: tuple[Direction, ...]
    bfloat16_parts: int
    saves: bool
    operator_arguments: tuple[Any, ...] | None = None
    saved_size: int | None = None

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


def flat_tensors(kernel: Kernel, directions: Sequence[Direction]) -> list[Tensor | None]:
    """Each direction's states and weights in one list, None for what is not there; ``Settings.split`` undoes it."""
    tensors: list[Tensor | None] = []
    for direction in directions:
        tensors += direction.state if direction.state is not None else [None] * kernel.states
        tensors += [direction.weights.get(name) for name in WEIGHT_ORDER]
    return tensors


def bfloat16_parts(values: Tensor, precision: str | None) -> int:
    """How many bfloat16 parts a factor may have; 0 where products are of the values' own dtype.

    The core takes products of float32 where it has no faster ones of so many parts.

    Args:
        values: the input, shape (time, batch, feature).
        precision: as in ``torch.set_float32_matmul_precision``; None for what was set there.
    """
    if values.dtype != torch.float32:
        return 0
    return {"highest": 3, "high": 2}.get(precision or torch.get_float32_matmul_precision(), 1)


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


def _prepare(settings: Settings, values: Tensor, tensors: Sequence[Tensor | None]) -> _Prepared:
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


def run_forward(
    settings: Settings, values: Tensor, tensors: Sequence[Tensor | None]
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute the outputs and each direction's final states; and what is kept for the gradients."""
    values = _features_together(values)
    prepared = _prepare(settings, values, tensors)
    results = empty_results(settings, values)
    output, states, size = results[0], settings.kernel.states, results[1].shape[1]
    saved: list[Tensor] = []
    for index, core in enumerate(prepared.directions):
        core.set_output(*_place(output[:, :, index * size : (index + 1) * size]))
        for state in range(states):
            core.set_final(state, results[1 + index * states + state].data_ptr())
        if settings.saves:
            saved.append(_uninitialised(settings.saved_size or prepared.layer.saved_size, values.dtype))
            core.set_saved(saved[-1].data_ptr())
        prepared.layer.add_direction(core)
    prepared.layer.forward()
    return results, saved


def empty_results(settings: Settings, values: Tensor) -> list[Tensor]:
    """Make the output, shape (time, batch, directions * size), and each direction's states, (batch, size)."""
    time, batch, _ = values.shape
    size, hidden_size = settings.sizes
    results = [values.new_empty(time, batch, size * len(settings.directions))]
    for _ in settings.directions:
        results += [values.new_empty(batch, hidden_size if state else size) for state in range(settings.kernel.states)]
    return results


def run_backward(
    settings: Settings,
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
    results = empty_gradients(tensors, needed[1:])
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


def empty_gradients(tensors: Sequence[Tensor | None], needed: Sequence[bool]) -> list[Tensor | None]:
    """Make a gradient for each tensor that is there and whose gradient is needed."""
    return [
        torch.empty_like(tensor, memory_format=torch.contiguous_format) if wanted and tensor is not None else None
        for tensor, wanted in zip(tensors, needed, strict=True)
    ]
