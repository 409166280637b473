"""The linear forecaster in closed form: a ridge regression from a window to the steps after it.

What a single linear layer on a window can do is much (Zeng et al. 2023, https://arxiv.org/abs/2205.13504), and least
squares finds it at once (Toner & Darlow 2024, https://arxiv.org/abs/2403.14587). Strength of the penalty, length of
the window are chosen by cross-validation over blocks of time. What is shrunk to is no zero but exponential smoothing,
which few values suffice for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.models.exponential_smoothing import smoothing_forecasts
from throughtime.models.forecast_network import ForecastNetwork
from throughtime.models.forecast_outputs import PointOutput

BLOCKS = 4
PENALTIES = tuple(10.0**power for power in (-5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 4))
LAST_SPREAD = 99
MOST_COMPARED = 3_000
"""Examples on which exponential smoothings are compared."""
INDIFFERENCE = 0.05
"""An exponential smoothing whose error is larger than the least by this share weighs a factor of e less."""
MOSTLY = 0.5
"""The share of a window's values that must be known."""


@dataclass(frozen=True)
class WindowSample:
    """Windows of many series and what follows on them.

    Attributes:
        values: shape (examples, window + horizon).
        known: whether each value is known, of that shape.
        time: where in its series each example lies, from 0 to 1, shape (examples,).
        reach: how far the steps that it foretells go on from there, in the same measure, shape (examples,).
        begins: bool, whether the window begins within its series, shape (examples,).
        exponents: of values that are logarithms, a factor and a summand, shape (examples, 2): a value v stands for
            exp(factor v + summand) units of its series. None where values stand for themselves.
    """

    values: Tensor
    known: Tensor
    time: Tensor
    reach: Tensor
    begins: Tensor
    exponents: Tensor | None = None

    def chosen(self, rows: Tensor) -> WindowSample:
        """Some of the examples."""
        parts = (part[rows] for part in (self.values, self.known, self.time, self.reach, self.begins))
        return WindowSample(*parts, exponents=None if self.exponents is None else self.exponents[rows])

    def restored(self, values: Tensor) -> Tensor:
        """What values of the examples, shape (examples, horizon), stand for, in units of their series."""
        if self.exponents is None:
            return values
        return torch.exp(self.exponents[:, :1] * values + self.exponents[:, 1:])


@dataclass(frozen=True)
class LinearForecast:
    """A fitted ridge regression.

    Attributes:
        window: values that it reads.
        smoothing: the exponential smoothing that it adds to, shape (horizon, window).
        weight: of both together, shape (horizon, window).
        bias: shape (horizon,).
        spread: quantiles 0.01 to 0.99 of the errors in local units, of examples that it was not fitted on, shape
            (horizon, 99).
        error: the mean absolute error on examples that it was not fitted on, in units of the series.
    """

    window: int
    smoothing: Tensor
    weight: Tensor
    bias: Tensor
    spread: Tensor
    error: float


def fit_linear(
    sample: Callable[[int], WindowSample], windows: Sequence[int], horizon: int, season: int
) -> LinearForecast:
    """Fit the regression for each length of the window and keep the best.

    Args:
        sample: gives the examples for a length of the window, the same ones for each.
        windows: the lengths to try.
        horizon: steps to forecast.
        season: steps of a season.
    """
    usable = _usable(sample(max(windows)), horizon)
    found = [_fit(sample(window).chosen(usable), window, horizon, season) for window in windows]
    return min(found, key=lambda one: one.error)


def _usable(sample: WindowSample, horizon: int) -> Tensor:
    """Which examples begin within their series, as far as there are any, and are known for the most part."""
    window = sample.values.shape[1] - horizon
    known = (sample.known[:, :window].double().mean(1) >= MOSTLY) & sample.known[:, window:].any(1)
    whole = known & sample.begins
    return whole if bool(whole.any()) else known


