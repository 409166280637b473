"""Forecasters in ONNX."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from throughtime.export.onnx_file import check_file
from throughtime.export.onnx_forecaster import forecaster_files
from throughtime.models.forecast_network import ForecastEnsemble, ForecastNetwork
from throughtime.models.forecast_outputs import OUTPUTS, build_output

pytest.importorskip("onnxruntime")

QUANTILES = (0.05, 0.1, 0.5, 0.9)


def ensemble(output: str = "quantiles", members: int = 1, **options: Any) -> ForecastEnsemble:
    """Forecasters whose weights are all at random, also those that begin as zeros."""
    torch.manual_seed(3)
    made = [
        ForecastNetwork(7, 4, build_output(output, probabilities=QUANTILES), season=3, hidden_size=6, **options)
        for _ in range(members)
    ]
    with torch.no_grad():
        for weight in ForecastEnsemble(made).parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return ForecastEnsemble(made).eval()


def test_logarithms_are_taken_and_undone_within_the_file() -> None:
    files = forecaster_files(ensemble(), is_positive=True, is_logarithmic=True)
    assert max(check_file(file) for file in files) < 2e-6


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("is_positive", [True, False])
def test_what_is_forecast_is_written_in_the_series_units(output: str, is_positive: bool) -> None:
    files = forecaster_files(ensemble(output), is_positive=is_positive)
    assert [file.name for file in files] == ["model", "step"]
    assert max(check_file(file) for file in files) < 2e-6


@pytest.mark.parametrize(
    "options",
    [{"cell": "gru", "num_layers": 2, "members": 3}, {"reader": "feed-forward", "num_layers": 2}, {"reader": "linear"}],
    ids=str,
)
@pytest.mark.parametrize("sizes", [(0, 0, 0), (2, 3, 4), (0, 3, 0)])
def test_readers_of_all_covariates(options: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    if options.get("reader") == "linear" and any(sizes):
        pytest.skip("reads no covariates")
    names = ("past_size", "future_size", "static_size")
    files = forecaster_files(ensemble(**options, **dict(zip(names, sizes, strict=True))), sizes)
    assert len(files) == (2 if "cell" in options else 1)
    assert max(check_file(file) for file in files) < 2e-6
