from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from cells.cell_cases import (
    BATCH,
    CELL_NAMES,
    HIDDEN,
    INPUT,
    VARIANTS,
    cell_of,
    random,
    random_state,
    random_weights,
)
from throughtime.cells import CELLS, Cell, State, Step, Weights, projected
from throughtime.errors import ArgumentError


def step(cell: Cell, x: Tensor, state: State, weights: Weights) -> Step:
    rows = len(cell.recurrent_gates) * HIDDEN
    recurrent = linear(state[0], weights["weight_hh"][:rows], weights["bias_hh"][:rows])
    return cell.step(linear(x, weights["weight_ih"], weights["bias_ih"]), recurrent, state, weights)


def test_every_cell_has_its_row_in_the_cases() -> None:
    assert sorted(CELLS) == sorted(CELL_NAMES)
    assert all(name == cell.name for name, cell in CELLS.items())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_gives_each_state_and_each_gate(variant: str) -> None:
    cell = cell_of(variant)
    state, weights = random_state(cell), random_weights(cell)
    result = step(cell, random(BATCH, INPUT), state, weights)
    assert [part.shape for part in result.state] == [part.shape for part in state]
    assert len(result.gates) == len(cell.gates)
    assert all(gate.shape == (BATCH, HIDDEN) for gate in result.gates)
    assert cell.states[0] == "hidden"


def test_full_peepholes_are_the_lectures_equations() -> None:
    cell = CELLS["lstm_peephole_full"]
    x, (h, c), weights = random(BATCH, INPUT), random_state(cell), random_weights(cell)
    w_ii, w_if, w_ig, w_io = weights["weight_ih"].chunk(4)
    w_hi, w_hf, w_hg, w_ho = weights["weight_hh"].chunk(4)
    p_i, p_f, p_o = weights["weight_peephole"].chunk(3)
    b_i, b_f, b_c, b_o = (weights["bias_ih"] + weights["bias_hh"]).chunk(4)
    f = torch.sigmoid(torch.cat([c, h, x], 1) @ torch.cat([p_f, w_hf, w_if], 1).T + b_f)
    i = torch.sigmoid(torch.cat([c, h, x], 1) @ torch.cat([p_i, w_hi, w_ii], 1).T + b_i)
    candidate = torch.tanh(torch.cat([h, x], 1) @ torch.cat([w_hg, w_ig], 1).T + b_c)
    new_c = f * c + i * candidate
    o = torch.sigmoid(torch.cat([new_c, h, x], 1) @ torch.cat([p_o, w_ho, w_io], 1).T + b_o)
    result = step(cell, x, (h, c), weights)
    torch.testing.assert_close(result.state, (o * torch.tanh(new_c), new_c), rtol=0, atol=1e-12)
    torch.testing.assert_close(result.gates, (i, f, candidate, o), rtol=0, atol=1e-12)


def test_diagonal_peepholes_are_full_ones_with_diagonal_matrices() -> None:
    diagonal, full = CELLS["lstm_peephole_diagonal"], CELLS["lstm_peephole_full"]
    x, state, weights = random(BATCH, INPUT), random_state(diagonal), random_weights(diagonal)
    matrices = torch.cat([torch.diag(row) for row in weights["weight_peephole"]])
    expected = step(full, x, state, {**weights, "weight_peephole": matrices})
    torch.testing.assert_close(step(diagonal, x, state, weights).state, expected.state, rtol=0, atol=1e-12)


def test_the_gru_that_resets_before_is_the_lectures_with_its_z_turned_around() -> None:
    cell = CELLS["gru_reset_before"]
    x, (h,), weights = random(BATCH, INPUT), random_state(cell), random_weights(cell)
    weights |= {
        "bias_ih": torch.zeros_like(weights["bias_ih"]),
        "bias_hh": torch.zeros_like(weights["bias_hh"]),
    }
    w_ir, w_iz, w_in = weights["weight_ih"].chunk(3)
    w_hr, w_hz, w_hn = weights["weight_hh"].chunk(3)
    z = torch.sigmoid(torch.cat([h, x], 1) @ -torch.cat([w_hz, w_iz], 1).T)
    r = torch.sigmoid(torch.cat([h, x], 1) @ torch.cat([w_hr, w_ir], 1).T)
    candidate = torch.tanh(torch.cat([r * h, x], 1) @ torch.cat([w_hn, w_in], 1).T)
    expected = (1 - z) * h + z * candidate
    torch.testing.assert_close(step(cell, x, (h,), weights).state, (expected,), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn_tanh", "gru"])
def test_a_cell_whose_only_state_is_its_output_cannot_be_projected(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"`proj_size` needs a cell with a state besides its output.*'{name}'"):
        projected(CELLS[name])
