from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from throughtime.data.sample_series import sample_series
from throughtime.errors import ArgumentError
from throughtime.inspection import forecaster_reading, inspect_model, lag_sensitivity, plot_lag_sensitivity
from throughtime.models.forecast_network import ForecastEnsemble, ForecastNetwork, Past
from throughtime.models.forecast_outputs import build_output
from throughtime.tasks.forecaster import Forecaster

WINDOW, HORIZON, STEPS, SERIES = 4, 3, 5, 2


def past() -> Past:
    steps = WINDOW - 1 + STEPS
    nothing = torch.zeros(steps, SERIES, 0)
    return Past(torch.rand(steps, SERIES) + 1, nothing, torch.zeros(STEPS + HORIZON, SERIES, 0), torch.zeros(SERIES, 0))


def ensemble(reader: str) -> ForecastEnsemble:
    output = build_output("point")
    network = ForecastNetwork(WINDOW, HORIZON, output, reader=reader, hidden_size=4)
    return ForecastEnsemble([network]).eval()


def test_the_decomposition_of_a_linear_forecast_is_its_weights() -> None:
    """From the last value y_0, y_0 + sum w_k (y_k - y_0): so the last value has 1 less the sum of the others."""
    network = ensemble("linear")
    weights = torch.randn(HORIZON, WINDOW)
    with torch.no_grad():
        network.first.linear.weight.copy_(weights)
    found = lag_sensitivity(network, past())
    assert found.ahead == (1, 2, 3)
    assert found.mean.shape == (HORIZON, WINDOW - 1 + STEPS)
    by_lag = weights.flip(1).double()
    torch.testing.assert_close(found.mean[:, 1:WINDOW], by_lag[:, 1:], rtol=0, atol=1e-5)
    torch.testing.assert_close(found.mean[:, 0], 1 - by_lag[:, 1:].sum(1), rtol=0, atol=1e-5)
    assert float(found.mean[:, WINDOW:].abs().max()) == 0.0
    assert float(found.spread.max()) < 1e-5


def test_a_recurrent_forecast_moves_as_its_derivatives_say() -> None:
    network = ensemble("recurrent").double()
    assert network.first.head is not None
    torch.nn.init.normal_(network.first.head.weight)
    given = past()
    given = Past(given.target.double(), given.past.double(), given.future.double(), given.static.double())
    found = lag_sensitivity(network, given)
    lag, bump = 6, 1e-6
    with torch.no_grad():
        points: list[torch.Tensor] = []
        for sign in (1, -1):
            target = given.target.clone()
            target[-1 - lag] += sign * bump
            forecasts = network(Past(target, given.past, given.future, given.static))
            points.append(network.output.point(forecasts.scores[-1], forecasts.locale.at(-1)))
    expected = ((points[0] - points[1]) / (2 * bump)).mean(0)
    assert float(expected.abs().max()) > 1e-5
    torch.testing.assert_close(found.mean[:, lag], expected, rtol=1e-5, atol=1e-8)


def test_a_linear_forecaster_has_no_recurrent_layers_to_look_into() -> None:
    assert forecaster_reading(ensemble("linear"), past()) is None
    reading = forecaster_reading(ensemble("recurrent"), past())
    assert reading is not None
    assert reading.inputs.values.shape[:2] == (STEPS, SERIES)


def test_a_forecasters_report_shows_its_lags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughtime.inspection.page.as_svg", lambda _: b"<svg/>")  # pyright: ignore[reportUnknownLambdaType]
    settings: dict[str, Any] = {
        "window": 15,
        "context": 8,
        "hidden_size": 6,
        "members": 1,
        "steps": 4,
        "precision": "32",
    }
    model = Forecaster.fit(sample_series(3, 120), h=7, output=tmp_path / "model", watch_gradients=True, **settings)
    report = inspect_model(model.folder.path, device="cpu")
    titles = [section.title for section in report.sections]
    assert titles[:2] == ["Decomposition by lag", "Gradient flow"]
    assert report.numbers["lag_sensitivity"]["ahead"] == (1, 2, 3, 4, 5, 6, 7)
    with pytest.raises(ArgumentError, match="this model reads series"):
        inspect_model(model.folder.path, ["text"])


def test_a_decomposition_is_drawn_on_both_papers() -> None:
    found = lag_sensitivity(ensemble("linear"), past())
    light, dark = plot_lag_sensitivity(found), plot_lag_sensitivity(found, dark=True)
    assert light.get_facecolor() != dark.get_facecolor()
    assert light.axes[0].get_ylabel() == "steps ahead"
