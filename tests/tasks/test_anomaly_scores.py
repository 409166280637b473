from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from throughtime.data.recordings import Recording, recordings_of
from throughtime.data.sample_signals import ANOMALIES, injected, sample_signals
from throughtime.errors import ArgumentError, DataError
from throughtime.tasks.anomaly_baselines import PrincipalComponents, rolling_z_scores
from throughtime.tasks.anomaly_evaluation import detection_row
from throughtime.tasks.anomaly_scores import ScoreScale, mean_around, spans_of, step_errors, window_begins


@given(steps=st.integers(5, 200), window=st.integers(1, 40), hop=st.integers(1, 20))
@settings(max_examples=40)
def test_every_step_is_in_a_window_and_what_is_told_badly_has_that_error(steps: int, window: int, hop: int) -> None:
    window, hop = min(window, steps), min(hop, window)
    covered = np.zeros(steps, dtype=bool)
    for begin in window_begins(steps, window, hop):
        assert 0 <= begin <= steps - window
        covered[begin : begin + window] = True
    assert covered.all()
    values = np.arange(2.0 * steps).reshape(steps, 2)
    errors = step_errors(values, lambda windows: windows - np.array([1.0, -3.0]), window, hop)
    np.testing.assert_allclose(errors, np.tile([1.0, -3.0], (steps, 1)))


