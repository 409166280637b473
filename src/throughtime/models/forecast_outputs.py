"""What a forecaster says of the future: a point, quantiles, or a distribution; its loss and its quantiles.

Networks speak in units of the local scale around the local level; ``Locale`` says what these are. Quantities have the
shape (..., horizon), and a network's scores of them (..., horizon, size).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, NegativeBinomial, Normal, StudentT
from torch.nn.functional import softplus

from throughtime.errors import ArgumentError, check_choice, check_range

OUTPUTS = ("quantiles", "point", "normal", "student-t", "negative-binomial")
DRAWS = 1000

LEAST_DEVIATION = 1e-4
INVERSE_SOFTPLUS_OF_ONE = math.log(math.e - 1)


@dataclass(frozen=True)
class Locale:
    """Where a series stands when a forecast is made, in the series' own units.

    Attributes:
        level: what the forecast is counted from, shape (...).
        scale: what it is counted in, shape (...).
    """

    level: Tensor
    scale: Tensor

    def at(self, step: int) -> Locale:
        """That of one step."""
        return Locale(self.level[step], self.scale[step])

    def chosen(self, rows: Tensor) -> Locale:
        """That of some rows of the first axis."""
        return Locale(self.level[rows], self.scale[rows])

    def shifted(self, scores: Tensor) -> Tensor:
        """Scores of shape (..., horizon) in the series' units."""
        return self.level.unsqueeze(-1) + self.scale.unsqueeze(-1) * scores


class ForecastOutput(ABC):
    """How scores are meant.

    Attributes:
        size: scores of each step of the horizon.
        is_random: whether a whole distribution is forecast, from which paths can be drawn.
    """

    size: int
    is_random: bool = True

    @abstractmethod
    def loss(self, scores: Tensor, locale: Locale, targets: Tensor) -> Tensor:
        """The loss of each target.

        Args:
            scores: shape (..., horizon, size).
            locale: of shape (...).
            targets: shape (..., horizon), in the series' units.

        Returns:
            Shape (..., horizon), in the series' units, or in nats for a distribution.
        """

    @abstractmethod
    def point(self, scores: Tensor, locale: Locale) -> Tensor:
        """The best single forecast, shape (..., horizon): the median, or the mean for a squared error."""

    @abstractmethod
    def quantiles(self, scores: Tensor, locale: Locale, probabilities: Sequence[float]) -> Tensor:
        """Quantiles of shape (..., horizon, probabilities), which never cross."""

    @abstractmethod
    def draw(self, scores: Tensor, locale: Locale, uniform: Tensor) -> Tensor:
        """Draw a value for each step, shape (..., horizon); ``uniform`` is of that shape, in (0, 1)."""

    def start(self, spread: Tensor) -> Tensor:
        """The scores around a point forecast whose errors, in local units, are spread like this.

        Args:
            spread: quantiles of the errors, shape (horizon, 99): of 0.01, 0.02, and so on.

        Returns:
            Shape (horizon, size); the first score is an offset from the point forecast.
        """
        return torch.zeros(len(spread), self.size)


class PointOutput(ForecastOutput):
    """A point alone, by the squared or the absolute error.

    Args:
        error: "squared", whose best forecast is the mean, or "absolute", whose best one is the median.
    """

    size = 1
    is_random = False

    def __init__(self, error: str = "absolute") -> None:
        check_choice("error", error, ("absolute", "squared"))
        self.error = error

    def loss(self, scores: Tensor, locale: Locale, targets: Tensor) -> Tensor:  # noqa: D102
        difference = self.point(scores, locale) - targets
        return difference.square() if self.error == "squared" else difference.abs()

    def point(self, scores: Tensor, locale: Locale) -> Tensor:  # noqa: D102
        return locale.shifted(scores[..., 0])

    def quantiles(self, scores: Tensor, locale: Locale, probabilities: Sequence[float]) -> Tensor:  # noqa: D102
        if any(probability != 0.5 for probability in probabilities):
            raise ArgumentError(
                "a point forecast has no intervals; train with another `distribution`, such as quantiles"
            )
        return self.point(scores, locale).unsqueeze(-1).expand(*scores.shape[:-1], len(probabilities))

    def draw(self, scores: Tensor, locale: Locale, uniform: Tensor) -> Tensor:  # noqa: ARG002, D102
        return self.point(scores, locale)


