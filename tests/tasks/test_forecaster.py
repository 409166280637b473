from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from statsforecast import StatsForecast
from statsforecast.models import SeasonalNaive

import throughtime
from throughtime.data.sample_series import sample_series
from throughtime.data.series import SeriesTable, Values
from throughtime.errors import ArgumentError, DataError, ModelFolderError, ThroughTimeError
from throughtime.tasks.forecast_backtest import Origins, interval_probabilities
from throughtime.tasks.forecast_baselines import seasonal_naive
from throughtime.tasks.forecaster import Forecaster
from throughtime.training import read_metrics

TINY: dict[str, Any] = {"window": 15, "context": 8, "hidden_size": 6, "members": 2, "steps": 6, "precision": "32"}


def tiny(**more: Any) -> dict[str, Any]:
    return {**TINY, **more}


@pytest.fixture(scope="module")
def sales() -> SeriesTable:
    return sample_series(3, 120)


@pytest.fixture(scope="module")
def model(sales: SeriesTable, tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    return Forecaster.fit(sales, h=7, output=tmp_path_factory.mktemp("trained") / "model", **TINY)


def monthly(count: int = 60) -> pd.DataFrame:
    months = pd.date_range("2015-01", periods=count, freq="MS")
    values = 50 + np.arange(count) + 10 * np.sin(np.arange(count) * np.pi / 6)
    return pd.DataFrame({"unique_id": "a", "ds": months, "y": values})


def test_predictions_have_nixtlas_columns_and_are_what_was_given(sales: SeriesTable, model: Forecaster) -> None:
    found = model.predict()
    assert isinstance(found, pl.DataFrame)
    assert found.columns == ["unique_id", "ds", "LSTM", "LSTM-lo-80", "LSTM-hi-80", "LSTM-lo-90", "LSTM-hi-90"]
    assert len(found) == 21
    assert str(found["ds"][0]) == "2022-05-01"
    assert (found["LSTM-lo-90"] <= found["LSTM-lo-80"]).all()
    assert (found["LSTM-lo-80"] <= found["LSTM"]).all()
    assert model.predict(h=2, level=[50]).columns[2:] == ["LSTM", "LSTM-lo-50", "LSTM-hi-50"]
    frame = pd.DataFrame({name: sales.frame()[name].to_list() for name in sales.frame().columns})
    as_pandas = model.predict(frame.assign(ds=pd.to_datetime(frame.ds)))
    assert isinstance(as_pandas, pd.DataFrame)
    np.testing.assert_allclose(as_pandas["LSTM"], found["LSTM"], rtol=1e-5)


def test_no_value_from_the_future_reaches_the_past(sales: SeriesTable, model: Forecaster) -> None:
    def rewritten(one: Any) -> Any:
        values = one.values.copy()
        values[80:] = values[80:] * 3 + 500
        return replace(one, values=values)

    other = sales.mapped(rewritten)
    origins = Origins(np.array([0, 1, 2]), np.array([79, 79, 79]))
    ends = interval_probabilities([90])
    before, after = (model.forecasts_from(table, origins, ends) for table in (sales, other))
    np.testing.assert_array_equal(before.point, after.point)
    np.testing.assert_array_equal(before.quantiles, after.quantiles)
    later = Origins(np.array([0]), np.array([80]))
    own, changed = (model.forecasts_from(table, later, ends).point for table in (sales, other))
    assert not np.array_equal(own, changed)


@pytest.mark.parametrize("value", [9999.0, 0.0])
def test_nothing_is_fitted_on_the_steps_that_are_kept(value: float) -> None:
    frame = growing(lambda level, wave: level * np.exp(0.3 * wave))
    model = Forecaster.fit(pd.concat([frame.assign(unique_id="a"), frame.assign(unique_id="b")]), h=7, **TINY)
    sales = model.data.table
    kept = model.settings.complete("validation")

    def rewritten(one: Any) -> Any:
        values = one.values.copy()
        values[-kept:] = value
        return replace(one, values=values)

    other = Forecaster.fit(sales.mapped(rewritten), h=7, **TINY)
    assert other.settings.logarithms
    assert other.data.scales == model.data.scales
    assert other.data.encoder == model.data.encoder
    # The training losses are the same to the last bit; only when to stop is told by the steps that are kept.
    first, second = (
        [line["loss"] for line in read_metrics(one.folder.metrics_file) if "loss" in line] for one in (model, other)
    )
    assert first == second
    judged = [one.evaluate(steps=kept, step_size=kept - 7).frame for one in (model, other)]
    before, also = (frame.filter(pl.col("cutoff") == pl.col("cutoff").min())["Linear"].to_numpy() for frame in judged)
    np.testing.assert_array_equal(before, also)
    # What is forecast after them rests on them, too.
    ours, theirs = (one.linear().network.first.linear.weight for one in (model, other))
    assert not torch.allclose(ours, theirs, rtol=0.01)


def test_a_model_is_saved_loaded_and_streams_what_it_predicts(model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path / "copy")
    loaded = throughtime.load(tmp_path / "copy")
    assert isinstance(loaded, Forecaster)
    assert loaded.predict().equals(model.predict())
    stream = loaded.stream("shop 2")
    wanted = model.predict().filter(pl.col("unique_id") == "shop 2")
    np.testing.assert_allclose(stream.latest.point, wanted["LSTM"], rtol=1e-5)
    np.testing.assert_allclose(stream.latest.intervals[90.0][1], wanted["LSTM-hi-90"], rtol=1e-5)
    # One value more: as if the state had read the whole context and that value.
    after = stream.update(61.5)
    assert str(after.stamps[0]) == "2022-05-02"
    assert after.point.shape == (7,)
    assert not np.allclose(after.point[:6], wanted["LSTM"][1:])
    with pytest.raises(ArgumentError, match="`series` must name one of the 3 series"):
        loaded.stream()


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(sales: SeriesTable, tmp_path: Path) -> None:
    whole = Forecaster.fit(sales, h=7, output=tmp_path / "whole", **TINY)
    Forecaster.fit(sales, h=7, output=tmp_path / "halves", **tiny(steps=3, schedule="constant"))
    steady = Forecaster.fit(sales, h=7, output=tmp_path / "steady", **tiny(schedule="constant"))
    resumed = Forecaster.fit(None, output=tmp_path / "halves", resume=True, steps=6)
    assert resumed.predict().equals(steady.predict())
    # What a network adds in six steps isn't kept: the last validations tell how alike they are.
    last = [read_metrics(one.folder.metrics_file)[-1]["validation_loss"] for one in (resumed, steady, whole)]
    assert last[0] == last[1] != last[2]


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "distribution": "student-t"},
        {"cell": "rnn_tanh", "distribution": "normal", "strategy": "recursive"},
        {"network": "feed-forward", "distribution": "point"},
        {"network": "linear"},
        {"strategy": "recursive"},
    ],
)
def test_every_network_strategy_and_distribution_forecasts(sales: SeriesTable, options: dict[str, Any]) -> None:
    model = Forecaster.fit(sales.chosen([0]), h=4, **tiny(**options))
    found = model.predict()
    assert len(found) == 4
    assert np.isfinite(found[model.name].to_numpy()).all()
    if options.get("distribution") == "point":
        assert found.columns[2:] == ["MLP"]
        with pytest.raises(ArgumentError, match="has no intervals; leave out `level`"):
            model.predict(level=[80])
    else:
        assert (found[f"{model.name}-lo-90"] < found[f"{model.name}-hi-90"]).all()
    if options.get("strategy") == "recursive":
        assert len(model.predict(h=9)) == 9
    else:
        with pytest.raises(ArgumentError, match="`h` must be at most 4"):
            model.predict(h=9)


