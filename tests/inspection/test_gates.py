from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cells.cell_cases import CELL_NAMES, LENGTHS
from throughtime import SequenceBatch, nn
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.inspection import memory_span, memory_spans, record_gates, recurrent_matrices

TIME, BATCH, INPUT, HIDDEN = 5, 4, 3, 2


def layer_of(name: str, **options: object) -> nn.Recurrent:
    return nn.Recurrent(name, INPUT, HIDDEN, dtype=torch.float64, **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", CELL_NAMES)
def test_the_states_are_those_of_the_fused_layer(name: str) -> None:
    layer = layer_of(name, num_layers=2, bidirectional=True).eval()
    sequence = SequenceBatch(torch.randn(TIME, BATCH, INPUT, dtype=torch.float64), LENGTHS)
    initial = tuple(torch.randn(4, BATCH, HIDDEN, dtype=torch.float64) for _ in CELLS[name].states)
    found = record_gates(layer, sequence, initial)
    output, final = layer(sequence, initial[0] if len(initial) == 1 else initial)
    assert layer.last_backend == "fused"
    assert [(one.layer, one.reverse) for one in found] == [(0, False), (0, True), (1, False), (1, True)]
    states = (final,) if isinstance(final, Tensor) else final
    for row, length in enumerate(LENGTHS.tolist()):
        last = [one.row(row) for one in found]
        top = torch.cat([one.states["hidden"][:, 0] for one in last[2:]], dim=-1)
        torch.testing.assert_close(top, output.values[:length, row], rtol=0, atol=1e-12)
        for place, own in enumerate(last):
            end = 0 if own.reverse else -1
            for state, values in zip(states, own.states.values(), strict=True):
                torch.testing.assert_close(values[end, 0], state[place, row], rtol=0, atol=1e-12)


def test_the_gates_are_those_of_the_equations() -> None:
    layer = layer_of("lstm")
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    (found,) = record_gates(layer, x)
    weights = layer.weights(0)
    hidden = cell = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    for t in range(TIME):
        sums = x[t] @ weights["weight_ih"].T + weights["bias_ih"] + hidden @ weights["weight_hh"].T + weights["bias_hh"]
        i, f, g, o = sums.split(HIDDEN, dim=-1)
        for name, value in (("input", i.sigmoid()), ("forget", f.sigmoid()), ("candidate", g.tanh())):
            torch.testing.assert_close(found.gates[name][t], value)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        torch.testing.assert_close(found.states["cell"][t], cell)
        torch.testing.assert_close(found.gates["output"][t], o.sigmoid())


def test_zoneout_and_projection_are_in_what_is_recorded() -> None:
    layer = layer_of("lstm", proj_size=1, zoneout=(0.3, 0.2)).eval()
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    (found,) = record_gates(layer, x)
    output, (_, cell) = layer(x)
    torch.testing.assert_close(found.states["hidden"], output)
    torch.testing.assert_close(found.states["cell"][-1], cell[0])
    assert found.keeps is not None
    torch.testing.assert_close(found.keeps, 0.2 + 0.8 * found.gates["forget"])


@pytest.mark.parametrize(("name", "gate"), [("lstm", "forget"), ("gru", "update"), ("gru_reset_before", "update")])
def test_a_unit_whose_gate_keeps_nine_tenths_has_the_half_life_that_follows(name: str, gate: str) -> None:
    layer = layer_of(name)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        rows = CELLS[name].gates.index(gate) * HIDDEN
        layer.get_parameter("bias_ih_l0")[rows : rows + HIDDEN] = torch.logit(torch.tensor([0.9, 0.5]))
    (found,) = record_gates(layer, torch.zeros(TIME, BATCH, INPUT, dtype=torch.float64))
    span = memory_span(found)
    expected = [math.log(0.5) / math.log(0.9), 1.0]
    torch.testing.assert_close(span.half_lives, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0)


def test_padding_has_no_part_in_a_half_life() -> None:
    layer, x = layer_of("gru"), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    (ragged,) = record_gates(layer, SequenceBatch(x, LENGTHS))
    loud = torch.where(SequenceBatch(x, LENGTHS).mask().unsqueeze(-1), x, 1e6)  # pyright: ignore[reportOptionalMemberAccess]
    (other,) = record_gates(layer, SequenceBatch(loud, LENGTHS))
    torch.testing.assert_close(memory_span(ragged).half_lives, memory_span(other).half_lives)


def test_elmans_network_has_no_gate_that_keeps() -> None:
    found = record_gates(layer_of("rnn_tanh"), torch.zeros(TIME, BATCH, INPUT, dtype=torch.float64))
    assert memory_spans(found) == []
    with pytest.raises(ArgumentError, match="must be of a cell that has a forget or an update gate"):
        memory_span(found[0])


def test_recurrent_matrices_are_told_by_their_eigenvalues() -> None:
    layer = layer_of("gru", num_layers=2)
    with torch.no_grad():
        blocks = torch.tensor([[[0.0, -2.0], [2.0, 0.0]], [[3.0, 0.0], [0.0, 1.0]], [[0.0, 5.0], [0.0, 0.0]]])
        layer.get_parameter("weight_hh_l1").copy_(blocks.flatten(0, 1))
    reset, update, candidate = recurrent_matrices(layer)[3:]
    assert [one.gate for one in (reset, update, candidate)] == ["reset", "update", "candidate"]
    assert [one.spectral_radius for one in (reset, update, candidate)] == pytest.approx([2.0, 3.0, 0.0])
    assert [one.norm for one in (reset, update, candidate)] == pytest.approx([2.0, 3.0, 5.0])


def test_of_a_projected_layer_the_matrix_is_that_from_output_to_output() -> None:
    layer = layer_of("lstm", proj_size=1)
    first = recurrent_matrices(layer)[0]
    expected = layer.get_parameter("weight_hr_l0") @ layer.get_parameter("weight_hh_l0")[:HIDDEN]
    assert first.spectral_radius == pytest.approx(float(expected.detach().abs()))


def test_the_states_of_a_convolutional_layer_are_pictures() -> None:
    layer = nn.ConvLSTM(2, 3, 3, 2, bidirectional=True, peephole=True, dtype=torch.float64)
    pictures = torch.randn(TIME, 2, 2, 4, 5, dtype=torch.float64)
    initial = tuple(torch.randn(4, 2, 3, 4, 5, dtype=torch.float64) for _ in range(2))
    lengths = torch.tensor([TIME, 3])
    found = record_gates(layer, SequenceBatch(pictures, lengths), initial)
    output, (hidden, cell) = layer(pictures, initial, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        last = [one.row(row) for one in found]
        assert last[0].gates["forget"].shape == (length, 1, 4, 5, 3)
        top = torch.cat([one.states["hidden"][:, 0] for one in last[2:]], dim=-1).movedim(-1, 1)
        torch.testing.assert_close(top, output[:length, row], rtol=0, atol=1e-12)
        for place, own in enumerate(last):
            end = 0 if own.reverse else -1
            for state, values in zip((hidden, cell), own.states.values(), strict=True):
                torch.testing.assert_close(values[end, 0].movedim(-1, 0), state[place, row], rtol=0, atol=1e-12)
    kept = found[0].row(0).gates["forget"]
    half_lives = memory_span(found[0].row(0)).half_lives
    torch.testing.assert_close(half_lives, math.log(2) / -kept.log().mean((0, 1, 2, 3)))
    averaged = found[0].over_places()
    torch.testing.assert_close(averaged.gates["forget"], found[0].gates["forget"].mean((2, 3)))
    assert averaged.states["cell"].shape == (TIME, 2, 3)
