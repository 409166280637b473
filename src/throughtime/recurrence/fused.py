"""Cells through time by the native core, for eager calls and for graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]

from throughtime.cells import CELLS, Cell, State
from throughtime.cells.product import space_of
from throughtime.recurrence.direction import Direction
from throughtime.recurrence.operators import Fused, needs_gradients, operator_arguments
from throughtime.recurrence.passes import KERNELS, Settings, bfloat16_parts, flat_tensors, run_forward
from throughtime.sequence import SequenceBatch


def refusal(cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]) -> str | None:
    """Say why the native core cannot run this cell on this sequence; None if it can."""
    if cell not in KERNELS:
        return f"the native core has no kernel for the cell {cell.name!r}"
    if space_of(directions[0].weights["weight_ih"]):
        return "the native core takes products with matrices, not convolutions"
    return _refused_place(sequence.values, directions[0]) or _refused_options(directions)


def _refused_place(values: Tensor, direction: Direction) -> str | None:
    weight = direction.weights["weight_ih"]
    for tensor in (weight, values):
        if not tensor.is_cpu:
            return f"the native core runs on the CPU, not on {tensor.device.type}"
    if weight.dtype not in {torch.float32, torch.float64}:
        return f"the native core computes in float32 and float64, not in {weight.dtype}"
    if is_tracing():
        return "the native core does not run under torch.jit, but under torch.export"
    return None


def _refused_options(directions: Sequence[Direction]) -> str | None:
    if directions[0].hidden_gradient is not None and torch.compiler.is_compiling():
        return "the native core records no gradients of hidden states in a graph"
    looks_ahead = any(name in directions[0].weights for name in ("weight_peephole", "norm_gain_cell"))
    if looks_ahead and any(direction.zoneout for direction in directions):
        return "the native core has no zoneout for cells whose output gate looks at the new cell state"
    return None


def run_fused(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction]
) -> tuple[SequenceBatch, list[State]]:
    """Run ``cell`` over ``sequence`` in all ``directions`` at once; see ``throughtime.recurrence.run``.

    Products of float32 follow ``torch.get_float32_matmul_precision()`` and autocast, where the processor multiplies
    bfloat16. In tiles (Intel AMX), "highest" splits each factor into three bfloat16 parts if the batch has 16 rows or
    more, which is as accurate as float32; "high" into two (relative error about 2^-16); "medium" and autocast round
    factors to bfloat16, from 8 rows on. In pairs (AVX512_BF16), "medium" and autocast do. Sums, states and gates are
    float32 always, and so are all products elsewhere. Under autocast, outputs and states come in the dtypes in which
    torch's do.
    """
    autocast = torch.is_autocast_enabled("cpu") and directions[0].weights["weight_ih"].dtype == torch.float32
    precision: str | None = None
    dtypes: list[torch.dtype] = []
    if autocast:
        precision = "medium" if torch.get_autocast_dtype("cpu") == torch.bfloat16 else "high"
        dtypes = _autocast_dtypes(cell, sequence.values, directions[0])
        sequence = SequenceBatch(sequence.values.float(), sequence.lengths)
        directions = [_in_float32(direction) for direction in directions]
    output, states = _run(cell, sequence, directions, precision)
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


def _run(
    cell: Cell, sequence: SequenceBatch, directions: Sequence[Direction], precision: str | None
) -> tuple[Tensor, list[State]]:
    kernel, values = KERNELS[cell], sequence.values
    if type(values) is not Tensor or torch.compiler.is_compiling():  # a graph must see operators, not addresses
        results = torch.ops.throughtime.forward(*operator_arguments(cell, sequence, directions, precision))
    else:
        tensors = flat_tensors(kernel, directions)
        saves = needs_gradients(values, tensors)
        lengths = None if sequence.lengths is None else sequence.lengths.contiguous()
        parts = bfloat16_parts(values, precision)
        settings = Settings(cell, kernel, lengths, tuple(directions), parts, saves)
        results = Fused.apply(settings, values, *tensors) if saves else run_forward(settings, values, tensors)[0]
    output, *final = results
    states = range(0, len(final), kernel.states)
    return output, [tuple(final[start : start + kernel.states]) for start in states]
