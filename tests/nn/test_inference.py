"""Calls without gradients, which are prepared once for each shape, against the plain loop."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cells.cell_cases import CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError

NAMES = [*CELL_NAMES, "lstm_projected"]


def pair(name: str, **options: Any) -> tuple[nn.Recurrent, nn.Recurrent]:
    """A layer, and the same one as the plain loop."""
    options = {"proj_size": 5 if name.endswith("_projected") else 0, "dtype": torch.float64, **options}
    layer = nn.Recurrent(name.removesuffix("_projected"), 3, 7, **options)
    plain = nn.Recurrent(name.removesuffix("_projected"), 3, 7, **options, backend="reference")
    plain.load_state_dict(layer.state_dict())
    return layer, plain


def assert_same(have: Any, want: Any) -> None:
    for mine, other in zip(flat(have), flat(want), strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)


def flat(result: Any) -> list[Tensor]:
    output, state = result
    return [output, *([state] if isinstance(state, Tensor) else state)]


@pytest.mark.parametrize("name", NAMES)
@given(
    time=st.integers(1, 9), batch=st.integers(1, 5), layers=st.integers(1, 3), bidirectional=st.booleans(),
    batch_first=st.booleans(), with_state=st.booleans(),
)  # fmt: skip
def test_calls_are_the_plain_loop(
    name: str, time: int, batch: int, layers: int, bidirectional: bool, batch_first: bool, with_state: bool
) -> None:
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": batch_first}
    layer, plain = pair(name, **options)
    values = torch.randn(*((batch, time) if batch_first else (time, batch)), 3, dtype=torch.float64)
    rows = layers * (2 if bidirectional else 1)
    states = tuple(torch.randn(rows, batch, size, dtype=torch.float64) for size in layer.state_sizes)
    state = None if not with_state else states[0] if len(states) == 1 else states
    with torch.no_grad():
        for _ in range(2):  # prepared, then as prepared
            assert_same(layer(values, state), plain(values, state))
    assert layer.last_backend == "fused"


@pytest.mark.parametrize("name", CELL_NAMES)
def test_steps_of_a_cell_are_those_of_the_layer(name: str) -> None:
    layer, _ = pair(name)
    cell = nn.RecurrentCell(name, 3, 7, dtype=torch.float64)
    cell.load_state_dict({own.removesuffix("_l0"): weight for own, weight in layer.state_dict().items()})
    values = torch.randn(4, 2, 3, dtype=torch.float64)
    state: Any = None
    with torch.no_grad():
        for value in values:
            state = cell(value, state)
        want = flat(layer(values))[1:]
    for mine, final in zip([state] if isinstance(state, Tensor) else state, want, strict=True):
        torch.testing.assert_close(mine, final.squeeze(0), rtol=0, atol=1e-10)


@torch.no_grad()
def test_weights_may_change_and_move() -> None:
    layer, plain = pair("lstm")
    weights, values = dict(layer.named_parameters()), torch.randn(2, 2, 3, dtype=torch.float64)
    layer(values)
    weights["weight_hh_l0"].mul_(2)
    plain.load_state_dict(layer.state_dict())
    assert_same(layer(values), plain(values))
    weights["weight_ih_l0"].data = torch.randn_like(weights["weight_ih_l0"])
    plain.load_state_dict(layer.state_dict())
    assert_same(layer(values), plain(values))
    weights["weight_hh_l0"].data = weights["weight_hh_l0"].t().contiguous().t()
    assert_same(layer(values), plain(values))
    layer.float()
    output, _ = layer(values.float())
    torch.testing.assert_close(output, plain(values)[0].float())


@torch.no_grad()
def test_any_strides_and_the_order_of_time_are_read() -> None:
    layer, plain = pair("gru", batch_first=True)
    values = torch.randn(3, 6, 8, dtype=torch.float64)
    for view in (values[..., :3], values[..., ::3], values[:, ::2, 2:5], values.transpose(0, 1)[..., :3]):
        assert_same(layer(view), plain(view))


@torch.no_grad()
def test_results_are_the_callers_own() -> None:
    layer, _ = pair("lstm")
    values = torch.randn(2, 2, 3, dtype=torch.float64)
    first, (hidden, cell) = layer(values)
    kept = [part.clone() for part in (first, hidden, cell)]
    layer(torch.randn_like(values), (hidden, cell))
    assert_same((first, (hidden, cell)), (kept[0], tuple(kept[1:])))


@torch.no_grad()
def test_copies_and_pickles_of_a_layer_that_has_run() -> None:
    layer, plain = pair("gru")
    values = torch.randn(2, 2, 3, dtype=torch.float64)
    layer(values)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        assert_same(other(values), plain(values))


@torch.no_grad()
def test_threads_may_call_one_layer_at_once() -> None:
    layer, plain = pair("lstm", num_layers=2)
    batches = [torch.randn(20, 2, 3, dtype=torch.float64) for _ in range(40)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(torch.no_grad()(layer), batches))
    for values, result in zip(batches, results, strict=True):
        assert_same(result, plain(values))


@torch.no_grad()
@pytest.mark.parametrize("options", [{"zoneout": 0.5}, {"dropout": 0.5, "num_layers": 2}])
def test_regularisation_acts_without_gradients_too(options: dict[str, Any]) -> None:
    layer, plain = pair("lstm", **options)
    values = torch.randn(5, 2, 3, dtype=torch.float64)
    for training in (False, True):
        results: list[Any] = []
        for module in (layer.train(training), plain.train(training)):
            torch.manual_seed(4)
            results.append(module(values))
        assert_same(*results)


@torch.no_grad()
@pytest.mark.parametrize(
    ("values", "state"),
    [(torch.zeros(2, 2, 4), None), (torch.zeros(0, 2, 3), None), (torch.zeros(2, 2, 3), torch.zeros(1, 3, 7)),
     (torch.zeros(2, 2, 3), (torch.zeros(1, 2, 7),) * 2), (torch.zeros(2, 2, 3).double(), None)],
)  # fmt: skip
def test_what_does_not_fit_is_refused(values: Tensor, state: Any) -> None:
    layer, _ = pair("gru", dtype=torch.float32)
    with pytest.raises(ArgumentError):
        layer(values, state)
