"""Against plain backpropagation through the whole sequence, by autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import dropout

from throughtime import nn as recurrent
from throughtime.bptt import CheckpointPlan, checkpointed, checkpointed_loss, checkpointed_run
from throughtime.bptt.memory import LiveBytes
from throughtime.bptt.state import tensors_of
from throughtime.errors import ArgumentError

BATCH, INPUT, HIDDEN = 2, 3, 5


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[CheckpointPlan]:
    """The plans that are made, as they are made."""
    made: list[CheckpointPlan] = []
    original = checkpointed.plan_checkpoints

    def note(*arguments: Any) -> CheckpointPlan:
        made.append(original(*arguments))
        return made[-1]

    monkeypatch.setattr(checkpointed, "plan_checkpoints", note)
    return made


def use_plan(monkeypatch: pytest.MonkeyPatch, segment: int, checkpoints: int = 1000) -> None:
    def plan(length: int, *_: Any) -> CheckpointPlan:
        return CheckpointPlan(length, segment, min(checkpoints, max(1, -(-length // segment) - 1)), 0, 0)

    monkeypatch.setattr(checkpointed, "plan_checkpoints", plan)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum()


def assert_close(ours: Any, theirs: Any) -> None:
    # Sums over the steps in another order.
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def plain(run: Callable[[Tensor, Any], tuple[Tensor, Any]], inputs: Tensor) -> tuple[Tensor, Any]:
    return run(inputs, None)


class Pair(NamedTuple):
    hidden: Tensor
    cell: Tensor


class Network(nn.Module):
    """Written out; the state is nested, counts the steps and brings something along that every step reads."""

    def __init__(self, *, learns_its_start: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        self.recurrent = nn.Parameter(draw(HIDDEN, HIDDEN, seed=1) / 2)
        self.input = nn.Parameter(draw(INPUT, HIDDEN, seed=2))
        self.start = nn.Parameter(draw(BATCH, HIDDEN, seed=3)) if learns_its_start else None
        self.drop = drop
        self.steps: list[int] = []

    def forward(self, inputs: Tensor, state: dict[str, Any] | None) -> tuple[Tensor, dict[str, Any]]:
        self.steps.append(len(inputs))
        if state is None:
            start = draw(BATCH, HIDDEN) if self.start is None else self.start
            state = {"pair": Pair(start, start * 0), "count": torch.tensor(0), "brought": [draw(BATCH, 1), None]}
        (hidden, cell), count, brought = state["pair"], state["count"], state["brought"]
        outputs: list[Tensor] = []
        for step in inputs:
            cell = 0.9 * cell + (dropout(hidden, self.drop) @ self.recurrent).tanh() * (1 + count % 3)
            hidden = (cell + step @ self.input).tanh() * brought[0]
            count = count + 1
            outputs.append(hidden)
        return torch.stack(outputs), {"pair": Pair(hidden, cell), "count": count, "brought": brought}


def full_state() -> dict[str, Any]:
    tensors = [draw(BATCH, size, seed=size).requires_grad_() for size in (HIDDEN, HIDDEN, 1)]
    return {"pair": Pair(tensors[0], tensors[1]), "count": torch.tensor(1), "brought": [tensors[2], None]}


@given(length=st.integers(1, 30), segment=st.integers(1, 31), checkpoints=st.integers(1, 6), learns=st.booleans())
@settings(max_examples=25)
def test_every_gradient_is_that_of_plain_backpropagation(
    length: int, segment: int, checkpoints: int, learns: bool
) -> None:
    inputs = draw(length, BATCH, INPUT).requires_grad_()
    network = Network(learns_its_start=learns)
    state = None if learns else full_state()
    leaves = [inputs, *network.parameters(), *(tensor for tensor in tensors_of(state) if tensor.requires_grad)]

    def found(run: Callable[[], tuple[Tensor, Any]]) -> tuple[Any, ...]:
        outputs, after = run()
        total = (outputs * draw(*outputs.shape, seed=7)).sum() + after["pair"].cell.square().sum() * 0.1
        return outputs, after, torch.autograd.grad(total + after["brought"][0].sum() * inputs[0].sum(), leaves)

    expected = found(lambda: network(inputs, state))
    with pytest.MonkeyPatch.context() as patch:
        use_plan(patch, segment, checkpoints)
        ours = found(lambda: checkpointed_run(network, inputs, state))
    assert_close(ours, expected)
    assert isinstance(ours[1]["pair"], Pair)


@pytest.mark.parametrize("budget", [None, "1 GB", "15 kB", "8 kB"])
def test_a_budget_is_kept_and_the_steps_are_as_planned(plans: list[CheckpointPlan], budget: str | None) -> None:
    network, length = Network(), 120
    inputs, targets = draw(length, BATCH, INPUT), draw(length, BATCH, HIDDEN, seed=1)
    state = full_state()
    expected = torch.autograd.grad(squared(network(inputs, state)[0], targets), list(network.parameters()))
    live = LiveBytes()
    with live:
        total, _ = checkpointed_loss(network, inputs, targets, squared, state, memory_budget=budget)
        (plan,) = plans
        probed = live.peak
        live.peak, network.steps = live.live, []
        ours = torch.autograd.grad(total, list(network.parameters()))
    assert_close(ours, expected)
    if budget:
        assert plan.memory <= {"1 GB": 10**9, "15 kB": 15_000, "8 kB": 8_000}[budget]
    assert max(probed, live.peak) <= plan.memory + total.nbytes
    # On the way forwards each step was run once, those of the last segment with a graph.
    assert sum(network.steps) == plan.forward_steps - plan.length


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
def test_the_layers_of_this_library(monkeypatch: pytest.MonkeyPatch, cell: str, backend: str) -> None:
    use_plan(monkeypatch, 9, 3)
    layer = recurrent.Recurrent(cell, INPUT, HIDDEN, 2, backend=backend, dtype=torch.float64)
    head = nn.Linear(HIDDEN, 4).double()
    weights = [*layer.parameters(), *head.parameters()]
    inputs, targets = draw(100, BATCH, INPUT).requires_grad_(), draw(100, BATCH, 4)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return squared(head(outputs), targets)

    loss(layer(inputs)[0], targets).div(targets.numel()).backward()
    expected = [leaf.grad for leaf in (inputs, *weights)]
    for leaf in (inputs, *weights):
        leaf.grad = None
    total, state = checkpointed_loss(layer, inputs, targets, loss)
    (total / targets.numel()).backward()
    assert_close([leaf.grad for leaf in (inputs, *weights)], expected)
    assert_close(state, layer(inputs)[1])


@pytest.mark.parametrize("checkpoints", [1, 2, 100])
def test_dropout_is_replayed(monkeypatch: pytest.MonkeyPatch, checkpoints: int) -> None:
    use_plan(monkeypatch, 4, checkpoints)
    network, inputs = Network(drop=0.5), draw(22, BATCH, INPUT)
    torch.manual_seed(3)
    outputs, _ = checkpointed_run(network, inputs, full_state())
    after = torch.rand(1)
    ours = torch.autograd.grad(outputs.square().sum(), list(network.parameters()))

    torch.manual_seed(3)
    expected, _ = network(inputs, full_state())
    assert torch.equal(after, torch.rand(1))
    assert_close(outputs, expected)
    assert_close(ours, torch.autograd.grad(expected.square().sum(), list(network.parameters())))


def test_the_generators_are_left_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plan(monkeypatch, 3, 2)
    outputs, _ = checkpointed_run(Network(drop=0.5), draw(20, BATCH, INPUT))
    before = torch.get_rng_state()
    outputs.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_graph_that_is_kept_can_be_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plan(monkeypatch, 3, 2)
    network, inputs = Network(drop=0.3), draw(20, BATCH, INPUT)
    outputs, _ = checkpointed_run(network, inputs)
    first = torch.autograd.grad(outputs.sum(), list(network.parameters()), retain_graph=True)
    assert_close(torch.autograd.grad(outputs.sum(), list(network.parameters())), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        outputs.sum().backward()


def test_gradients_come_through_what_was_made_before_and_go_on_to_what_comes_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_plan(monkeypatch, 4, 2)
    encoder, network = nn.Linear(INPUT, INPUT).double(), Network()
    scale = nn.Parameter(draw(INPUT))
    weights = [*encoder.parameters(), *network.parameters(), scale]
    inputs = draw(19, BATCH, INPUT)

    def total(run: Callable[..., Any]) -> Tensor:
        read = scale.exp() * 0.5  # made outside, with a graph of its own

        def recur(steps: Tensor, state: Any) -> tuple[Tensor, Any]:
            return network(steps * read, state)

        outputs, _ = run(recur, encoder(inputs))
        return (outputs.cumsum(0) * read.sum()).square().mean()

    expected = torch.autograd.grad(total(plain), weights)
    assert_close(torch.autograd.grad(total(checkpointed_run), weights), expected)


def test_weights_without_gradients_and_inputs_that_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plan(monkeypatch, 4, 3)
    embedding, layer = nn.Embedding(7, INPUT, sparse=True).double(), recurrent.GRU(INPUT, HIDDEN).double()
    layer.requires_grad_(False)
    tokens = torch.arange(90).view(45, BATCH) % 7
    outputs, _ = checkpointed_run(lambda steps, state: layer(embedding(steps), state), tokens)
    outputs.square().sum().backward()
    ours = embedding.weight.grad
    assert ours is not None
    expected = torch.autograd.grad(layer(embedding(tokens))[0].square().sum(), embedding.weight)[0]
    assert_close(ours.to_dense(), expected.to_dense())


def test_without_gradients_nothing_is_stored() -> None:
    network, inputs = Network(), draw(300, BATCH, INPUT).requires_grad_()
    with torch.no_grad():
        expected, state = network(inputs, None)
        live = LiveBytes()
        with live:
            outputs, after = checkpointed_run(network, inputs)
    assert not outputs.requires_grad
    assert_close((outputs, after), (expected, state))
    assert live.live <= outputs.nbytes + 500
    with torch.inference_mode():
        assert_close(checkpointed_run(network, inputs)[0], expected)


def test_a_state_that_is_a_view_of_the_outputs_does_not_keep_them(plans: list[CheckpointPlan]) -> None:
    weight = nn.Parameter(draw(50, 50) / 10)

    def run(inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs = (inputs + state @ weight).cumsum(0)
        return outputs, outputs[-1]

    inputs = torch.zeros(2000, 1, 50, dtype=torch.float64)
    live = LiveBytes()
    with live:
        total, state = checkpointed_loss(run, inputs, inputs, squared, torch.zeros(1, 50, dtype=torch.float64))
        total.backward()
    assert live.peak <= plans[0].memory + total.nbytes + state.nbytes < 2000 * 50 * 8


def test_a_state_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plan(monkeypatch, 3, 3)
    weight = nn.Parameter(draw(INPUT))

    def run(inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        outputs = inputs * weight
        state = outputs if state is None else torch.cat([state, outputs])
        return outputs + state.square().sum(), state

    inputs = draw(20, BATCH, INPUT)
    ours, state = checkpointed_run(run, inputs)
    expected = [run(inputs[start : start + 3], inputs[:start] * weight)[0] for start in range(0, 20, 3)]
    assert_close(state, inputs * weight)
    gradients = [torch.autograd.grad(outputs.square().sum(), weight) for outputs in (ours, torch.cat(expected))]
    assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("cache", [True, False])
def test_autocast_is_as_it_was(monkeypatch: pytest.MonkeyPatch, cache: bool) -> None:
    use_plan(monkeypatch, 4, 2)
    layer, inputs = recurrent.LSTM(INPUT, HIDDEN, backend="reference"), draw(18, BATCH, INPUT).float()
    head = nn.Linear(HIDDEN, 2)
    weights = [*layer.parameters(), *head.parameters()]
    enabled: list[bool] = []

    def run(steps: Tensor, state: Any) -> tuple[Tensor, Any]:
        enabled.append(torch.is_autocast_enabled("cpu"))
        return layer(steps, state)

    found: list[Any] = []
    for through in (plain, checkpointed_run):
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cache):
            outputs, _ = through(run, inputs)
            total = head(outputs).float().square().sum()
        found.append((outputs, torch.autograd.grad(total, weights)))
    assert all(enabled)
    # The sum over steps is rounded to bfloat16 at other places.
    torch.testing.assert_close(found[1], found[0], rtol=2e-2, atol=2e-2)


def test_a_weight_that_was_changed_before_the_way_back_is_told() -> None:
    network = Network()
    outputs, _ = checkpointed_run(network, draw(40, BATCH, INPUT), memory_budget="9kB")
    with torch.no_grad():
        network.recurrent.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_weights_that_the_first_steps_do_not_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plan(monkeypatch, 5)
    late = nn.Parameter(torch.ones(4, 1, dtype=torch.float64))

    def run(inputs: Tensor, state: int | None) -> tuple[Tensor, int]:
        count = (state or 0) + len(inputs)
        return inputs * (late.sum() if count > 12 else 1), count

    outputs, _ = checkpointed_run(run, draw(20, 1, 1).requires_grad_())
    with pytest.raises(ArgumentError, match=r"`run` must read all its weights in its first steps.* of shape \(4, 1\)"):
        outputs.sum().backward()


def test_what_cannot_be_is_refused() -> None:
    network, inputs = Network(), draw(9, BATCH, INPUT)
    with pytest.raises(ArgumentError, match="`inputs` must have at least one time step, got none"):
        checkpointed_run(network, inputs[:0])
    with pytest.raises(ArgumentError, match=r"`targets` must have as many time steps as `inputs` \(9\), got 8"):
        checkpointed_loss(network, inputs, inputs[:8], squared)
    with pytest.raises(ArgumentError, match=r"`loss` must give a scalar, a sum over the steps, got shape \(2, 2\)"):
        checkpointed_loss(lambda steps, _: (steps, None), inputs, inputs, lambda outputs, _: outputs.sum(-1))
    with pytest.raises(ArgumentError, match=r"`run` must give as many time steps as it gets \(2\), got 1"):
        checkpointed_run(lambda steps, _: (steps[-1:], None), inputs)
    with pytest.raises(ArgumentError, match=r"`memory_budget` must be a positive number of bytes or a string such as"):
        checkpointed_run(network, inputs, memory_budget="lots")
    with pytest.raises(ArgumentError, match=r"`memory_budget` must be at least [\d.]+ kB for this network and batch"):
        checkpointed_run(network, inputs, memory_budget="10 B")
