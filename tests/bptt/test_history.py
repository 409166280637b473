"""Against autograd with a copy of the weights for each step, as each step found them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call

from throughtime import nn as recurrent
from throughtime.bptt import TruncatedLoss, detach, truncated_bptt, truncated_bptt_with_history
from throughtime.bptt.memory import LiveBytes
from throughtime.errors import ArgumentError

TIME, BATCH, INPUT, HIDDEN = 13, 2, 3, 4


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum()


def data() -> tuple[Tensor, Tensor]:
    return draw(TIME, BATCH, INPUT), draw(TIME, BATCH, HIDDEN, seed=1)


class Counting(nn.Module):
    """A layer of this library that counts its steps."""

    def __init__(self, cell: str = "lstm", backend: str = "auto") -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layer = recurrent.Recurrent(cell, INPUT, HIDDEN, backend=backend, dtype=torch.float64)
        self.steps = 0

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.steps += len(inputs)
        return self.layer(inputs, state)


def updated(parts: Iterator[TruncatedLoss], network: nn.Module, rate: float) -> Iterator[tuple[Any, list[Tensor]]]:
    """Descend after each window by SGD, which changes the weights in place; give each window's gradients."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.5)
    for part in parts:
        part.loss.backward()
        yield part, [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
        optimizer.step()
        optimizer.zero_grad()


def as_each_step_was(network: nn.Module, k1: int, k2: int, rate: float) -> Iterator[list[Tensor]]:
    """Keep the weights and the state of every step, and run each window step by step with copies of them."""
    inputs, targets = data()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.5)
    then: list[dict[str, Tensor]] = []
    states: list[Any] = [None]
    for start in range(0, TIME, k1):
        stop = min(start + k1, TIME)
        for step in range(start, stop):
            then.append({name: weight.detach().clone() for name, weight in network.named_parameters()})
            states.append(detach(network(inputs[step : step + 1], states[-1])[1]))
        first = max(0, start + k1 - k2)
        copies = [{name: weight.requires_grad_() for name, weight in detach(step).items()} for step in then[first:stop]]
        state, total = states[first], torch.zeros((), dtype=torch.float64)
        for step, weights in zip(range(first, stop), copies, strict=True):
            outputs, state = functional_call(network, weights, (inputs[step : step + 1], state))
            total = total + (squared(outputs, targets[step : step + 1]) if step >= start else 0)
        of_steps = torch.autograd.grad(total, [weight for weights in copies for weight in weights.values()])
        count = len(copies[0])
        gradients = [torch.stack(of_steps[index::count]).sum(0) for index in range(count)]
        yield gradients
        for weight, gradient in zip(network.parameters(), gradients, strict=True):
            weight.grad = gradient
        optimizer.step()


@pytest.mark.parametrize(("k1", "k2"), [(3, 3), (2, 6), (3, 7), (5, 6), (1, 4), (4, 30), (13, 13), (20, 25)])
def test_each_step_counts_with_the_weights_that_it_was_run_with(k1: int, k2: int) -> None:
    ours, theirs = Counting(), Counting()
    parts = truncated_bptt_with_history(ours, *data(), squared, k1=k1, k2=k2)
    expected = as_each_step_was(theirs, k1, k2, 0.05)
    for (_, gradients), wanted in zip(updated(parts, ours, 0.05), expected, strict=True):
        torch.testing.assert_close(gradients, wanted, rtol=1e-10, atol=1e-10)
    assert ours.steps == TIME


@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_no_backend_reads_a_weight_after_its_update(cell: str, backend: str) -> None:
    ours, theirs = Counting(cell, backend), Counting(cell, "reference")
    parts = truncated_bptt_with_history(ours, *data(), squared, k1=2, k2=5)
    for (_, gradients), wanted in zip(updated(parts, ours, 0.1), as_each_step_was(theirs, 2, 5, 0.1), strict=True):
        torch.testing.assert_close(gradients, wanted, rtol=1e-9, atol=1e-9)


@given(k1=st.integers(1, 15), more=st.integers(0, 16))
@settings(max_examples=25)
def test_as_long_as_no_weight_changes_it_is_truncated_bptt(k1: int, more: int) -> None:
    network, head = Counting("gru"), nn.Linear(HIDDEN, HIDDEN).double()
    inputs, targets = data()
    inputs.requires_grad_()
    leaves = [inputs, *network.parameters(), *head.parameters()]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return squared(head(outputs), targets)

    both = [
        way(network, inputs, targets, loss, draw(1, BATCH, HIDDEN), k1=k1, k2=k1 + more)
        for way in (truncated_bptt_with_history, truncated_bptt)
    ]
    for ours, theirs in zip(*both, strict=True):
        assert ours.window == theirs.window
        torch.testing.assert_close((ours.loss, ours.state), (theirs.loss, theirs.state), rtol=1e-12, atol=1e-12)
        assert not ours.state.requires_grad
        found, expected = (torch.autograd.grad(part.loss, leaves) for part in (ours, theirs))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_the_difference_is_of_the_order_of_the_learning_rate() -> None:
    inputs, targets = data()
    differences: list[float] = []
    for rate in (1e-3, 1e-4):
        both: list[list[Tensor]] = []
        for way in (truncated_bptt_with_history, truncated_bptt):
            network = Counting()
            second = next(
                itertools.islice(updated(way(network, inputs, targets, squared, k1=3, k2=9), network, rate), 1, None)
            )
            both.append(second[1])
        differences.append(sum((one - two).abs().sum().item() for one, two in zip(*both, strict=True)))
    assert differences[0] == pytest.approx(10 * differences[1], rel=0.1)
    assert differences[1] > 1e-6


def test_memory_is_that_of_k2_steps_and_copies_of_the_weights() -> None:
    network = Counting(backend="reference")
    peaks: list[int] = []
    for length in (40, 160):
        inputs, targets = draw(length, BATCH, INPUT), draw(length, BATCH, HIDDEN)
        live = LiveBytes()
        with live:
            for part, _ in updated(
                truncated_bptt_with_history(network, inputs, targets, squared, k1=4, k2=12), network, 1e-3
            ):
                assert part.loss > 0
        peaks.append(live.peak)
    assert peaks[0] == peaks[1]


def test_a_loss_is_gone_back_through_once() -> None:
    network = Counting()
    part = next(truncated_bptt_with_history(network, *data(), squared, k1=3, k2=6))
    part.loss.backward(retain_graph=True)
    with pytest.raises(ArgumentError, match="the loss of a window can be gone back through once"):
        part.loss.backward()


def test_what_else_was_changed_in_place_is_told() -> None:
    network, scale = Counting(), torch.ones(HIDDEN, dtype=torch.float64)

    def run(inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = network(inputs, state)
        return outputs * scale, state

    parts = truncated_bptt_with_history(run, *data(), squared, k1=3, k2=6)
    next(parts).loss.backward()
    part = next(parts)
    scale.add_(1)
    with pytest.raises(ArgumentError, match=r"a tensor of shape \(4,\) that `run` has read, and that is not a weight"):
        part.loss.backward()


def test_what_cannot_be_is_refused_at_once() -> None:
    inputs, targets = data()
    with pytest.raises(ArgumentError, match=r"`k2` must be at least `k1` \(4\)"):
        truncated_bptt_with_history(Counting(), inputs, targets, squared, k1=4, k2=3)
    with pytest.raises(ArgumentError, match=r"`targets` must have as many time steps as `inputs` \(13\), got 12"):
        truncated_bptt_with_history(Counting(), inputs, targets[:12], squared, k1=4)
