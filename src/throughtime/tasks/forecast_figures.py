"""Pictures of forecasts: history, forecast and intervals of some series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from throughtime.appearance import save_figure
from throughtime.data.series import ID, TIME, SeriesTable

MOST_PANELS = 9
_HISTORY, _FORECAST, _ACTUAL = "#3b4754", "#c0392b", "#3b4754"


def plot_forecasts(
    table: SeriesTable,
    forecast: pl.DataFrame,
    path: Path,
    *,
    name: str,
    level: Sequence[float],
    history: int | None = None,
) -> None:
    """Draw the last steps of series, what is forecast after them, and the intervals, into a PNG or SVG file.

    Args:
        table: the series.
        forecast: a table as ``Forecaster.predict`` gives it.
        path: the file; its ending says the format.
        name: the column of the forecasts.
        level: of the intervals, in per cent.
        history: steps to show before the forecast; three horizons and at least three seasons by default.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    chosen = table.series[:MOST_PANELS]
    columns = 1 if len(chosen) == 1 else 2 if len(chosen) <= 4 else 3
    rows = -(-len(chosen) // columns)
    size = (9.5, 4.6) if len(chosen) == 1 else (5.2 * columns, 2.9 * rows + 0.4)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    panels: Any = np.atleast_1d(figure.subplots(rows, columns, squeeze=False).ravel())
    for panel, series in zip(panels, chosen, strict=False):
        own = forecast.filter(pl.col(ID) == series.unique_id)
        shown = history or max(3 * len(own), 3 * table.frequency.season if table.frequency.season < 400 else 0, 24)
        recent = series.between(series.end - shown, series.end)
        past = table.stamps(np.arange(recent.first, recent.end))
        future = own[TIME].to_numpy()
        if past.dtype.kind == "M":
            future = future.astype("datetime64[us]")
        panel.plot(past, recent.values, color=_HISTORY, linewidth=1.4, label="history")
        # The lines meet: the forecast begins where the history ends.
        joined = np.concatenate([past[-1:], future])
        for place, one in enumerate(sorted(level, reverse=True)):
            low, high = (
                np.concatenate([recent.values[-1:], own[f"{name}-{side}-{one:g}"].to_numpy()]) for side in ("lo", "hi")
            )
            panel.fill_between(
                joined, low, high, color=_FORECAST, alpha=0.14 + 0.1 * place, linewidth=0, label=f"{one:g} % interval"
            )
        point = np.concatenate([recent.values[-1:], own[name].to_numpy()])
        panel.plot(joined, point, color=_FORECAST, linewidth=2, label=f"forecast ({name})")
        panel.axvline(past[-1], color="#999999", linewidth=0.8, linestyle=":")
        panel.set_title(series.unique_id, fontsize=10, loc="left", fontweight="bold")
        _tidy(panel, past.dtype.kind == "M")
    for panel in panels[len(chosen) :]:
        panel.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    save_figure(figure, path)


def plot_backtest(frame: pl.DataFrame, path: Path, *, name: str, level: Sequence[float], dates: bool) -> None:
    """Draw what a backtest forecast beside what came, for the first series of it.

    Args:
        frame: a table with unique_id, ds, cutoff, y and the model's columns.
        path: the file.
        name: the column of the forecasts.
        level: of the intervals.
        dates: whether stamps are dates.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    first = frame[ID][0]
    own = frame.filter(pl.col(ID) == first)
    # Of origins that overlap, those are drawn that don't.
    kept: list[Any] = []
    reached: Any = None
    for cutoff in own["cutoff"].unique().sort():
        if reached is None or cutoff >= reached:
            kept.append(cutoff)
            reached = own.filter(pl.col("cutoff") == cutoff)[TIME].max()
    figure = Figure(figsize=(9.5, 4.6), dpi=130, layout="constrained")
    panel = figure.add_subplot()
    actual = own.unique(TIME).sort(TIME)
    panel.plot(actual[TIME].to_numpy(), actual["y"].to_numpy(), color=_ACTUAL, linewidth=1.4, label="what came")
    for number, cutoff in enumerate(kept):
        part = own.filter(pl.col("cutoff") == cutoff).sort(TIME)
        stamps = part[TIME].to_numpy()
        for place, one in enumerate(sorted(level, reverse=True)):
            low, high = (part[f"{name}-{side}-{one:g}"].to_numpy() for side in ("lo", "hi"))
            label = f"{one:g} % interval" if number == 0 else None
            panel.fill_between(stamps, low, high, color=_FORECAST, alpha=0.14 + 0.1 * place, linewidth=0, label=label)
        label = f"forecast ({name}), {len(part)} steps ahead each" if number == 0 else None
        panel.plot(stamps, part[name].to_numpy(), color=_FORECAST, linewidth=1.8, label=label)
    panel.set_title(f"Backtest of {first}", fontsize=11, loc="left", fontweight="bold")
    _tidy(panel, dates)
    panel.legend(frameon=False, fontsize=8, loc="upper left")
    save_figure(figure, path)


def _tidy(panel: Any, dates: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    panel.margins(x=0.01)
    if dates:
        locator = AutoDateLocator(minticks=4, maxticks=8)
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
