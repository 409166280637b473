"""The linear forecaster in closed form: a ridge regression from a window to the steps after it.

What a single linear layer on a window can do is much (Zeng et al. 2023, https://arxiv.org/abs/2205.13504), and least
squares finds it at once (Toner & Darlow 2024, https://arxiv.org/abs/2403.14587). Strength of the penalty, length of
the window and anchor are chosen by cross-validation over blocks of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.models.forecast_network import ANCHORS, ForecastNetwork
from throughtime.models.forecast_outputs import PointOutput

BLOCKS = 4
PENALTIES = tuple(10.0**power for power in (-5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 4))
LAST_SPREAD = 99


@dataclass(frozen=True)
class WindowSample:
    """Windows of many series and what follows on them.

    Attributes:
        values: shape (examples, window + horizon).
        known: whether each value is known, of that shape.
        time: where in its series each example lies, from 0 to 1, shape (examples,).
        reach: how far the steps that it foretells go on from there, in the same measure, shape (examples,).
    """

    values: Tensor
    known: Tensor
    time: Tensor
    reach: Tensor


@dataclass(frozen=True)
class LinearForecast:
    """A fitted ridge regression.

    Attributes:
        window: values that it reads.
        anchor: what it adds to; see ``ForecastNetwork``.
        weight: shape (horizon, window).
        bias: shape (horizon,).
        spread: quantiles 0.01 to 0.99 of the errors in local units, of examples that it was not fitted on, shape
            (horizon, 99).
        error: the mean absolute error on examples that it was not fitted on, in units of the series.
    """

    window: int
    anchor: str
    weight: Tensor
    bias: Tensor
    spread: Tensor
    error: float


def fit_linear(
    sample: Callable[[int], WindowSample], windows: Sequence[int], horizon: int, season: int
) -> LinearForecast:
    """Fit the regression for each length of the window and keep the best.

    Args:
        sample: gives the examples for a length of the window.
        windows: the lengths to try.
        horizon: steps to forecast.
        season: steps of a season.
    """
    found = [_fit(sample(window), window, horizon, season) for window in windows]
    return min(found, key=lambda one: one.error)


def _fit(sample: WindowSample, window: int, horizon: int, season: int) -> LinearForecast:
    shape = ForecastNetwork(window, horizon, PointOutput(), season=season, reader="linear")
    known = sample.known[:, window:].all(1) & (sample.known[:, :window].float().mean(1) >= 0.5)
    values, time, reach = sample.values[known].double(), sample.time[known], sample.reach[known]
    inputs, locale = shape.windows(values[:, :window].T)
    inputs, level, scale = inputs[0], locale.level[0], locale.scale[0]
    targets = (values[:, window:] - level[:, None]) / scale[:, None]
    design = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    weights = (scale / scale.mean()).clamp(0.1, 10)
    best: LinearForecast | None = None
    for anchor in ANCHORS if shape.season > 1 else ("last", "level"):
        shape.anchor = anchor
        wanted = targets - shape.anchored(inputs)
        penalty, error, errors = _cross_validated(design, wanted, weights, scale, (time, reach))
        if best is None or error < best.error:
            solution = _solved(*_products(design, wanted, weights), [penalty])[0]
            quantiles = torch.linspace(0.01, 0.99, LAST_SPREAD, dtype=errors.dtype)
            spread = torch.quantile(errors[:20_000], quantiles, dim=0).T
            best = LinearForecast(window, anchor, solution[:-1].T.float(), solution[-1].float(), spread.float(), error)
    if best is None:
        raise ValueError("there is no anchor")
    return best


def _cross_validated(
    design: Tensor, targets: Tensor, weights: Tensor, scale: Tensor, places: tuple[Tensor, Tensor]
) -> tuple[float, float, Tensor]:
    """The best penalty, its error in units of the series, and its errors in local units, (examples, horizon).

    Each block of time is foretold by what was learned of the others, without the examples whose steps reach into it:
    neighbours are nearly the same, and would tell what is to be foretold.
    """
    time, reach = places
    whole = _products(design, targets, weights)
    totals = torch.zeros(BLOCKS, len(PENALTIES), dtype=design.dtype)
    kept: list[list[Tensor]] = [[] for _ in PENALTIES]
    for number in range(BLOCKS):
        begin, end = number / BLOCKS, (number + 1) / BLOCKS
        own = (time >= begin) & (time < end)
        near = (time + reach >= begin) & (time - reach < end)
        others = [
            all_of - part for all_of, part in zip(whole, _products(*_rows(near, design, targets, weights)), strict=True)
        ]
        for place, solution in enumerate(_solved(others[0], others[1], PENALTIES)):
            errors = targets[own] - design[own] @ solution
            kept[place].append(errors)
            totals[number, place] = (errors.abs() * scale[own, None]).sum() / max(targets.numel(), 1)
    best = _strongest(totals)
    return PENALTIES[best], float(totals[:, best].sum()), torch.cat(kept[best])


def _strongest(errors: Tensor) -> int:
    """The strongest penalty that is no worse than the best by more than chance, given (blocks, penalties) errors.

    The one-standard-error rule (Breiman et al. 1984) on the differences of the blocks.
    """
    best = int(errors.sum(0).argmin())
    for place in range(errors.shape[1] - 1, best, -1):
        worse = errors[:, place] - errors[:, best]
        if float(worse.sum()) <= float(worse.std() * BLOCKS**0.5):
            return place
    return best


def _rows(chosen: Tensor, *parts: Tensor) -> list[Tensor]:
    return [part[chosen] for part in parts]


def _products(design: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    weighted = design * weights[:, None]
    return weighted.T @ design, weighted.T @ targets


def _solved(gram: Tensor, product: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """The ridge solutions, shape (window + 1, horizon), for penalties as shares of the mean of the diagonal."""
    values, vectors = torch.linalg.eigh(gram)
    turned = vectors.T @ product
    size = values.clamp_min(0).mean().clamp_min(1e-12)
    return [vectors @ (turned / (values.clamp_min(0) + penalty * size)[:, None]) for penalty in penalties]
