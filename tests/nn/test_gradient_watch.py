"""Clipped and recorded dL/dh_t against autograd over a loop of single steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cells.cell_cases import CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.nn import record_gradient_norms

INPUT, HIDDEN, TIME, BATCH, CLIP = 3, 5, 6, 4, 0.3
LENGTHS = [2, 6, 4, 1]


def layer(name: str, **options: Any) -> nn.Recurrent:
    torch.manual_seed(1)
    return nn.Recurrent(name, INPUT, HIDDEN, dtype=torch.float64, **options)


def step_by_step(recurrent: nn.Recurrent, x: Tensor, weight: Tensor, clip: float | None) -> list[Tensor]:
    """dL/dh_t of each row over its own length, then the gradients of all parameters and of x, by autograd alone."""
    cell = nn.RecurrentCell(recurrent.cell_name, INPUT, HIDDEN, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in recurrent.state_dict().items()})
    gradients = torch.zeros(TIME, BATCH, HIDDEN, dtype=torch.float64)

    def hook(t: int, row: int) -> Any:
        def watch(gradient: Tensor) -> Tensor:
            gradient = gradient if clip is None else gradient.clamp(-clip, clip)
            gradients[t, row] = gradient[0]
            return gradient

        return watch

    terms: list[Tensor] = []
    for row, length in enumerate(LENGTHS):
        state: Any = None
        for t in range(length):
            state = cell(x[t, row : row + 1], state)
            hidden = state if isinstance(state, Tensor) else state[0]
            hidden.register_hook(hook(t, row))
            terms.append((hidden * weight[t, row]).sum())
    found = torch.autograd.grad(torch.stack(terms).sum(), [*cell.parameters(), x])
    return [gradients, *found]


@pytest.mark.parametrize("name", CELL_NAMES)
@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("clip", [None, CLIP])
def test_gradients_are_those_of_single_steps(name: str, backend: str, clip: float | None) -> None:
    recurrent = layer(name, backend=backend, gradient_clip=clip)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(TIME, BATCH, HIDDEN, dtype=torch.float64)
    with record_gradient_norms(recurrent) as norms:
        output, _ = recurrent(x, lengths=LENGTHS)
    found = torch.autograd.grad((output * weight).sum(), [*recurrent.parameters(), x])
    assert recurrent.last_backend == backend
    want = step_by_step(recurrent, x, weight, clip)
    torch.testing.assert_close([*norms[""][0], *found], [want[0].norm(dim=-1), *want[1:]], rtol=0, atol=1e-10)
    assert (want[0].abs() == CLIP).any() == (clip is not None)


def test_every_layer_direction_and_call_is_recorded_by_name() -> None:
    model = torch.nn.Sequential()
    model.add_module("encoder", nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True))
    with record_gradient_norms(model) as norms:
        losses = [model[0](torch.randn(time, BATCH, INPUT))[0].sum() for time in (TIME, 2)]
    assert list(norms) == ["encoder"]
    assert not any(call.any() for call in norms["encoder"])
    losses[1].backward()
    first, second = norms["encoder"]
    assert first.shape == (4, TIME, BATCH)
    assert second.shape == (4, 2, BATCH)
    assert not first.any()
    assert second.all()
    assert model[0].hidden_gradients is None


def test_a_vanilla_network_forgets_and_one_with_a_large_matrix_explodes() -> None:
    for scale, low, high in ((0.5, 0.0, 1e-3), (2.0, 1e3, float("inf"))):
        recurrent: Any = nn.RNN(INPUT, 16, nonlinearity="relu", recurrent_init="orthogonal")
        with torch.no_grad():
            for bias in (recurrent.bias_ih_l0, recurrent.bias_hh_l0):
                bias.fill_(1.0)  # units stay on
            recurrent.weight_hh_l0.copy_(scale * torch.eye(16))
        with record_gradient_norms(recurrent) as norms:
            recurrent(torch.rand(21, 1, INPUT) / 10)[0][-1].sum().backward()
        ratio = norms[""][0][0, 0, 0] / norms[""][0][0, -1, 0]
        assert low <= ratio <= high
        torch.testing.assert_close(ratio.item(), scale**20, rtol=1e-4, atol=0)


def test_torchs_kernels_refuse() -> None:
    with pytest.raises(BackendError, match="neither clip nor record the gradients"):
        layer("lstm", backend="torch", gradient_clip=1.0)(torch.zeros(TIME, BATCH, INPUT, dtype=torch.float64))


@pytest.mark.parametrize("clip", [0, -1.0, "1"])
def test_a_limit_that_cannot_be_used_is_named(clip: Any) -> None:
    with pytest.raises(ArgumentError, match="`gradient_clip` must be a number"):
        nn.GRU(INPUT, HIDDEN, gradient_clip=clip)