def test_a_recursive_model_streams_what_it_predicts(sales: SeriesTable) -> None:
    before = sales.chosen([0]).without_last(1)
    model = Forecaster.fit(before, h=4, **tiny(strategy="recursive"))
    stream = model.stream()
    np.testing.assert_allclose(stream.latest.point, model.predict()["LSTM"], rtol=1e-5)
    after = stream.update(sales.series[0].values[-1])
    wanted = model.predict(sales.chosen([0]))
    np.testing.assert_allclose(after.point, wanted["LSTM"], rtol=1e-5)
    np.testing.assert_allclose(after.intervals[90.0][0], wanted["LSTM-lo-90"], rtol=1e-5)


def growing(season: Callable[[Values, Values], Values]) -> pd.DataFrame:
    """Ten years of months of a level that rises to the eightfold, and a season."""
    months = np.arange(120)
    level = 100 * np.exp(months * np.log(8) / 120)
    noise = 1 + 0.01 * np.random.default_rng(0).normal(size=120)
    values = noise * season(level, np.sin(months * np.pi / 6))
    return pd.DataFrame({"ds": pd.date_range("2015-01", periods=120, freq="MS"), "y": values})


def test_a_season_that_grows_with_the_level_is_learned_in_logarithms() -> None:
    frame = growing(lambda level, wave: level * np.exp(0.3 * wave))
    models = [Forecaster.fit(frame, h=6, network="linear", steps=1, logarithms=one) for one in (None, False)]
    assert [model.settings.logarithms for model in models] == [True, False]
    ours, plain = (model.evaluate(baselines=False).rows[0].mase for model in models)
    assert ours < 0.8 * plain
    steady = (
        300
        + 2 * np.arange(120)
        + 90 * np.sin(np.arange(120) * np.pi / 6)
        + 9 * np.random.default_rng(0).normal(size=120)
    )
    assert not Forecaster.fit(frame.assign(y=steady), h=6, network="linear", steps=1).settings.logarithms


