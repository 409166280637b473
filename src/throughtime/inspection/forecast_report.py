"""A look inside a forecaster: which of the past values each step ahead rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from throughtime.appearance import new_figure, palette, styled
from throughtime.errors import ArgumentError
from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.models.forecast_network import ForecastEnsemble, Past
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.tasks.forecaster import Forecaster
from throughtime.tasks.forecasting import last_batches
from throughtime.tasks.reading import Reading, forecaster_reading
from throughtime.training import read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SERIES, MOST_AHEAD = 16, 24
FEWEST_LAGS, MOST_LAGS, FELT = 10, 120, 0.005


@dataclass(frozen=True)
class LagSensitivity:
    """How forecasts move with the values before them.

    Attributes:
        ahead: which steps ahead, from 1.
        mean: shape (len(ahead), lags), float64: by how much the forecast of a step rises when the value k steps before
            the origin (k = 0 is the last one) rises by 1, the mean over series.
        spread: the standard deviation of the same over series.
    """

    ahead: tuple[int, ...]
    mean: Tensor
    spread: Tensor


def lag_sensitivity(network: ForecastEnsemble, past: Past) -> LagSensitivity:
    """Decompose point forecasts by lag: the derivative of each with respect to each past value.

    A linear forecaster's are its weights, as in an autoregression; a recurrent one's hold around these series.

    Args:
        network: in evaluation mode.
        past: of some series; forecasts are made from its last step.
    """
    horizon = network.first.horizon
    ahead = np.unique(np.linspace(1, horizon, min(horizon, MOST_AHEAD)).round().astype(int))
    with torch.inference_mode(mode=False), torch.enable_grad():
        own = Past(past.target.clone(), past.past.clone(), past.future.clone(), past.static.clone())
        values = own.target.detach().requires_grad_()
        found = network(replace(own, target=values))
        point = network.output.point(found.scores[-1], found.locale.at(-1))
        rows = [
            torch.autograd.grad(point[:, step - 1].sum(), values, retain_graph=True)[0].double()
            for step in ahead.tolist()
        ]
    gradients = torch.stack(rows).flip(1)
    deviation = gradients.std(-1, correction=0)
    return LagSensitivity(tuple(ahead.tolist()), gradients.mean(-1).cpu(), deviation.cpu())


def plot_lag_sensitivity(sensitivity: LagSensitivity, *, dark: bool = False) -> Figure:
    """Draw the decomposition: a row for each step ahead, a column for each lag up to the last that matters."""
    colours = palette(dark=dark)
    reach = float(sensitivity.mean.abs().max()) or 1.0
    felt = (sensitivity.mean.abs() > FELT * reach).any(0).nonzero()
    last = int(felt[-1]) if len(felt) else 0
    shown = sensitivity.mean[:, : min(max(last + 2, FEWEST_LAGS), MOST_LAGS)].numpy()
    figure = new_figure(8.0, float(np.clip(0.16 * len(shown) + 1.5, 2.4, 5.5)), dark=dark)
    axes = styled(figure.add_subplot(), dark=dark, grid=False)
    image = axes.imshow(
        shown, aspect="auto", cmap=colours.two_sided(), vmin=-reach, vmax=reach, interpolation="nearest"
    )
    places = range(0, len(shown), max(1, len(shown) // 8))
    axes.set_yticks(list(places), [str(sensitivity.ahead[place]) for place in places])
    axes.set_xlabel("lag $k$ (steps before the origin)")
    axes.set_ylabel("steps ahead")
    bar = figure.colorbar(image, ax=axes, pad=0.015)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=colours.faint)
    bar.outline.set_visible(False)
    bar.set_label("change of the forecast", color=colours.ink, fontsize=9)
    return figure


def forecast_sections(
    model: Forecaster, texts: Sequence[str], beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a forecaster, on its own series.

    Raises:
        ArgumentError: where text is given, which it doesn't read.
    """
    reading = flow_reading(model, texts)
    section = Section("Decomposition by lag")
    of = "the logarithm of " if model.data.encoder.is_logarithmic else ""
    section.say(
        f"By how much {of}the forecast of each step ahead rises when {of}one of the values before it rises by 1, the "
        "mean over series. A season that was learned shows as diagonals, on which lag and steps ahead add up to it; a "
        "column at lag 0 goes on from the last value."
    )
    found = lag_sensitivity(model.network, _past(model))
    section.show(
        "lags", partial(plot_lag_sensitivity, found), "Derivatives of the forecasts with respect to the values before."
    )
    numbers["lag_sensitivity"] = {"ahead": found.ahead, "mean": found.mean.tolist()}
    if reading is None:
        section.say("This model has no recurrent layers to look into.")
        return [section]
    return [section, *recurrent_sections([reading], beside, numbers, read_metrics(model.folder.metrics_file))]


def flow_reading(model: Forecaster, texts: Sequence[str]) -> Reading | None:
    """What the recurrent layers read of the series by which the gradient flow is measured."""
    if texts:
        raise ArgumentError("this model reads series; leave out --text and --file, its own series are shown")
    return forecaster_reading(model.network, _past(model))


def _past(model: Forecaster) -> Past:
    batch = next(iter(last_batches(model.data, model.settings.complete("validation"))))
    past: Past = batch.past
    return past.chosen(MOST_SERIES).to(model.device)