class QuantileOutput(ForecastOutput):
    """Quantiles, by the pinball loss (Koenker & Bassett 1978); the median and distances from it, so that none cross.

    Args:
        probabilities: of the quantiles, in (0, 1), ascending, 0.5 in the middle.
    """

    def __init__(self, probabilities: Sequence[float]) -> None:
        for probability in probabilities:
            check_range("probabilities", probability, low=0, high=1, low_open=True, high_open=True)
        if list(probabilities) != sorted(set(probabilities)) or 0.5 not in probabilities:
            raise ArgumentError(f"`probabilities` must ascend and hold 0.5, got {list(probabilities)}")
        self.probabilities = tuple(probabilities)
        self.size = len(probabilities)
        self.middle = self.probabilities.index(0.5)

    def values(self, scores: Tensor, locale: Locale) -> Tensor:
        """The quantiles that the network has learned, shape (..., horizon, size)."""
        middle, steps = scores[..., :1], softplus(scores[..., 1:])
        below = middle - steps[..., : self.middle].cumsum(-1).flip(-1)
        above = middle + steps[..., self.middle :].cumsum(-1)
        found = torch.cat([below, middle, above], -1)
        return locale.level[..., None, None] + locale.scale[..., None, None] * found

    def loss(self, scores: Tensor, locale: Locale, targets: Tensor) -> Tensor:  # noqa: D102
        errors = targets.unsqueeze(-1) - self.values(scores, locale)
        weights = errors.new_tensor(self.probabilities)
        # Twice the mean pinball loss, which is the absolute error for the median.
        return 2 * torch.maximum(weights * errors, (weights - 1) * errors).mean(-1)

    def point(self, scores: Tensor, locale: Locale) -> Tensor:  # noqa: D102
        return locale.shifted(scores[..., 0])

    def quantiles(self, scores: Tensor, locale: Locale, probabilities: Sequence[float]) -> Tensor:
        """Those learned; between them by a straight line, beyond the outermost ones with a normal's tails."""
        values = self.values(scores, locale)
        return torch.stack([self._between(values, values.new_tensor(wanted)) for wanted in probabilities], -1)

    def draw(self, scores: Tensor, locale: Locale, uniform: Tensor) -> Tensor:  # noqa: D102
        return self._between(self.values(scores, locale), uniform)

    def _between(self, values: Tensor, wanted: Tensor) -> Tensor:
        """The quantile of probability ``wanted``, of the shape of ``values`` without its last axis, or a scalar."""
        if self.size == 1:
            return values[..., 0]
        wanted = wanted.expand(values.shape[:-1])
        # On the axis of a normal's quantiles, so that the tails go on as a normal's do.
        normal = Normal(0.0, 1.0)
        known: Tensor = normal.icdf(values.new_tensor(self.probabilities))
        place: Tensor = normal.icdf(wanted.clamp(1e-6, 1 - 1e-6))
        right = torch.searchsorted(known, place.contiguous()).clamp(1, self.size - 1)
        low, high = known[right - 1], known[right]
        share = ((place - low) / (high - low)).unsqueeze(-1)
        left_value = values.gather(-1, (right - 1).unsqueeze(-1))
        right_value = values.gather(-1, right.unsqueeze(-1))
        return (left_value + share * (right_value - left_value)).squeeze(-1)

    def start(self, spread: Tensor) -> Tensor:  # noqa: D102
        places = torch.tensor([round(100 * probability) - 1 for probability in self.probabilities]).clamp(0, 98)
        values = spread[:, places]
        distances = values.diff(dim=-1).clamp_min(1e-3)
        order = [*range(self.middle - 1, -1, -1), *range(self.middle, self.size - 1)]
        return torch.cat([values[:, self.middle : self.middle + 1], torch.log(torch.expm1(distances[:, order]))], -1)