@pytest.mark.parametrize("value", [-1.0, 0.0])
def test_what_has_no_logarithms_is_learned_as_it_is(value: float) -> None:
    frame = growing(lambda level, wave: level * np.exp(0.3 * wave))
    frame.loc[7, "y"] = value
    assert not Forecaster.fit(frame, h=6, **TINY).settings.logarithms
    with pytest.raises(DataError, match="has values of zero or less, which have no logarithms"):
        Forecaster.fit(frame, h=6, logarithms=True, **TINY)


@pytest.mark.parametrize("options", [{}, {"strategy": "recursive"}, {"distribution": "point"}], ids=str)
def test_forecasts_of_logarithms_are_brought_back(options: dict[str, Any]) -> None:
    frame = growing(lambda level, wave: level + 30 * wave)
    ours = Forecaster.fit(frame, h=3, logarithms=True, **tiny(**options))
    theirs = Forecaster.fit(frame.assign(y=np.log(frame.y)), h=3, logarithms=False, **tiny(**options))
    found, wanted = ours.predict(), theirs.predict()
    for column in found.columns[2:]:
        np.testing.assert_allclose(found[column], np.exp(wanted[column]), rtol=1e-5)
    before, after = (model.stream().update(value).point for model, value in ((ours, 400.0), (theirs, np.log(400))))
    np.testing.assert_allclose(before, np.exp(after), rtol=1e-5)
    # What has no logarithm counts as missing.
    np.testing.assert_array_equal(ours.stream().update(0.0).point, ours.stream().update(None).point)
    with pytest.raises(DataError, match="has no value above zero"):
        ours.predict(frame.assign(y=-frame.y))


def test_counts_are_forecast_as_counts() -> None:
    generator = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=90)
    frame = pd.DataFrame({"ds": days, "y": generator.poisson(3, 90)})
    model = Forecaster.fit(frame, h=5, distribution="negative-binomial", **TINY)
    found = model.predict()
    low = found["LSTM-lo-90"].to_numpy()
    assert (low >= 0).all()
    assert (low == np.round(low)).all()
    with pytest.raises(DataError, match="is no series of counts"):
        Forecaster.fit(frame.assign(y=frame.y + 0.5), h=5, distribution="negative-binomial", **TINY)


