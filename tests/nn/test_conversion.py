from __future__ import annotations

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.nn import GRU, negate_update_gate


@pytest.mark.parametrize("bias", [False, True])
def test_converted_weights_make_the_same_network_in_the_other_convention(bias: bool) -> None:
    """The lecture's GRU, h_t = (1 - z_t) h_{t-1} + z_t n_t, written with its own concatenations."""
    layer = GRU(3, 5, reset="before", bias=bias, dtype=torch.float64)
    weights = negate_update_gate(layer.state_dict())
    w_r, w_z, w_h = torch.cat([weights["weight_hh_l0"], weights["weight_ih_l0"]], 1).chunk(3)
    zeros = torch.zeros(15, dtype=torch.float64)
    b_r, b_z, b_h = (weights.get("bias_ih_l0", zeros) + weights.get("bias_hh_l0", zeros)).chunk(3)
    x, h = torch.randn(6, 4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    output, _ = layer(x, h.unsqueeze(0))
    for t in range(6):
        z = torch.sigmoid(torch.cat([h, x[t]], 1) @ w_z.T + b_z)
        r = torch.sigmoid(torch.cat([h, x[t]], 1) @ w_r.T + b_r)
        candidate = torch.tanh(torch.cat([r * h, x[t]], 1) @ w_h.T + b_h)
        h = (1 - z) * h + z * candidate
        torch.testing.assert_close(output[t], h, rtol=0, atol=1e-12)


def test_converting_twice_gives_the_weights_back_and_changes_no_argument() -> None:
    layer = GRU(3, 5, 2, bidirectional=True)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    twice = negate_update_gate(negate_update_gate(layer.state_dict()))
    assert twice.keys() == before.keys()
    assert all(torch.equal(twice[name], value) for name, value in before.items())
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())


def test_weights_that_are_no_grus_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`weight_ih_l0` must have three blocks of rows \(r, z, n\), got 20 rows"):
        negate_update_gate(torch.nn.LSTM(3, 5).state_dict())