@given(values=st.lists(st.floats(-9, 9), min_size=1, max_size=30), length=st.integers(1, 12))
@settings(max_examples=40)
def test_the_mean_around_a_step_is_that_of_the_steps_around_it(values: list[float], length: int) -> None:
    found = mean_around(np.array(values), length)
    for step in range(len(values)):
        near = [value for place, value in enumerate(values) if -(length // 2) <= place - step <= (length - 1) // 2]
        assert found[step] == pytest.approx(np.mean(near), abs=1e-9)


def test_a_score_is_high_for_a_spike_a_shift_and_a_silence_and_low_else() -> None:
    generator = np.random.default_rng(0)
    normal = generator.normal(0, 2, (5_000, 1))
    scale = ScoreScale.of([normal], (12,))
    # Each of five numbers is above its limit at one of 100 steps.
    assert np.mean(scale.scores(normal) > 1) < 0.05
    odd = generator.normal(0, 2, (300, 1))
    odd[50] = 16
    odd[120:150] += 5
    odd[220:250] *= 0.02
    scores = scale.scores(odd)
    for steps in (slice(50, 51), slice(125, 145), slice(226, 244)):
        assert scores[steps].min() > 1.2
    # One spike doesn't make its neighbours odd.
    assert np.mean(scores[[*range(30, 50), *range(51, 110)]] > 1) < 0.06


def test_what_is_a_little_odd_for_long_is_seen_by_the_longer_mean() -> None:
    generator = np.random.default_rng(0)
    normal = generator.normal(0, 2, (5_000, 1))
    odd = generator.normal(0, 2, (600, 1))
    odd[200:400] *= 1.4
    labels = np.arange(600)
    labels = (labels >= 200) & (labels < 400)
    short, both = (roc_auc_score(labels, ScoreScale.of([normal], lengths).scores(odd)) for lengths in ((8,), (8, 60)))
    assert both > short + 0.05


@pytest.mark.parametrize("pace", [0.5, 2.0])
def test_another_pace_is_seen_by_its_roughness(pace: float) -> None:
    generator = np.random.default_rng(0)
    # A first-order autoregression: at half the pace and at twice it is as large as ever.
    noise, values = generator.normal(size=9_000), np.zeros(9_000)
    for step in range(1, len(noise)):
        values[step] = 0.8 * values[step - 1] + noise[step]
    normal, odd = values[:5_000, None], values[5_000:].copy()
    odd[1_000:1_500] = np.interp(1_000 + pace * np.arange(500), np.arange(4_000), odd)
    own, large, small, rough = ScoreScale.of([normal], (40,)).parts(odd[:, None])
    labels = (np.arange(4_000) >= 1_000) & (np.arange(4_000) < 1_500)
    found = [roc_auc_score(labels, part) for part in (own, large, small, rough)]
    assert found[3] > 0.8
    assert found[3] > max(found[:3]) + 0.2


def test_spans_join_what_is_near() -> None:
    values = np.zeros((20, 2))
    recording = Recording("pump", ("a", "b"), 100, values, np.ones_like(values, dtype=bool))
    scores = np.zeros(20)
    scores[[3, 4, 6, 15]] = [2, 5, 3, 4]
    channels = np.zeros(20, dtype=np.int64)
    channels[4] = 1
    spans = spans_of(recording, scores, channels, 1.0, gap=2, stamp=str)
    assert [(span.begin, span.end, span.first, span.last) for span in spans] == [
        (3, 7, "103", "106"),
        (15, 16, "115", "115"),
    ]
    assert (spans[0].peak, spans[0].peak_at, spans[0].channel, spans[0].steps) == (5, "104", "b", 4)
    assert spans_of(recording, scores, channels, 9.0, gap=2, stamp=str) == []


def test_a_rolling_z_score_is_that_of_the_window_before() -> None:
    values = np.random.default_rng(1).normal(size=(60, 2))
    scores = rolling_z_scores(values, 10)
    for step in (10, 37, 59):
        before = values[step - 10 : step]
        assert scores[step] == pytest.approx(np.abs((values[step] - before.mean(0)) / before.std(0)).max())
    assert not scores[:10].any()


def test_principal_components_tell_what_varies_in_few_ways() -> None:
    generator = np.random.default_rng(0)
    shapes = generator.normal(size=(2, 8))
    windows = (generator.normal(size=(200, 2)) @ shapes)[..., None]
    components = PrincipalComponents(windows)
    assert components.components == 2
    np.testing.assert_allclose(components(windows), windows, atol=1e-9)


def test_a_row_has_sklearns_figures_and_counts_stretches() -> None:
    labels = np.array([0, 1, 1, 0, 0, 1, 0, 1], dtype=bool)
    scores = np.array([0.1, 0.9, 0.2, 0.3, 0.8, 0.1, 0.2, 0.7])
    row = detection_row("name", 0.5, [scores[:5], scores[5:]], [labels[:5], labels[5:]])
    assert row.auroc == pytest.approx(roc_auc_score(labels, scores))
    assert row.f1 == pytest.approx(f1_score(labels, scores > 0.5))
    assert row.events == pytest.approx(2 / 3)
    assert detection_row("name", 0.5, [scores], None).auroc is None


@pytest.mark.parametrize("kind", ANOMALIES)
def test_faults_are_where_they_are_said_to_be(kind: str) -> None:
    values = np.sin(np.arange(1_000) / 4)
    changed, odd = injected(values, np.random.default_rng(0), (kind,) * 3, period=20)
    np.testing.assert_array_equal(changed[~odd], values[~odd])
    assert np.diff(odd.astype(int)).clip(0).sum() == 3
    assert odd.sum() == 3 if kind == "spike" else 60 <= odd.sum() <= 120
    assert not np.array_equal(changed, values)
    with pytest.raises(ArgumentError, match="`values` must have 243 steps for 3 anomalies, got 100"):
        injected(values[:100], np.random.default_rng(0), (kind,) * 3, period=20)


def test_series_that_begin_and_end_together_are_channels_of_one_recording() -> None:
    table = sample_signals(600, anomalies=1)
    together = recordings_of(table, label="anomaly")
    assert [one.channels for one in together] == [("current", "temperature")]
    assert together[0].values.shape == (600, 2)
    assert together[0].labels is not None
    assert together[0].labels.any()
    apart = recordings_of(table, together=False)
    assert [one.name for one in apart] == ["current", "temperature"]
    shorter = table.mapped(lambda one: one.between(one.first, one.end - (one.unique_id == "current")))
    assert len(recordings_of(shorter)) == 2
    with pytest.raises(DataError, match="don't begin and end together"):
        recordings_of(shorter, together=True)
