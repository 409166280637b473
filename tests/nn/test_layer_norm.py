"""Layer normalisation against the paper's equations with torch.nn.LayerNorm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from throughtime import nn

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 7


def trained(kind: str, **options: Any) -> Any:
    """Make a layer whose gains and biases are not those of the beginning."""
    layer = getattr(nn, kind)(INPUT, HIDDEN, layer_norm=True, dtype=torch.float64, **options)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


def norm(gain: Tensor, bias: Tensor) -> torch.nn.LayerNorm:
    module = torch.nn.LayerNorm(len(gain), dtype=torch.float64)
    module.load_state_dict({"weight": gain, "bias": bias})
    return module


def paper_lstm(layer: Any, x: Tensor) -> Tensor:
    """Equations (20) to (22) of the paper's supplement."""
    of_input, of_hidden = norm(layer.norm_gain_ih_l0, layer.bias_ih_l0), norm(layer.norm_gain_hh_l0, layer.bias_hh_l0)
    of_cell = norm(layer.norm_gain_cell_l0, layer.norm_bias_cell_l0)
    h = c = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    outputs: list[Tensor] = []
    for x_t in x:
        gates = of_hidden(linear(h, layer.weight_hh_l0)) + of_input(linear(x_t, layer.weight_ih_l0))
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * of_cell(c).tanh()
        outputs.append(h)
    return torch.stack(outputs)


def paper_gru(layer: Any, x: Tensor) -> Tensor:
    """Equations (23) to (25) of the paper's supplement, z being the share of the old state."""
    two = 2 * HIDDEN
    norms = {
        side: (norm(gain[:two], bias[:two]), norm(gain[two:], bias[two:]))
        for side, gain, bias in (
            ("x", layer.norm_gain_ih_l0, layer.bias_ih_l0),
            ("h", layer.norm_gain_hh_l0, layer.bias_hh_l0),
        )
    }
    h = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    outputs: list[Tensor] = []
    for x_t in x:
        from_x, from_h = linear(x_t, layer.weight_ih_l0), linear(h, layer.weight_hh_l0)
        r, z = (norms["h"][0](from_h[:, :two]) + norms["x"][0](from_x[:, :two])).sigmoid().chunk(2, -1)
        n = (norms["x"][1](from_x[:, two:]) + r * norms["h"][1](from_h[:, two:])).tanh()
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs)


@pytest.mark.parametrize(("kind", "paper"), [("LSTM", paper_lstm), ("GRU", paper_gru)])
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_layers_are_the_papers(kind: str, paper: Any, backend: str) -> None:
    layer, x = trained(kind, backend=backend), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0], paper(layer, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_products_size_does_not_matter(kind: str) -> None:
    layer, x = trained(kind), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    before = layer(x)[0]
    with torch.no_grad():
        layer.weight_hh_l0.mul_(1e4)
        layer.weight_ih_l0.mul_(1e4)
    # Not to the last digits: epsilon weighs less, and the first product with h_0 = 0 has nothing but epsilon.
    torch.testing.assert_close(layer(x)[0], before, rtol=0, atol=1e-2)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "GRUCell"])
def test_it_begins_with_gains_of_one(kind: str) -> None:
    module = getattr(nn, kind)(INPUT, HIDDEN, layer_norm=True)
    parts = {name: value for name, value in module.named_parameters() if name.startswith("norm_")}
    assert len(parts) == (4 if kind.startswith("LSTM") else 2)
    assert all(bool((value == ("gain" in name)).all()) for name, value in parts.items())
