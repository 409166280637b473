from __future__ import annotations

from typing import Any

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.models.forecast_network import ForecastEnsemble, ForecastNetwork, Past
from throughtime.models.forecast_outputs import PointOutput, QuantileOutput

WINDOW, HORIZON, TIME, BATCH = 7, 3, 9, 2


def past(time: int = TIME, *, past_size: int = 2, future_size: int = 4, static_size: int = 1) -> Past:
    read = WINDOW - 1 + time
    return Past(
        torch.randn(read, BATCH).cumsum(0) + 20,
        torch.randn(read, BATCH, past_size),
        torch.randn(time + HORIZON, BATCH, future_size),
        torch.randn(BATCH, static_size),
    )


def network(reader: str = "recurrent", **options: Any) -> ForecastNetwork:
    arguments: dict[str, Any] = {
        "season": 4,
        "past_size": 2,
        "future_size": 4,
        "static_size": 1,
        "reader": reader,
        "hidden_size": 5,
        **options,
    }
    made = ForecastNetwork(WINDOW, HORIZON, QuantileOutput([0.1, 0.5, 0.9]), **arguments)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return made.eval()


@pytest.mark.parametrize("reader", ["recurrent", "feed-forward", "linear"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_nothing_from_the_future_reaches_a_forecast(reader: str, cell: str) -> None:
    net, given = network(reader, cell=cell), past()
    before = net(given).scores
    for step in (2, 5):
        # Everything that is not known at this step is changed.
        changed = Past(given.target.clone(), given.past.clone(), given.future.clone(), given.static)
        changed.target[WINDOW + step :] += 100
        changed.past[WINDOW + step :] -= 7
        changed.future[step + HORIZON + 1 :] += 3
        after = net(changed).scores
        torch.testing.assert_close(after[: step + 1], before[: step + 1])
        assert not torch.allclose(after[step + 1 :], before[step + 1 :])


def test_covariates_known_ahead_reach_the_step_that_they_are_of_alone() -> None:
    net, given = network(), past()
    future = given.future.clone().requires_grad_(True)
    scores = net(Past(given.target, given.past, future, given.static)).scores
    (gradient,) = torch.autograd.grad(scores[-1, :, 1].sum(), future)
    reached = gradient.abs().sum((1, 2)) > 0
    # From the last step on, the second step ahead alone; and what was read before.
    assert reached[TIME:].tolist() == [False, True, False]


@pytest.mark.parametrize("reader", ["recurrent", "linear"])
def test_forecasts_move_with_level_and_scale_of_the_series(reader: str) -> None:
    net, given = network(reader, past_size=0, future_size=0, static_size=0).double(), past()
    nothing = torch.zeros(WINDOW - 1 + TIME, BATCH, 0).double()
    ahead = torch.zeros(TIME + HORIZON, BATCH, 0).double()
    read = Past(given.target.double(), nothing, ahead, torch.zeros(BATCH, 0).double())
    moved = Past(read.target + 1000, nothing, ahead, read.static)

    def points(one: Past) -> torch.Tensor:
        found = net(one)
        return net.output.point(found.scores, found.locale)

    torch.testing.assert_close(points(moved), points(read) + 1000)
    if reader == "linear":
        # Only the floor below the scale, 0.05, is not in proportion.
        scaled = Past(1e4 * read.target, nothing, ahead, read.static)
        torch.testing.assert_close(points(scaled), 1e4 * points(read), rtol=1e-2, atol=1.0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_state_goes_on_where_it_was_left(cell: str) -> None:
    net, given = ForecastEnsemble([network(cell=cell), network(cell=cell)]), past()
    whole = net(given).scores
    first = Past(
        given.target[: WINDOW - 1 + 5], given.past[: WINDOW - 1 + 5], given.future[: 5 + HORIZON], given.static
    )
    rest = Past(given.target[5:], given.past[5:], given.future[5:], given.static)
    found = net(first)
    torch.testing.assert_close(found.scores, whole[:5], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(rest, found.state).scores, whole[5:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("season", "expected"), [(1, [8, 8, 8]), (4, [6.5] * 3)])
def test_a_new_network_forecasts_the_level(season: int, expected: list[float]) -> None:
    net = ForecastNetwork(WINDOW, HORIZON, PointOutput(), season=season, hidden_size=5)
    target = torch.tensor([9.0, 9, 9, 5, 6, 7, 8])[:, None]
    found = net(Past(target, torch.zeros(WINDOW, 1, 0), torch.zeros(1 + HORIZON, 1, 0), torch.zeros(1, 0)))
    torch.testing.assert_close(
        net.output.point(found.scores, found.locale)[0, 0], torch.tensor(expected, dtype=torch.float32)
    )


def test_what_cannot_be_is_told() -> None:
    for options, message in (
        ({"reader": "transformer"}, "`reader` must be one of"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
    ):
        with pytest.raises(ArgumentError, match=message):
            ForecastNetwork(4, 2, PointOutput(), **options)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="`window` must be a positive integer, got 0"):
        ForecastNetwork(0, 2, PointOutput())
