"""The native core against the plain loop, gradients included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cells.cell_cases import VARIANTS, cell_of
from throughtime import _core
from throughtime.cells import CELLS, Cell
from throughtime.errors import ArgumentError, BackendError
from throughtime.recurrence import Direction, run, run_fused, run_reference
from throughtime.recurrence.fused import KERNELS
from throughtime.sequence import SequenceBatch

Sizes = tuple[int, int, int, int]
FUSED = [variant for variant in VARIANTS if cell_of(variant) in KERNELS]
MASKS = ("recurrent_dropout", "candidate_dropout", "zoneout", "reset")

# Sizes around the edges of vectors, panels, tiles and cache blocks.
SIZES = st.tuples(
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 7, 17, 33, 70]),
    st.sampled_from([1, 3, 16, 65]),
    st.sampled_from([2, 3, 8, 15, 16, 37, 64, 70, 130]),
)


@pytest.fixture(params=_core.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core.instruction_set()
    _core.set_instruction_set(request.param)
    yield request.param
    _core.set_instruction_set(before)


def draw(*shape: int, scale: float = 0.5) -> Tensor:
    return (torch.randn(shape, dtype=torch.float64) * scale).requires_grad_()


def draw_weights(cell: Cell, input_size: int, hidden_size: int, *, bias: bool) -> dict[str, Tensor]:
    rows = len(cell.gates) * hidden_size
    output_size = max(1, hidden_size // 3) if cell.name.endswith("_projected") else hidden_size
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size), "weight_hh": (rows, output_size)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if output_size != hidden_size:
        shapes["weight_hr"] = (output_size, hidden_size)
    shapes |= cell.own_weights(hidden_size)
    return {name: draw(*shape, scale=hidden_size**-0.5) for name, shape in shapes.items()}


def draw_direction(cell: Cell, sizes: Sizes, *, reverse: bool, bias: bool, masks: tuple[str, ...]) -> Direction:
    time, batch, input_size, hidden_size = sizes
    weights = draw_weights(cell, input_size, hidden_size, bias=bias)
    output_size = weights["weight_hh"].shape[1]
    state_sizes = (output_size, *(hidden_size for _ in cell.states[1:]))
    drawn: dict[str, Any] = {
        "recurrent_dropout": torch.bernoulli(torch.full((batch, output_size), 0.7)).double() / 0.7,
        "candidate_dropout": torch.bernoulli(torch.full((time, batch, hidden_size), 0.7)).double() / 0.7,
        "zoneout": tuple(torch.bernoulli(torch.full((time, batch, size), 0.3)).double() for size in state_sizes),
        "reset": torch.bernoulli(torch.full((time, batch), 0.3)).bool(),
    }
    state = tuple(draw(batch, size) for size in state_sizes)
    return Direction(weights, state, reverse, **{name: drawn[name] for name in masks})


def results(runner: Any, cell: Cell, sequence: SequenceBatch, directions: list[Direction]) -> list[tuple[str, Tensor]]:
    """Outputs, final states and the gradients of all that has any, by name."""
    output, finals = runner(cell, sequence, directions)
    parts = [part for final in finals for part in final]
    loss = (output.values**2).sum() + sum((part**3).sum() for part in parts)
    inputs = {"input": sequence.values}
    for index, direction in enumerate(directions):
        inputs |= {f"{name} {index}": weight for name, weight in direction.weights.items()}
        inputs |= {f"state {index} {place}": part for place, part in enumerate(direction.state or ())}
    gradients = torch.autograd.grad(loss, list(inputs.values()))
    named = [("output", output.values), *((f"final {place}", part) for place, part in enumerate(parts))]
    return named + list(zip(inputs, gradients, strict=True))


def run_plainly(
    cell: Cell, sequence: SequenceBatch, directions: list[Direction]
) -> tuple[SequenceBatch, list[tuple[Tensor, ...]]]:
    outputs, finals = zip(*(run_reference(cell, sequence, direction) for direction in directions), strict=True)
    return SequenceBatch(torch.cat([output.values for output in outputs], -1), sequence.lengths), list(finals)


def assert_same(have: list[tuple[str, Tensor]], want: list[tuple[str, Tensor]]) -> None:
    for (name, ours), (_, theirs) in zip(have, want, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


def allowed(cell: Cell, masks: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what a cell has not."""
    absent = {"candidate_dropout"} if cell.gates == ("candidate",) else set[str]()
    if "peephole" in cell.name or "lstm_layer_norm" in cell.name:
        absent.add("zoneout")
    return tuple(mask for mask in masks if mask not in absent)


