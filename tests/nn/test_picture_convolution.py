from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from throughtime.nn import picture_convolution
from throughtime.nn.picture_convolution import PictureConvolution


def calls(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What comes to the core from now on."""
    seen: list[Tensor] = []
    convolve = picture_convolution.CoreFilters.product

    def watched(filters: picture_convolution.CoreFilters, values: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(values)
        return convolve(filters, values, bias)

    monkeypatch.setattr(picture_convolution.CoreFilters, "product", watched)
    return seen


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_it_is_torchs_convolution(
    kernel: int, bias: bool, channels_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = calls(monkeypatch)
    layer = PictureConvolution(9, 11, kernel, bias=bias).double()
    other = nn.Conv2d(9, 11, kernel, padding=kernel // 2, bias=bias).double()
    other.load_state_dict(layer.state_dict())
    pictures = torch.randn(6, 9, 13, 14, dtype=torch.float64)
    if channels_last:
        pictures = pictures.to(memory_format=torch.channels_last)
    results: list[list[Tensor]] = []
    for module in (layer, other):
        values = pictures.clone().requires_grad_()
        output = module(values)
        results.append([output, *torch.autograd.grad(output.sin().sum(), [values, *module.parameters()])])
    assert len(seen) == 1
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


def test_torch_does_what_the_core_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = calls(monkeypatch)
    layer = PictureConvolution(8, 4)
    layer(torch.randn(1, 8, 31, 32))  # few places
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(2, 8, 32, 32))
    layer.bfloat16()(torch.randn(2, 8, 32, 32, dtype=torch.bfloat16))
    PictureConvolution(3, 4)(torch.randn(2, 3, 32, 32))
    program = torch.export.export(PictureConvolution(8, 4), (torch.randn(2, 8, 32, 32),))
    assert any("conv2d" in str(node.target) for node in program.graph.nodes)
    assert not seen
    layer.float()(torch.randn(2, 8, 32, 32))
    assert len(seen) == 1
