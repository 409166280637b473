"""The layers on CUDA and MPS: the same numbers as on the processor, by torch's kernels where those know the cell."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from cells.cell_cases import CELL_CASES, LENGTHS, TIME, VARIANTS
from throughtime import nn
from throughtime.errors import BackendError

DEVICES = [
    pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"no {name} device"))
    for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
]
pytestmark = pytest.mark.parametrize("device", DEVICES)
INPUT, HIDDEN = 3, 5
TORCH_CELLS = {case.name for case in CELL_CASES if case.torch_has_it}


def flat(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [part for item in result for part in flat(item)]


def results(layer: nn.Recurrent, values: Tensor, *, ragged: bool, **options: Any) -> list[Tensor]:
    """Outputs, final states and every gradient, on the processor in float64."""
    given: Any = values.requires_grad_()
    if ragged:
        given = pack_padded_sequence(values, LENGTHS, enforce_sorted=False)
    output, final = layer(given, **options)
    parts = [output.data if ragged else output, *flat(final)]
    loss = torch.stack([(part**2).sum() for part in parts]).sum()
    gradients = torch.autograd.grad(loss, [values, *layer.parameters()])
    return [part.detach().cpu().double() for part in (*parts, *gradients)]


def both(device: str, layer: nn.Recurrent, *, ragged: bool, **options: Any) -> tuple[nn.Recurrent, list[list[Tensor]]]:
    """The layer there, and its results here and there."""
    there = deepcopy(layer).to(device, torch.float32 if device == "mps" else torch.float64)
    values = torch.randn(TIME, len(LENGTHS), INPUT, dtype=torch.float64)
    pairs = [results(layer, values.clone(), ragged=ragged, **options)]
    moved = {name: option.to(device) for name, option in options.items()}
    pairs.append(results(there, values.to(next(there.parameters())), ragged=ragged, **moved))
    return there, pairs


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_cell_gives_the_processors_numbers(device: str, variant: str, ragged: bool) -> None:
    name = variant.removesuffix("_projected")
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": 0 if name == variant else 2}
    there, (here, have) = both(device, nn.Recurrent(name, INPUT, HIDDEN, dtype=torch.float64, **options), ragged=ragged)
    assert there.last_backend == ("torch" if name in TORCH_CELLS else "reference")
    torch.testing.assert_close(have, here, rtol=0, atol=1e-4 if device == "mps" else 1e-10)


def test_resets_leave_torchs_kernels(device: str) -> None:
    layer = nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)
    there, (here, have) = both(device, layer, ragged=False, reset=torch.rand(TIME, len(LENGTHS)) < 0.3)
    assert there.last_backend == "reference"
    torch.testing.assert_close(have, here, rtol=0, atol=1e-4 if device == "mps" else 1e-10)


def test_the_native_core_is_refused_with_the_reason(device: str) -> None:
    layer = nn.LSTM(INPUT, HIDDEN, backend="fused").to(device)
    with pytest.raises(BackendError, match=f"'fused' cannot run: .*{device}"):
        layer(torch.randn(TIME, 2, INPUT, device=device))
