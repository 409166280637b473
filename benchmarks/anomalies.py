"""AUROC of the recurrent autoencoder beside a rolling z-score and principal components, on real series with faults.

Into the last part of a series, which the model hasn't seen, go spikes, level shifts, frozen sensors and changes of
rhythm (``data.sample_signals.injected``), at places and in sizes that each seed draws anew. The model learns from the
part before. Give the file of a series, a name for its column, and the steps of a cycle:

    python benchmarks/anomalies.py daily-min-temperatures.csv --period 28 --seeds 3
    python benchmarks/anomalies.py pollution.csv --target pm2.5 --period 48 --steps 12000
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from throughtime import AnomalyDetector
from throughtime.data.sample_signals import ANOMALIES, injected
from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_columns import SeriesColumns
from throughtime.data.series_files import read_series

TEST_SHARE = 0.35
METHODS = ("autoencoder", "rolling z-score", "principal components")


def with_faults(table: SeriesTable, kinds: tuple[str, ...], period: int, seed: int) -> SeriesTable:
    one = table.series[0]
    known = one.values.copy()
    known[np.isnan(known)] = np.nanmedian(known)
    values, odd = injected(known, np.random.default_rng(seed), kinds, period=period)
    changed = Series(one.unique_id, one.first, values, {"anomaly": odd.astype(np.float64)})
    return replace(table, series=(changed,), roles={"anomaly": "past"})


def aurocs(model: AnomalyDetector, test: SeriesTable, kinds: tuple[str, ...], period: int, seed: int) -> list[float]:
    rows = model.detect(with_faults(test, kinds, period, seed), label="anomaly").rows
    return [row.auroc or 0.0 for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", default=None)
    parser.add_argument("--period", type=int, default=28)
    parser.add_argument("--steps", type=int, default=None, help="the last steps of the series alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1_500)
    given = parser.parse_args()
    table = read_series(given.data, SeriesColumns(target=() if given.target is None else (given.target,)))
    table = replace(table.chosen([0]), roles={}).mapped(lambda one: replace(one, covariates={}))
    table = table if given.steps is None else table.last(given.steps)
    test = table.last(round(TEST_SHARE * table.longest))
    train = table.without_last(test.longest)
    count = max(1, test.longest // (5 * given.period) // len(ANOMALIES))
    found: dict[str, list[list[float]]] = defaultdict(list)
    for seed in range(given.seeds):
        model = AnomalyDetector.fit(train, seed=seed, steps=given.updates)
        for kind in ANOMALIES:
            found[kind].append(aurocs(model, test, (kind,) * count, given.period, 100 + seed))
        found["all four"].append(aurocs(model, test, ANOMALIES * count, given.period, 100 + seed))
        print(f"seed {seed}: {model.name}, window {model.window}, {found['all four'][-1]}", flush=True)
    shown = Table(
        title=f"{given.data.name}: AUROC, {given.seeds} seeds, {count} faults of each kind in {test.longest:,} steps"
    )
    shown.add_column("fault")
    for method in METHODS:
        shown.add_column(method, justify="right")
    for kind, rows in found.items():
        mean, deviation = np.mean(rows, axis=0), np.std(rows, axis=0)
        shown.add_row(kind, *(f"{m:.3f} ± {d:.3f}" for m, d in zip(mean, deviation, strict=True)))
    Console(width=100).print(shown)


if __name__ == "__main__":
    main()
