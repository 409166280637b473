"""From series to what a forecaster reads: everything that is fitted here is fitted on the training part alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.series import Covariate, Series, SeriesTable, Values, filled
from throughtime.data.series_calendar import calendar_features, calendar_names
from throughtime.errors import DataError
from throughtime.models.forecast_network import Past

MOST_CATEGORIES = 50

Columns = NDArray[np.float32]
"""Features of each step, shape (time, features)."""


@dataclass(frozen=True)
class Scale:
    """The units of a series.

    Attributes:
        offset: what is taken off.
        unit: what is divided by: the mean error of the seasonal naive forecast.
        is_logarithmic: whether both are those of the values' logarithms.
    """

    offset: float
    unit: float
    is_logarithmic: bool = False

    @classmethod
    def of(cls, values: Values, season: int, *, is_logarithmic: bool = False) -> Scale:
        """Measure a series, of which everything given counts as known."""
        offset, unit = _measured(logarithms(values) if is_logarithmic else values, season)
        return cls(offset, unit, is_logarithmic)

    def scaled(self, values: Values) -> Columns:
        """In units of the series, float32; NaN for what has no logarithm."""
        measured = logarithms(values) if self.is_logarithmic else values
        return ((measured - self.offset) / self.unit).astype(np.float32)

    def restored(self, values: Tensor) -> NDArray[np.float64]:
        """Back from units of the series."""
        found = values.double().numpy() * self.unit + self.offset
        return np.exp(found) if self.is_logarithmic else found


def logarithms(values: Values) -> Values:
    """The natural logarithms; NaN, as for a missing value, for zero and what is below."""
    return np.log(np.where(values > 0, values, np.nan))


def _measured(values: Values, season: int) -> tuple[float, float]:
    """Mean and unit of values."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    mean = float(known.mean())
    for lag in (season, 1):
        if len(values) > lag:
            errors = np.abs(values[lag:] - values[:-lag])
            error = float(np.nanmean(errors)) if not np.isnan(errors).all() else 0.0
            if error > 1e-9 * max(1.0, float(np.abs(known).max())):
                return mean, error
    return mean, max(float(known.std()), abs(mean), 1.0)


