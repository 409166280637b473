from __future__ import annotations

import pytest
import torch

from throughtime import nn
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_a_gru_keeps_its_state_as_long_as_the_biases_say(cell: str) -> None:
    layer = nn.Recurrent(cell, 3, 40, dtype=torch.float64)
    nn.chrono_biases_(layer, 50)
    bias = layer.bias_ih_l0[40:80].detach().clone()  # pyright: ignore[reportIndexIssue]
    assert 0 <= float(bias.exp().min()) - 1 < 10
    assert 30 < float(bias.exp().max()) <= 49
    # Without weights the candidate is zero, and of h_0 stays sigmoid(b) at each step.
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
        for vector in (layer.bias_ih_l0, layer.bias_hh_l0):
            vector[80:] = 0  # pyright: ignore[reportIndexIssue, reportArgumentType]
    start = torch.randn(1, 2, 40, dtype=torch.float64)
    _, final = layer(torch.randn(17, 2, 3, dtype=torch.float64), start)
    torch.testing.assert_close(final, start * torch.sigmoid(bias) ** 17)


def test_the_input_gate_of_an_lstm_opens_as_little_as_the_forget_gate_closes() -> None:
    network = torch.nn.ModuleDict({"reader": nn.LSTM(3, 8, num_layers=2, bidirectional=True)})
    nn.chrono_biases_(network, 100)
    drawn: list[torch.Tensor] = []
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        bias: torch.Tensor = getattr(network["reader"], f"bias_ih_{suffix}")
        assert not getattr(network["reader"], f"bias_hh_{suffix}")[:16].any()
        torch.testing.assert_close(torch.sigmoid(bias[:8]), 1 - torch.sigmoid(bias[8:16]))
        assert ((bias[8:16] >= 0) & (bias[8:16].exp() <= 99)).all()
        drawn.append(bias[8:16])
    assert len({tuple(bias.tolist()) for bias in drawn}) == 4


def test_cells_without_such_gates_stay_as_they_are() -> None:
    for name in CELLS:
        layer = nn.Recurrent(name, 2, 4)
        before = [weight.detach().clone() for weight in layer.parameters()]
        nn.chrono_biases_(layer, 10)
        changed = any(not torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
        assert changed == (not name.startswith("rnn"))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`longest` must be a number in"):
        nn.chrono_biases_(nn.GRU(2, 3), 1)
    with pytest.raises(ArgumentError, match="`bias` is False"):
        nn.chrono_biases_(nn.GRU(2, 3, bias=False), 10)