@pytest.mark.parametrize("variant", FUSED)
@settings(max_examples=12)
@given(sizes=SIZES, data=st.data())
def test_values_and_gradients_are_the_references(variant: str, sizes: Sizes, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 99), "seed"))
    cell = cell_of(variant)
    masks = allowed(cell, tuple(data.draw(st.lists(st.sampled_from(MASKS), unique=True, max_size=2), "masks")))
    bias, reverses = data.draw(st.booleans(), "bias"), data.draw(st.sampled_from([(False,), (True,), (False, True)]))
    directions = [draw_direction(cell, sizes, reverse=reverse, bias=bias, masks=masks) for reverse in reverses]
    if len(directions) > 1:  # a reset belongs to the sequence
        directions[1] = dataclasses.replace(directions[1], reset=directions[0].reset)
    time, batch, input_size, _ = sizes
    lengths = torch.randint(1, time + 1, (2 * batch,))[::2] if data.draw(st.booleans(), "ragged") else None
    values = (
        draw(batch, time, input_size).transpose(0, 1) if data.draw(st.booleans()) else draw(time, batch, input_size)
    )
    sequence = SequenceBatch(values, lengths)
    assert_same(results(run_fused, cell, sequence, directions), results(run_plainly, cell, sequence, directions))


@pytest.mark.parametrize("masks", [(), *((mask,) for mask in MASKS)])
@pytest.mark.parametrize("variant", FUSED)
def test_every_instruction_set_computes_the_reference(
    instruction_set: str, variant: str, masks: tuple[str, ...]
) -> None:
    torch.manual_seed(1)
    cell = cell_of(variant)
    if allowed(cell, masks) != masks:
        pytest.skip("the cell has not this mask")
    sizes = (6, 11, 5, 37)
    directions = [draw_direction(cell, sizes, reverse=reverse, bias=True, masks=masks) for reverse in (False, True)]
    directions[1] = dataclasses.replace(directions[1], reset=directions[0].reset)
    sequence = SequenceBatch(draw(6, 11, 5), torch.randint(1, 7, (11,)))
    assert _core.instruction_set() == instruction_set
    assert_same(results(run_fused, cell, sequence, directions), results(run_plainly, cell, sequence, directions))


@pytest.mark.parametrize("variant", FUSED)
def test_float32_is_float64_rounded(variant: str) -> None:
    """The error is a few units in the last place of float32, of values whose size is about 1."""
    torch.manual_seed(2)
    cell = cell_of(variant)
    direction = draw_direction(cell, (20, 9, 30, 50), reverse=False, bias=True, masks=())
    sequence = SequenceBatch(draw(20, 9, 30))

    def single(tensor: Tensor) -> Tensor:
        return tensor.detach().float().requires_grad_()

    weights = {name: single(weight) for name, weight in direction.weights.items()}
    state = tuple(single(part) for part in direction.state or ())
    have = results(run_fused, cell, SequenceBatch(single(sequence.values)), [Direction(weights, state)])
    want = results(run_reference_alone, cell, sequence, [direction])
    for (name, ours), (_, theirs) in zip(have, want, strict=True):
        error = (ours.double() - theirs).abs().max() / theirs.abs().max().clamp(min=1)
        assert error < 3e-6, f"{name}: {error}"


def run_reference_alone(cell: Cell, sequence: SequenceBatch, directions: list[Direction]) -> Any:
    output, final = run_reference(cell, sequence, directions[0])
    return output, [final]


@pytest.mark.parametrize("variant", FUSED)
@pytest.mark.parametrize("hidden_size", [37, 256])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_row_depends_neither_on_its_neighbours_nor_on_the_threads(
    variant: str, hidden_size: int, ragged: bool
) -> None:
    torch.manual_seed(3)
    cell, sizes = cell_of(variant), (7, 23, 20, hidden_size)
    direction = draw_direction(cell, sizes, reverse=False, bias=True, masks=())
    lengths = torch.tensor([1, 7, 1, 2, 6] + 18 * [1]) if ragged else None  # one of three threads has the long ones
    sequence = SequenceBatch(draw(7, 23, 20), lengths)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = results(run_fused, cell, sequence, [direction])
        torch.set_num_threads(3)
        together = results(run_fused, cell, sequence, [direction])
    finally:
        torch.set_num_threads(threads)
    for (name, one), (_, three) in zip(alone, together, strict=True):
        assert torch.equal(one, three), name
    for rows in (slice(4, 5), slice(0, 9)):
        part = dataclasses.replace(direction, state=tuple(state[rows] for state in direction.state or ()))
        some = SequenceBatch(sequence.values[:, rows], None if lengths is None else lengths[rows])
        output, _ = run_fused(cell, some, [part])
        assert torch.equal(output.values, alone[0][1][:, rows])