def test_covariates_of_all_kinds_are_read(tmp_path: Path) -> None:
    frame = monthly().assign(price=np.arange(60.0), weather="sun", holiday=np.arange(60) % 3 == 0)
    frame.loc[::4, "weather"] = "rain"
    both = pd.concat([frame.assign(region="north"), frame.assign(unique_id="b", region="south")])
    model = Forecaster.fit(both, h=3, future_covariates=("holiday",), **TINY)
    encoder = model.data.encoder
    # The price, two kinds of weather; holidays and the year's harmonics; two regions.
    assert (encoder.past_size, encoder.future_size - len(encoder.calendar), encoder.static_size) == (3, 1, 2)
    with pytest.raises(ArgumentError, match="this model needs holiday for the steps ahead"):
        model.predict()
    months = pd.date_range("2020-01", periods=3, freq="MS")
    ahead = pd.DataFrame({"ds": [*months, *months], "unique_id": ["a"] * 3 + ["b"] * 3, "holiday": 0})
    path = tmp_path / "ahead.csv"
    ahead.to_csv(path, index=False)
    found = model.predict(future=path)
    np.testing.assert_allclose(model.predict(future=ahead)["LSTM"], found["LSTM"])
    with pytest.raises(DataError, match="has no row for b at 2020-03-01"):
        model.predict(future=ahead[:-1])


def test_cross_validation_cuts_as_statsforecast_does() -> None:
    frame = monthly()
    ours = Forecaster.cross_validation(frame, h=4, n_windows=3, step_size=2, **TINY)
    theirs: Any = StatsForecast([SeasonalNaive(12)], freq="MS").cross_validation(
        df=frame, h=4, n_windows=3, step_size=2
    )
    for column in ("unique_id", "ds", "cutoff", "y"):
        assert ours[column].tolist() == theirs[column].tolist()


@pytest.mark.parametrize("season", [1, 12])
def test_the_seasonal_naive_forecast_is_statsforecasts(season: int) -> None:
    frame = monthly(50)
    table = throughtime.Forecaster.fit(frame, h=20, **tiny(window=4)).data.table
    ours = seasonal_naive(table, Origins.ends(table), 20, season, interval_probabilities([80]))
    theirs: Any = SeasonalNaive(season).forecast(frame.y.to_numpy(), 20, level=[80])
    np.testing.assert_allclose(ours.point[0], theirs["mean"])
    if season > 1:
        np.testing.assert_allclose(ours.quantiles[0, :, 0], theirs["lo-80"], rtol=1e-3)


def test_what_cannot_be_used_is_told(sales: SeriesTable, model: Forecaster, tmp_path: Path) -> None:
    wrong: list[tuple[type[ThroughTimeError], str, Any]] = [
        (ArgumentError, "there is no setting `hidden`; did you mean", lambda: Forecaster.fit(sales, hidden=3)),
        (ArgumentError, "a level is a percentage", lambda: Forecaster.fit(sales, level=(0.9, 900))),
        (DataError, "has 120 values, too few to learn to forecast 100 steps", lambda: Forecaster.fit(sales, h=100)),
        (ArgumentError, "there are no series to learn from", lambda: Forecaster.fit(None)),
        (
            DataError,
            "is monthly, and this model was trained on series that are daily",
            lambda: model.predict(monthly().assign(kind="kiosk")),
        ),
        (ModelFolderError, "there is no such folder", lambda: Forecaster.load(tmp_path / "nothing")),
        (ArgumentError, "`h` must be a positive integer", lambda: model.predict(h=0)),
        (
            ArgumentError,
            "`logarithms` go with `distribution` quantiles, or a point of the absolute error",
            lambda: Forecaster.fit(sales, logarithms=True, distribution="normal"),
        ),
    ]
    for kind, message, act in wrong:
        with pytest.raises(kind, match=message):
            act()
