"""Steps one by one against the plain loop over the whole sequence, with the weights rounded as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cells.cell_cases import CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError

INPUT, HIDDEN, TIME, LAYERS = 19, 37, 6, 2
FORMATS = ["float32", "bfloat16", "int8"]


def layer(name: str, **options: Any) -> nn.Recurrent:
    torch.manual_seed(3)
    projected = name.endswith("_projected")
    return nn.Recurrent(
        name.removesuffix("_projected"), INPUT, HIDDEN, LAYERS, proj_size=11 if projected else 0, **options
    )


def rounded(recurrent: nn.Recurrent, weight_format: str) -> nn.Recurrent:
    """Make the layer whose matrices have gone through the format, by its definition."""
    copy = layer(recurrent.cell_name, backend="reference")
    if recurrent.proj_size:
        copy = layer(recurrent.cell_name + "_projected", backend="reference")
    for name, weight in copy.state_dict().items():
        if weight.dim() < 2 or (name.startswith("weight_peephole") and len(weight) == 3):
            continue
        if weight_format == "bfloat16":
            weight.copy_(weight.bfloat16())
        elif weight_format == "int8":
            for row in weight:
                scale = row.abs().max() / 127
                row.copy_((row / scale).round() * scale)
    return copy


def parts_of(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


@pytest.mark.parametrize("name", [*CELL_NAMES, "lstm_projected", "lstm_peephole_full_projected"])
@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("batch", [None, 1, 3, 6])
def test_steps_are_the_plain_loop(name: str, weight_format: Any, batch: int | None) -> None:
    recurrent = layer(name)
    stream = nn.Streaming(recurrent, weights=weight_format)
    values = torch.randn(TIME, *(() if batch is None else (batch,)), INPUT)
    state, outputs = None, []
    for x in values:
        output, state = stream.step(x, state)
        outputs.append(output)
    with torch.no_grad():
        want, final = rounded(recurrent, weight_format)(values)
    tolerance = 2e-5 if "layer_norm" in name else 2e-6  # normalisation divides errors by the spread of a product
    torch.testing.assert_close(torch.stack(outputs), want, rtol=0, atol=tolerance)
    torch.testing.assert_close(parts_of(state), parts_of(final), rtol=0, atol=tolerance)


def test_a_state_is_overwritten_and_a_clone_goes_on_apart() -> None:
    stream, x = nn.Streaming(layer("gru")), torch.randn(INPUT)
    state: Any = stream.zero_state()
    copy = state.clone()
    first, after = stream.step(x, state)
    assert after is state
    assert not torch.equal(state, copy)
    assert torch.equal(stream.step(x, copy)[0], first)


def test_float32_weights_are_the_layers_own() -> None:
    recurrent, x = layer("lstm"), torch.randn(INPUT)
    stream, copied = nn.Streaming(recurrent), nn.Streaming(recurrent, weights="int8")
    before, copied_before = stream.step(x)[0], copied.step(x)[0]
    with torch.no_grad():
        recurrent.weight_ih_l0.mul_(2)  # pyright: ignore[reportCallIssue]
    assert not torch.equal(stream.step(x)[0], before)
    assert torch.equal(copied.step(x)[0], copied_before)


def test_an_input_of_any_strides() -> None:
    stream, wide = nn.Streaming(layer("lstm")), torch.randn(INPUT, 4)
    assert torch.equal(stream.step(wide.T)[0], stream.step(wide.T.contiguous())[0])


STREAM = nn.Streaming(nn.LSTM(3, 4))


@pytest.mark.parametrize(
    ("x", "state", "message"),
    [
        (torch.zeros(4), None, r"`x` must have shape \(3,\), got \(4,\)"),
        (torch.zeros(2, 2, 3), None, r"`x` must have shape \(batch, 3\), got \(2, 2, 3\)"),
        (torch.zeros(3).double(), None, "`x` must be in float32 on the CPU, got torch.float64 on cpu"),
        (torch.zeros(3), (torch.zeros(1, 4),), "`state` must hold 2 tensors, got 1"),
        (torch.zeros(3), (torch.zeros(1, 4), torch.zeros(1, 5)), r"`state` must have shape \(1, 4\), got \(1, 5\)"),
        (torch.zeros(2, 3), (torch.zeros(1, 4),) * 2, r"`state` must have shape \(1, 2, 4\), got \(1, 4\)"),
        (torch.zeros(3), (torch.zeros(1, 4), torch.zeros(1, 4).half()), "`state` must be in float32"),
        (torch.zeros(2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 4, 2).mT), "`state` must be contiguous"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(x: Tensor, state: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        STREAM.step(x, state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bidirectional": True}, "`layer` must have one direction"),
        ({"dtype": torch.float64}, "`layer` must be in float32 on the CPU, got torch.float64"),
        ({"zoneout": 0.1}, "`layer` must have no zoneout"),
    ],
)
def test_a_layer_that_cannot_stream_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        nn.Streaming(layer("gru", **options))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ArgumentError, match="`weights` must be one of 'float32', 'bfloat16', 'int8', got 'int4'"):
        nn.Streaming(layer("gru"), weights="int4")  # pyright: ignore[reportArgumentType]