def _fit(sample: WindowSample, window: int, horizon: int, season: int) -> LinearForecast:
    shape = ForecastNetwork(window, horizon, PointOutput(), season=season, reader="linear")
    values = sample.values.double()
    inputs, locale = shape.windows(values[:, :window].T)
    inputs, level, scale = inputs[0], locale.level[0], locale.scale[0]
    ahead = values[:, window:]
    targets = (ahead - level[:, None]) / scale[:, None]
    known = sample.known[:, window:]
    smoothing = _smoothing(inputs, targets, known, scale, shape.season)
    errors = torch.where(known, targets - inputs @ smoothing.T, torch.nan)
    design = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    weights = (scale / scale.mean()).clamp(0.1, 10)
    solution = inputs.new_zeros(window + 1, horizon)
    whole = known.all(1)
    if int(whole.sum()) > 2 * BLOCKS:
        parts = _rows(whole, design, errors, weights, scale)
        penalty, kept = _cross_validated(*parts, places=(sample.time[whole], sample.reach[whole]))
        solution = _solved(*_products(*parts[:3]), [penalty])[0]
        errors[whole] = kept
    spread = _spread(errors, independent=max(1.0, float(known.sum() / horizon**2)))
    missed = sample.restored(ahead) - sample.restored(ahead - errors * scale[:, None])
    error = float(missed.abs().nanmean(0).nanmean())
    weight = (smoothing + solution[:-1].T).float()
    return LinearForecast(window, smoothing.float(), weight, solution[-1].float(), spread.nan_to_num().float(), error)


def _spread(errors: Tensor, independent: float) -> Tensor:
    """Quantiles of errors around their median, as wide as they are likely to be of new ones, (horizon, 99).

    Neighbouring examples foretell the same steps. Few independent ones tell their deviation badly: their quantiles are
    widened as those of Student's t distribution are beside a normal's.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - slow to import

    probabilities = torch.linspace(0.01, 0.99, LAST_SPREAD, dtype=errors.dtype)
    spread = torch.nanquantile(errors[:20_000], probabilities, dim=0).T
    spread = spread - spread[:, LAST_SPREAD // 2, None]
    upper = probabilities.numpy()[LAST_SPREAD // 2 + 1 :]
    wider = torch.from_numpy(stdtrit(independent, upper) / ndtri(upper)) * (1 + 1 / independent) ** 0.5
    return spread * torch.cat([wider.flip(0), wider.new_ones(1), wider])


def _smoothing(inputs: Tensor, targets: Tensor, known: Tensor, scale: Tensor, season: int) -> Tensor:
    """The mean of all exponential smoothings, those that err little weighing more, a matrix (horizon, window)."""
    candidates = smoothing_forecasts(inputs.shape[1], targets.shape[1], season)
    every = slice(None, None, -(-len(inputs) // MOST_COMPARED))
    read, wanted, size = inputs[every].float(), targets[every].float(), scale[every, None].float() * known[every]
    size = size / known[every].sum(0).clamp_min(1)
    errors = torch.stack([((wanted - read @ one.float().T).abs() * size).sum() for one in candidates]).double()
    worse = errors / errors.min().clamp_min(1e-9) - 1
    return torch.einsum("phw,p->hw", candidates, torch.softmax(-worse / INDIFFERENCE, 0))


def _cross_validated(
    design: Tensor, targets: Tensor, weights: Tensor, scale: Tensor, *, places: tuple[Tensor, Tensor]
) -> tuple[float, Tensor]:
    """The best penalty, and its errors in local units, (examples, horizon).

    Each block of time is foretold by what was learned of the others, without the examples whose steps reach into it:
    neighbours are nearly the same, and would tell what is to be foretold.
    """
    first, span = places[0].min(), (places[0].max() - places[0].min()).clamp_min(1e-9)
    time, reach = (places[0] - first) / span, places[1] / span
    whole = _products(design, targets, weights)
    totals = torch.zeros(BLOCKS, len(PENALTIES), dtype=design.dtype)
    kept = [torch.empty_like(targets) for _ in PENALTIES]
    for number in range(BLOCKS):
        begin, end = number / BLOCKS, (number + 1) / BLOCKS
        own = (time >= begin) & ((time < end) | (number == BLOCKS - 1))
        near = (time + reach >= begin) & (time - reach < end)
        others = [
            all_of - part for all_of, part in zip(whole, _products(*_rows(near, design, targets, weights)), strict=True)
        ]
        for place, solution in enumerate(_solved(others[0], others[1], PENALTIES)):
            errors = targets[own] - design[own] @ solution
            kept[place][own] = errors
            totals[number, place] = (errors.abs() * scale[own, None]).sum() / max(targets.numel(), 1)
    best = _strongest(totals)
    return PENALTIES[best], kept[best]


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
