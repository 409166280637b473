from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from throughtime.bptt import detach, run_window, truncated_bptt, windows
from throughtime.errors import ArgumentError

TIME, BATCH, INPUT, HIDDEN = 11, 3, 2, 4


class Pair(NamedTuple):
    hidden: Tensor
    cell: Tensor


def lstm_step(inputs: Tensor, state: tuple[Tensor, Tensor], weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    hidden, cell = state
    i, f, g, o = (inputs @ weights[0].T + hidden @ weights[1].T).chunk(4, -1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


class LSTM(nn.Module):
    """Written out, so that a test can give each time step its own copy of the weights."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        shapes = ((4 * HIDDEN, INPUT), (4 * HIDDEN, HIDDEN))
        self.weights = nn.ParameterList(torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes)
        self.calls = 0

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        self.calls += 1
        outputs: list[Tensor] = []
        for step in inputs:
            state = lstm_step(step, state, (self.weights[0], self.weights[1]))
            outputs.append(state[0])
        return torch.stack(outputs), state


def data() -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(6)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw(TIME, BATCH, INPUT), draw(TIME, BATCH, HIDDEN), (draw(BATCH, HIDDEN), draw(BATCH, HIDDEN))


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum()


def gradient_as_a_sum(model: LSTM, state: Any, start: int, loss_start: int, stop: int) -> list[Tensor]:
    """The sum over counted outputs s and steps tau >= start of dL_s / d(the weights of step tau)."""
    inputs, targets, _ = data()
    copies = [tuple(w.detach().clone().requires_grad_() for w in model.weights) for _ in range(start, stop)]
    outputs: list[Tensor] = []
    for step, weights in zip(range(start, stop), copies, strict=True):
        state = lstm_step(inputs[step], state, (weights[0], weights[1]))
        outputs.append(state[0])
    total = [torch.zeros_like(w) for w in model.weights]
    for s in range(loss_start, stop):
        reached = copies[: s - start + 1]
        flat = [w for weights in reached for w in weights]
        gradients = torch.autograd.grad(squared(outputs[s - start], targets[s]), flat, retain_graph=True)
        for number, gradient in enumerate(gradients):
            total[number % 2] += gradient
    return total


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (3, None), (2, 6), (3, 7), (1, 5), (11, 11), (4, 20)])
def test_each_window_is_the_explicit_sum_of_per_step_gradients(k1: int, k2: int | None) -> None:
    inputs, targets, state = data()
    model = LSTM()
    back = k2 or k1
    seen = 0
    starts = state  # at the window's start, with the weights that made it
    for part in truncated_bptt(model, inputs, targets, squared, state, k1=k1, k2=k2):
        window = part.window
        assert window.loss_start == seen
        assert window.start == max(0, window.loss_start + k1 - back)
        model.zero_grad()
        part.loss.backward()
        expected = gradient_as_a_sum(model, starts, window.start, window.loss_start, window.stop)
        for weight, gradient in zip(model.weights, expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-10, atol=1e-10)
        starts, seen = part.state, window.stop
        with torch.no_grad():
            for weight, gradient in zip(model.weights, expected, strict=True):
                weight.sub_(0.01 * gradient)
    assert seen == TIME


def test_nothing_flows_to_inputs_before_the_window() -> None:
    inputs, targets, state = data()
    inputs.requires_grad_()
    for part in truncated_bptt(LSTM(), inputs, targets, squared, state, k1=3, k2=5):
        (gradient,) = torch.autograd.grad(part.loss, inputs)
        assert not gradient[: part.window.start].any()
        assert gradient[part.window.start].abs().sum() > 0


def test_the_common_case_costs_one_call_a_window() -> None:
    inputs, targets, state = data()
    model = LSTM()
    parts = list(truncated_bptt(model, inputs, targets, squared, state, k1=4))
    assert model.calls == len(parts) == 3


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (3, 7), (11, 11), (5, 40)])
def test_the_last_state_is_that_of_the_sequence_read_in_one_go(k1: int, k2: int) -> None:
    inputs, targets, state = data()
    *_, last = truncated_bptt(LSTM(), inputs, targets, squared, state, k1=k1, k2=k2)
    _, expected = LSTM()(inputs, state)
    torch.testing.assert_close(last.state, expected, rtol=1e-12, atol=1e-12)
    assert not last.state[0].requires_grad


def test_one_window_over_the_whole_sequence_is_full_backpropagation() -> None:
    torch.manual_seed(2)
    inputs = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    targets = torch.randn(TIME, BATCH, HIDDEN, dtype=torch.float64)
    layer = nn.GRU(INPUT, HIDDEN, num_layers=2).double()
    expected = torch.autograd.grad(squared(layer(inputs)[0], targets), list(layer.parameters()))
    (part,) = truncated_bptt(layer, inputs, targets, squared, k1=TIME)
    ours = torch.autograd.grad(part.loss, list(layer.parameters()))
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


class Stack(nn.Module):
    """Two layers of different kinds, whose state is a dictionary of torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper = nn.LSTM(INPUT, 5).double(), nn.RNN(5, HIDDEN).double()

    def forward(self, inputs: Tensor, state: dict[str, Any] | None) -> tuple[Tensor, dict[str, Any]]:
        between, lower = self.lower(inputs, state and state["lower"])
        outputs, upper = self.upper(between, state and state["upper"])
        return outputs, {"lower": lower, "upper": upper}


@pytest.mark.parametrize("carry", [0, 4, TIME])
def test_a_window_is_the_same_wherever_its_state_is_carried_on(carry: int) -> None:
    torch.manual_seed(4)
    inputs, _, _ = data()
    network = Stack()
    _, state = network(torch.randn(2, BATCH, INPUT, dtype=torch.float64), None)
    state = detach(state)
    outputs, carried = run_window(network, inputs, state, carry=carry)
    expected, _ = network(inputs, state)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    after = network(inputs[:carry], state)[1] if carry else state
    torch.testing.assert_close(carried, after, rtol=1e-12, atol=1e-12)
    weight = network.lower.get_parameter("weight_hh_l0")
    (ours,), (whole,) = (torch.autograd.grad(found[-1].sum(), weight) for found in (outputs, expected))
    torch.testing.assert_close(ours, whole, rtol=1e-12, atol=1e-12)


@given(length=st.integers(1, 40), k1=st.integers(1, 12), more=st.integers(0, 15))
@settings(max_examples=60)
def test_windows_count_each_step_once_and_join(length: int, k1: int, more: int) -> None:
    found = list(windows(length, k1, k1 + more))
    counted = [step for window in found for step in range(window.loss_start, window.stop)]
    assert counted == list(range(length))
    for one, two in itertools.pairwise(found):
        assert one.start + one.carry == two.start
        assert two.start <= two.loss_start
    assert found[-1].start + found[-1].carry == length


def test_a_state_of_any_nesting_is_cut_off() -> None:
    leaf = torch.ones(2, requires_grad=True) * 2
    state = detach({"a": (leaf, [leaf, None]), "b": Pair(leaf, leaf)})
    assert isinstance(state["b"], Pair)
    assert isinstance(state["a"][1], list)
    assert not any(tensor.requires_grad for tensor in (state["a"][0], state["a"][1][0], *state["b"]))


@pytest.mark.parametrize(
    ("k1", "k2", "message"),
    [
        (0, None, "`k1` must be a positive integer, got 0"),
        (4, 3, r"`k2` must be at least `k1` \(4\)"),
        (2, 2.5, "`k2` must be a positive integer, got 2.5"),
    ],
)
def test_a_truncation_that_makes_no_sense_is_refused(k1: Any, k2: Any, message: str) -> None:
    inputs, targets, state = data()
    with pytest.raises(ArgumentError, match=message):
        windows(10, k1, k2)
    with pytest.raises(ArgumentError, match=message):
        truncated_bptt(LSTM(), inputs, targets, squared, state, k1=k1, k2=k2)


def test_inputs_and_targets_have_the_same_time() -> None:
    inputs, targets, state = data()
    with pytest.raises(ArgumentError, match=r"`targets` must have as many time steps as `inputs` \(11\), got 9"):
        truncated_bptt(LSTM(), inputs, targets[:9], squared, state, k1=2)
