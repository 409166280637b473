from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from throughtime import nn as recurrent
from throughtime.bptt.memory import LiveBytes, format_bytes, parse_bytes, probe
from throughtime.errors import ArgumentError


@pytest.mark.parametrize(
    ("written", "count"),
    [
        (1, 1),
        ("512MB", 512_000_000),
        ("0.5 kB", 500),
        ("2 GiB", 2**31),
        ("1.5mib", 3 * 2**19),
        (" 7 B ", 7),
    ],
)
def test_budgets_are_bytes_or_written_with_a_unit(written: int | str, count: int) -> None:
    assert parse_bytes("memory_budget", written) == count


@pytest.mark.parametrize("written", ["512", "MB", "0 MB", "-1MB", "1 TBit", "", 0, -5, 1.5, True, None])
def test_what_is_no_amount_of_memory_is_refused(written: Any) -> None:
    with pytest.raises(ArgumentError, match="`memory_budget` must be a positive number of bytes or a string such as"):
        parse_bytes("memory_budget", written)


@pytest.mark.parametrize(("count", "written"), [(0, "0 B"), (999, "999 B"), (1001, "1.01 kB"), (2 * 10**9, "2 GB")])
def test_bytes_are_written_so_that_they_suffice(count: int, written: str) -> None:
    assert format_bytes(count) == written


def test_tensors_are_counted_from_when_they_are_made_until_they_are_freed() -> None:
    before = torch.ones(100)
    live = LiveBytes()
    with live:
        view = before[:10].add_(1)
        first = torch.zeros(1000)
        same = [first.view(10, 100), first[:5]]
        second = first + before[0]
        assert live.live == 8000
        del first, same
        assert live.live == 4000
        del second
    assert view.shape == (10,)
    assert (live.live, live.peak) == (0, 8000)


class Squares(torch.autograd.Function):
    """Keeps something that no operation of torch's has made, as a native kernel may."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        kept = torch.from_numpy(inputs.numpy().copy())
        ctx.save_for_backward(kept)
        return (inputs * inputs).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (kept,) = ctx.saved_tensors
        return 2 * kept * gradients[0]


def test_what_a_graph_holds_is_counted_wherever_it_comes_from() -> None:
    inputs = torch.ones(1000, 7, dtype=torch.float64)

    def part(sequences: tuple[Tensor, ...], state: Tensor) -> tuple[Tensor, Tensor]:
        return Squares.apply(sequences[0]), state  # pyright: ignore[reportReturnType]

    # On the way back the kept values, their double and the gradient are there at a time.
    assert probe(part, [inputs], torch.zeros(1), [True, True]).costs.step >= 3 * 7 * 8
    assert probe(part, [inputs], torch.zeros(1), [False, True]).costs.step == 7 * 8


def test_what_a_step_takes_is_seen_in_a_few_steps() -> None:
    """Against the formula: an output and its tanh's input, both of batch x hidden, for each step."""
    batch, hidden = 3, 50
    weight = nn.Parameter(torch.zeros(hidden, hidden, dtype=torch.float64))
    unused = nn.Parameter(torch.zeros(1))

    def part(sequences: tuple[Tensor, ...], state: Tensor) -> tuple[Tensor, Tensor]:
        total = unused.detach().sum().double()
        for step in sequences[0]:
            state = (state @ weight + step).tanh()
            total = total + state.sum()
        return total, state

    steps = torch.zeros(1000, batch, hidden, dtype=torch.float64)
    seen = probe(part, [steps], torch.zeros(batch, hidden, dtype=torch.float64), [False, True])
    one = batch * hidden * 8
    assert len(seen.weights) == 1
    assert seen.weights[0] is weight
    assert not seen.reads_a_graph
    assert seen.costs.state == one
    assert one <= seen.costs.step <= 1.1 * one
    # What the way back takes at the least: the weight's gradient, twice where it is added up, and its sum.
    assert 3 * weight.nbytes <= seen.costs.fixed <= 6 * weight.nbytes + one


def test_what_the_native_core_uses_within_a_call_counts() -> None:
    """At the least, on the way back: the derivatives of the gates of all steps, batch x 4 * hidden each."""
    batch, hidden = 3, 32
    layer = recurrent.LSTM(5, hidden)

    def part(sequences: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        outputs, state = layer(sequences[0], state)
        return outputs.sum(), state

    state = (torch.zeros(1, batch, hidden), torch.zeros(1, batch, hidden))
    seen = probe(part, [torch.zeros(500, batch, 5)], state, [False, True, True])
    saved, derivatives = 6 * batch * hidden * 4, 4 * batch * hidden * 4
    assert layer.last_backend == "fused"
    assert saved + derivatives <= seen.costs.step <= 2 * (saved + derivatives)