@pytest.mark.parametrize("variant", FUSED)
def test_second_gradients_are_finite_differences(variant: str) -> None:
    torch.manual_seed(4)
    cell = cell_of(variant)
    direction = draw_direction(cell, (3, 2, 2, 4), reverse=True, bias=True, masks=())
    names, states = list(direction.weights), len(cell.states)

    def function(values: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        weights = dict(zip(names, tensors[states:], strict=True))
        given_direction = Direction(weights, tensors[:states], reverse=True)
        output, finals = run_fused(cell, SequenceBatch(values, torch.tensor([3, 2])), [given_direction])
        return output.values, *finals[0]

    inputs = (draw(3, 2, 2), *(direction.state or ()), *direction.weights.values())
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def test_only_wanted_gradients_are_made_and_the_graph_can_be_used_twice() -> None:
    torch.manual_seed(5)
    cell = cell_of("gru")
    direction = draw_direction(cell, (5, 3, 4, 6), reverse=False, bias=True, masks=())
    frozen = {name: weight.detach() for name, weight in direction.weights.items()}
    frozen["weight_hh"].requires_grad_()
    values = draw(5, 3, 4).detach()
    output, _ = run_fused(cell, SequenceBatch(values), [Direction(frozen)])
    first = torch.autograd.grad(output.values.sum(), frozen["weight_hh"], retain_graph=True)
    second = torch.autograd.grad(output.values.sum(), frozen["weight_hh"])
    assert torch.equal(first[0], second[0])
    with torch.no_grad():
        output, _ = run_fused(cell, SequenceBatch(values), [direction])
    assert output.values.grad_fn is None


def test_outputs_changed_in_place_are_noticed_before_the_gradients() -> None:
    cell = cell_of("lstm")
    direction = draw_direction(cell, (5, 3, 4, 6), reverse=False, bias=True, masks=())
    output, _ = run_fused(cell, SequenceBatch(draw(5, 3, 4)), [direction])
    loss = output.values.sum()
    output.values.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_infinities_and_nans_come_through_as_in_the_reference() -> None:
    torch.manual_seed(6)
    for variant in FUSED:
        cell = cell_of(variant)
        direction = draw_direction(cell, (4, 3, 2, 5), reverse=False, bias=True, masks=())
        values = draw(4, 3, 2).detach()
        values[1, 0, 0], values[1, 1, 1] = float("nan"), 1e30
        have, _ = run_fused(cell, SequenceBatch(values), [direction])
        want, _ = run_reference(cell, SequenceBatch(values), direction)
        torch.testing.assert_close(have.values, want.values, equal_nan=True, rtol=1e-10, atol=1e-10)


def test_an_empty_batch_is_empty() -> None:
    cell = cell_of("lstm")
    direction = draw_direction(cell, (4, 0, 2, 5), reverse=False, bias=True, masks=())
    have = results(run_fused, cell, SequenceBatch(draw(4, 0, 2)), [direction])
    assert have[0][1].shape == (4, 0, 5)
    assert all(not gradient.any() for name, gradient in have if name.startswith("weight"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "another"}, "the native core has no kernel for the cell 'another'"),
        ({}, "the native core computes in float32 and float64, not in torch.bfloat16"),
    ],
)
def test_what_it_cannot_run_is_refused_with_the_reason(change: dict[str, str], message: str) -> None:
    cell = dataclasses.replace(cell_of("gru"), **change)
    weights = {name: weight.bfloat16() for name, weight in draw_weights(cell, 3, 4, bias=True).items()}
    with pytest.raises(BackendError, match=f"`backend` 'fused' cannot run: {message}"):
        run(cell, SequenceBatch(torch.zeros(2, 1, 3)), [Direction(weights)], backend="fused")


def test_zoneout_of_a_peephole_cell_runs_on_the_reference() -> None:
    cell = cell_of("lstm_peephole_full")
    direction = draw_direction(cell, (4, 3, 2, 5), reverse=False, bias=True, masks=("zoneout",))
    assert run(cell, SequenceBatch(draw(4, 3, 2)), [direction])[2] == "reference"


@pytest.mark.parametrize("backend", ["auto", "fused", "reference"])
def test_candidate_dropout_needs_a_gate(backend: str) -> None:
    cell = cell_of("rnn_tanh")
    direction = draw_direction(cell, (4, 3, 2, 5), reverse=False, bias=True, masks=("candidate_dropout",))
    with pytest.raises(ArgumentError, match="`candidate_dropout` needs a cell whose candidate is gated"):
        run(cell, SequenceBatch(draw(4, 3, 2)), [direction], backend=backend)


def test_every_cell_of_the_core_is_one_of_ours() -> None:
    assert set(_core.cells()) <= set(CELLS)


def test_an_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(ValueError, match="this machine has no kernels of that instruction set"):
        _core.set_instruction_set("avx1024")
