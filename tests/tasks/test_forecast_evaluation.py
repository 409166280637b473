from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_frequency import STEP, Frequency
from throughtime.tasks.forecast_backtest import Found, Origins
from throughtime.tasks.forecast_baselines import seasonal_naive, theta
from throughtime.tasks.forecast_evaluation import evaluate_forecasts
from throughtime.tasks.forecast_features import Encoding, Scale
from throughtime.tasks.forecasting_settings import Settings

HORIZON, SEASON = 4, 3


def table() -> SeriesTable:
    generator = np.random.default_rng(5)
    series = [Series(name, 0, generator.normal(20, 5, 40)) for name in ("a", "b")]
    return SeriesTable(tuple(series), Frequency(STEP))


def test_the_figures_are_scikit_learns_and_the_definitions() -> None:
    series = table()
    origins = Origins.rolling(series, HORIZON, [10, 10], 2)
    generator = np.random.default_rng(1)
    point = generator.normal(20, 5, (len(origins), HORIZON))
    ends = np.stack([point - 6, point + 6, point - 8, point + 8], -1)
    evaluation = evaluate_forecasts(
        series,
        origins,
        {"LSTM": Found(point, ends), "SeasonalNaive": seasonal_naive(series, origins, HORIZON, SEASON, [])},
        titles={},
        train=series.without_last(10),
        season=SEASON,
        level=(80, 90),
    )
    actual = np.stack(
        [
            series.series[n].values[step + 1 : step + 1 + HORIZON]
            for n, step in zip(origins.series, origins.step, strict=True)
        ]
    )
    row = evaluation.rows[0]

    def means(metric: object, *parts: object) -> list[float]:
        return [
            float(metric(actual[origins.series == n].ravel(), point[origins.series == n].ravel(), *parts))  # type: ignore[operator]
            for n in (0, 1)
        ]

    errors = means(mean_absolute_error)
    assert row.mae == pytest.approx(np.mean(errors))
    assert row.rmse == pytest.approx(np.mean(np.sqrt(means(mean_squared_error))))
    trained = [one.values[:30] for one in series.series]
    naive = [np.abs(one[SEASON:] - one[:-SEASON]).mean() for one in trained]
    assert row.mase == pytest.approx(np.mean(np.array(errors) / naive))
    variances = [one.var(ddof=1) for one in trained]
    assert row.scaled_mse == pytest.approx(np.mean(np.array(means(mean_squared_error)) / variances))
    assert row.smape == pytest.approx(np.mean(2 * np.abs(actual - point) / (np.abs(actual) + np.abs(point))))
    inside = (actual >= ends[..., 0]) & (actual <= ends[..., 1])
    assert row.coverage["80"] == pytest.approx(inside.mean())
    pinballs = [
        mean_pinball_loss(actual.ravel(), values.ravel(), alpha=alpha)
        for alpha, values in zip((0.1, 0.9, 0.05, 0.95, 0.5), [*np.moveaxis(ends, -1, 0), point], strict=True)
    ]
    assert row.quantile_loss == pytest.approx(2 * np.mean(pinballs))
    assert (evaluation.origins, evaluation.series) == (8, 2)


def test_theta_follows_a_trend_that_the_naive_forecast_misses() -> None:
    rising = SeriesTable((Series("a", 0, np.linspace(100, 218, 60)),), Frequency(STEP))
    origins = Origins.ends(rising)
    found = theta(rising, origins, 5, 1, (80,))
    assert found is not None
    wanted = 100 + 2.0 * np.arange(60, 65)
    naive = seasonal_naive(rising, origins, 5, 1, [])
    assert np.abs(found.point - wanted).mean() < 0.6 * np.abs(naive.point - wanted).mean()


def test_rolling_origins_leave_their_horizon_and_are_no_earlier_than_asked() -> None:
    origins = Origins.rolling(table(), HORIZON, [10, 4], 3)
    # Of 40 steps the last from which four can be foretold is step 35, and the last ten begin after step 29.
    assert list(zip(origins.series.tolist(), origins.step.tolist(), strict=True)) == [
        (0, 29),
        (0, 32),
        (0, 35),
        (1, 35),
    ]


def test_a_scale_is_the_error_of_the_seasonal_naive_forecast() -> None:
    values = np.array([1.0, 10, 3, 12, np.nan, 14])
    assert Scale.of(values, 2).unit == pytest.approx(2.0)
    assert Scale.of(np.full(9, 4.0), 2).unit > 0
    assert Scale.of(np.array([np.nan, np.nan]), 2) == Scale(0.0, 1.0)


def test_encodings_know_no_text_and_no_number_that_they_were_not_fitted_on() -> None:
    texts = Encoding.of(np.array(["b", "a", None], dtype=object), "kind")
    assert texts.encode(np.array(["a", "new", None], dtype=object)).tolist() == [[1, 0], [0, 0], [0, 0]]
    numbers = Encoding.of(np.array([2.0, 4.0, np.nan]), "price")
    assert numbers.encode(np.array([4.0, np.nan, 2.0])).ravel().tolist() == [1, 1, -1]


def test_settings_name_the_column_of_the_forecasts() -> None:
    assert Settings(cell="gru").name == "GRU"
    assert Settings(cell="rnn_tanh").name == "RNN"
    assert Settings(network="feed-forward").name == "MLP"
    assert Settings(level=(90, 50)).probabilities == (0.05, 0.25, 0.5, 0.75, 0.95)