@dataclass(frozen=True)
class Encoding:
    """How one covariate becomes numbers.

    Attributes:
        mean, deviation: of its values, where they are numbers.
        categories: its texts, each of which gets a column, or None for numbers.
    """

    mean: float = 0.0
    deviation: float = 1.0
    categories: tuple[str, ...] | None = None

    @classmethod
    def of(cls, values: Covariate, name: str) -> Encoding:
        """Fit it on the training part.

        Raises:
            DataError: where there are more different texts than could be learned.
        """
        if values.dtype == object:
            categories = sorted({str(value) for value in values if value is not None})
            if len(categories) > MOST_CATEGORIES:
                raise DataError(
                    f"{name!r} has {len(categories):,} different texts, at most {MOST_CATEGORIES} are read; leave it "
                    "out, or give numbers or fewer classes"
                )
            return cls(categories=tuple(categories))
        known = values[~np.isnan(values)]
        if not len(known):
            return cls()
        return cls(float(known.mean()), float(known.std()) or 1.0)

    @property
    def size(self) -> int:
        """Features that it makes."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, values: Covariate) -> Columns:
        """The features, shape (time, size): a missing number is the last before it, an unknown text is none."""
        if self.categories is None:
            numbers = (values.astype(np.float64) - self.mean) / self.deviation
            return filled(numbers).astype(np.float32)[:, None]
        return np.array([[value == one for one in self.categories] for value in values], dtype=np.float32).reshape(
            len(values), self.size
        )


@dataclass(frozen=True)
class FeatureEncoder:
    """Makes the features of series.

    Attributes:
        season: steps of a season.
        past, future, static: the covariates' encodings, by name.
        calendar: the names of calendar features.
        shows_missing: whether a feature says that a value was missing.
        is_scaled: whether series are brought to units of their own; counts are not.
        is_logarithmic: whether it is the values' logarithms that are brought to them.
    """

    season: int
    past: dict[str, Encoding]
    future: dict[str, Encoding]
    static: dict[str, Encoding]
    calendar: list[str]
    shows_missing: bool
    is_scaled: bool = True
    is_logarithmic: bool = False

    @classmethod
    def fitted(
        cls, train: SeriesTable, season: int, *, calendar: bool, is_scaled: bool, is_logarithmic: bool
    ) -> FeatureEncoder:
        """Fit the encodings on the training part.

        Raises:
            DataError: where a covariate can't be learned from.
        """

        def along(name: str) -> Covariate:
            return np.concatenate([one.covariates[name] for one in train.series])

        def fixed(name: str) -> Covariate:
            values = [one.static[name] for one in train.series]
            is_text = any(isinstance(value, str) for value in values)
            return np.array(values, dtype=object if is_text else np.float64)

        span = max(one.end for one in train.series) - min(one.first for one in train.series)
        return cls(
            season,
            {name: Encoding.of(along(name), name) for name in train.names("past")},
            {name: Encoding.of(along(name), name) for name in train.names("future")},
            {name: Encoding.of(fixed(name), name) for name in train.series[0].static},
            calendar_names(train.frequency, span) if calendar else [],
            any(one.missing for one in train.series),
            is_scaled,
            is_logarithmic,
        )

    @property
    def past_size(self) -> int:
        """Features that are known up to the present."""
        return sum(one.size for one in self.past.values()) + self.shows_missing

    @property
    def future_size(self) -> int:
        """Features that are known ahead."""
        return sum(one.size for one in self.future.values()) + len(self.calendar)

    @property
    def static_size(self) -> int:
        """Features of a series as a whole."""
        return sum(one.size for one in self.static.values())

    def scale(self, series: Series) -> Scale:
        """The units of a series, all of which counts as known."""
        if not self.is_scaled:
            return Scale(0.0, 1.0)
        return Scale.of(series.values, self.season, is_logarithmic=self.is_logarithmic)

    def columns(
        self,
        series: Series,
        table: SeriesTable,
        scale: Scale,
        more: int = 0,
        ahead: dict[str, Covariate] | None = None,
    ) -> Columns:
        """What goes into windows: value, whether it is known, past features, future ones, static ones.

        Args:
            series: whose steps come first.
            table: that it is of, for its calendar.
            scale: its units.
            more: steps after the series, which have no value.
            ahead: the future covariates of these steps, by name; where there are none the last one stands for them.

        Returns:
            Shape (time + more, 2 + past_size + future_size + static_size).
        """
        time = len(series) + more
        scaled = scale.scaled(series.values)
        is_known = ~np.isnan(scaled)
        values = filled(scaled.astype(np.float64)).astype(np.float32)
        parts: list[Columns] = [
            _extended(values[:, None], more),
            _extended(is_known[:, None].astype(np.float32), more, 0.0),
        ]
        parts += [_extended(one.encode(series.covariates[name]), more) for name, one in self.past.items()]
        if self.shows_missing:
            parts.append(_extended(1 - is_known[:, None].astype(np.float32), more, 0.0))
        for name, one in self.future.items():
            column = series.covariates[name]
            known = np.concatenate([column, ahead[name]]) if ahead else column
            parts.append(_extended(one.encode(known), time - len(known)))
        stamps = table.stamps(np.arange(series.first, series.first + time))
        parts.append(calendar_features(stamps, self.calendar))
        parts += [
            np.repeat(one.encode(_single(series.static[name])), time, axis=0) for name, one in self.static.items()
        ]
        return np.concatenate(parts, axis=1)

    def split(self, values: Tensor, window: int, time: int) -> tuple[Past, Tensor, Tensor]:
        """Take windows apart.

        Args:
            values: columns of the steps, shape (window - 1 + time + horizon, batch, columns).
            window: values read at each step.
            time: steps from which forecasts are made.

        Returns:
            What is read, the value of each step and whether it is known, both of shape (steps, batch).
        """
        read = window - 1 + time
        past, future = 2 + self.past_size, 2 + self.past_size + self.future_size
        return (
            Past(
                values[:read, :, 0],
                values[:read, :, 2:past],
                values[window - 1 :, :, past:future],
                values[0, :, future:],
            ),
            values[..., 0],
            values[..., 1] > 0,
        )


def _extended(columns: Columns, more: int, value: float | None = None) -> Columns:
    """The columns and some steps more, of a value or of the last one."""
    if not more:
        return columns
    last = columns[-1:] if value is None else np.full_like(columns[-1:], value)
    return np.concatenate([columns, np.repeat(last, more, axis=0)])


def _single(value: float | str) -> Covariate:
    return np.array([value], dtype=object if isinstance(value, str) else np.float64)