class DistributionOutput(ForecastOutput):
    """A distribution whose parameters the network gives, by its likelihood, as in DeepAR.

    Salinas et al. (2020), https://arxiv.org/abs/1704.04110.
    """

    @abstractmethod
    def distribution(self, scores: Tensor, locale: Locale) -> Distribution:
        """The distribution of each value, of batch shape (..., horizon)."""

    def loss(self, scores: Tensor, locale: Locale, targets: Tensor) -> Tensor:  # noqa: D102
        return -self.distribution(scores, locale).log_prob(targets)

    def quantiles(self, scores: Tensor, locale: Locale, probabilities: Sequence[float]) -> Tensor:
        """By a thousand draws, always the same ones."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            drawn = self.distribution(scores, locale).sample(torch.Size([DRAWS]))
        found = torch.quantile(drawn, drawn.new_tensor(list(probabilities)), dim=0)
        return found.movedim(0, -1)

    def draw(self, scores: Tensor, locale: Locale, uniform: Tensor) -> Tensor:  # noqa: ARG002, D102
        return self.distribution(scores, locale).sample()

    def point(self, scores: Tensor, locale: Locale) -> Tensor:  # noqa: D102
        return locale.shifted(scores[..., 0])


class NormalOutput(DistributionOutput):
    """A normal distribution: mean and standard deviation."""

    size = 2

    def distribution(self, scores: Tensor, locale: Locale) -> Normal:  # noqa: D102
        deviation = softplus(scores[..., 1] + INVERSE_SOFTPLUS_OF_ONE) + LEAST_DEVIATION
        return Normal(locale.shifted(scores[..., 0]), locale.scale.unsqueeze(-1) * deviation)

    def start(self, spread: Tensor) -> Tensor:  # noqa: D102
        deviation = ((spread[:, 83] - spread[:, 15]) / 2).clamp_min(1e-2)
        return torch.stack([spread[:, 49], torch.log(torch.expm1(deviation)) - INVERSE_SOFTPLUS_OF_ONE], -1)


class StudentTOutput(DistributionOutput):
    """Student's t distribution: location, scale and degrees of freedom, more than 2; for heavy tails."""

    size = 3

    def distribution(self, scores: Tensor, locale: Locale) -> StudentT:  # noqa: D102
        deviation = softplus(scores[..., 1] + INVERSE_SOFTPLUS_OF_ONE) + LEAST_DEVIATION
        freedom = 2 + softplus(scores[..., 2] + 3)
        return StudentT(freedom, locale.shifted(scores[..., 0]), locale.scale.unsqueeze(-1) * deviation)

    def start(self, spread: Tensor) -> Tensor:  # noqa: D102
        found = NormalOutput().start(spread)
        return torch.cat([found, torch.zeros_like(found[:, :1])], -1)


class NegativeBinomialOutput(DistributionOutput):
    """A negative binomial distribution, for counts: mean and dispersion; variance = mean + dispersion * mean^2."""

    size = 2

    def distribution(self, scores: Tensor, locale: Locale) -> NegativeBinomial:  # noqa: D102
        mean = self.point(scores, locale)
        dispersion = softplus(scores[..., 1]) + LEAST_DEVIATION
        return NegativeBinomial(1 / dispersion, logits=(mean * dispersion).log(), validate_args=False)

    def point(self, scores: Tensor, locale: Locale) -> Tensor:
        """The mean, kept above zero by a softplus as wide as a hundredth of the local scale."""
        width = 0.01 * locale.scale.unsqueeze(-1)
        return width * softplus(locale.shifted(scores[..., 0]) / width) + LEAST_DEVIATION * width


def build_output(name: str, *, probabilities: Sequence[float] = (0.5,), error: str = "absolute") -> ForecastOutput:
    """Make an output by its name.

    Args:
        name: one of OUTPUTS.
        probabilities: of quantiles.
        error: of a point.

    Raises:
        ArgumentError: for an unknown name.
    """
    check_choice("distribution", name, OUTPUTS)
    if name == "quantiles":
        return QuantileOutput(probabilities)
    if name == "point":
        return PointOutput(error)
    kinds = {"normal": NormalOutput, "student-t": StudentTOutput, "negative-binomial": NegativeBinomialOutput}
    return kinds[name]()
