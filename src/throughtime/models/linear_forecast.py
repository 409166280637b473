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

from throughtime.models.forecast_outputs import PointOutput
from throughtime.models.forecast_network import ANCHORS, ForecastNetwork

BLOCKS = 4
PENALTIES = tuple(10.0**power for power in (-5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0, 1, 3))
LAST_SPREAD = 99


@dataclass(frozen=True)
class WindowSample:
    """Windows of many series and what follows on them.

    Attributes:
        values: shape (examples, window + horizon).
        known: whether each value is known, of that shape.
        block: the block of time that each example is from, shape (examples,), int64.
    """

    values: Tensor
    known: Tensor
    block: Tensor


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
    values, block = sample.values[known].double(), sample.block[known]
    inputs, locale = shape.windows(values[:, :window].T)
    inputs, level, scale = inputs[0], locale.level[0], locale.scale[0]
    targets = (values[:, window:] - level[:, None]) / scale[:, None]
    design = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    weights = (scale / scale.mean()).clamp(0.1, 10)
    best: LinearForecast | None = None
    for anchor in ANCHORS if shape.season > 1 else ("last", "level"):
        shape.anchor = anchor
        wanted = targets - shape.anchored(inputs)
        penalty, error, errors = _cross_validated(design, wanted, weights, scale, block)
        if best is None or error < best.error:
            solution = _solved(*_products(design, wanted, weights), [penalty])[0]
            quantiles = torch.linspace(0.01, 0.99, LAST_SPREAD, dtype=errors.dtype)
            spread = torch.quantile(errors[:20_000], quantiles, dim=0).T
            best = LinearForecast(
                window, anchor, solution[:-1].T.float(), solution[-1].float(), spread.float(), error
            )
    if best is None:
        raise ValueError("there is no anchor")
    return best


def _cross_validated(
    design: Tensor, targets: Tensor, weights: Tensor, scale: Tensor, block: Tensor
) -> tuple[float, float, Tensor]:
    """The best penalty, its error in units of the series, and its errors in local units, (examples, horizon)."""
    blocks = [number for number in range(BLOCKS) if bool((block == number).any())]
    parts = {number: _products(*(one[block == number] for one in (design, targets, weights))) for number in blocks}
    whole = [torch.stack([part[place] for part in parts.values()]).sum(0) for place in range(2)]
    totals = torch.zeros(len(PENALTIES), dtype=design.dtype)
    kept: list[list[Tensor]] = [[] for _ in PENALTIES]
    for number in blocks:
        own = block == number
        others = [whole[place] - parts[number][place] for place in range(2)] if len(blocks) > 1 else whole
        for place, solution in enumerate(_solved(others[0], others[1], PENALTIES)):
            errors = targets[own] - design[own] @ solution
            kept[place].append(errors)
            totals[place] += (errors.abs() * scale[own, None]).sum()
    best = int(totals.argmin())
    return PENALTIES[best], float(totals[best] / targets.numel()), torch.cat(kept[best])


def _products(design: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    weighted = design * weights[:, None]
    return weighted.T @ design, weighted.T @ targets


def _solved(gram: Tensor, product: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """The ridge solutions, shape (window + 1, horizon), for penalties as shares of the mean of the diagonal."""
    values, vectors = torch.linalg.eigh(gram)
    turned = vectors.T @ product
    size = values.clamp_min(0).mean().clamp_min(1e-12)
    return [vectors @ (turned / (values.clamp_min(0) + penalty * size)[:, None]) for penalty in penalties]
