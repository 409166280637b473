"""Fills in the settings of a forecaster that the user left open."""

from __future__ import annotations

import numpy as np

from throughtime.data.series import SeriesTable
from throughtime.data.series_frequency import MONTHS, STEP, Frequency
from throughtime.errors import DataError
from throughtime.tasks.forecasting_settings import Settings
from throughtime.training import Processes, choose_precision

LONGEST_SEASON = 1000
LONGEST_WINDOW = 512
MOST_CONTEXT = 48


def size_settings(settings: Settings, table: SeriesTable, processes: Processes) -> Settings:
    """Fill in what the user left open, but for the window, which ``start_linear`` chooses.

    Raises:
        DataError: where the series are too short for what is asked.
    """
    lengths = np.array([len(one) for one in table.series])
    usual = int(np.median(lengths))
    season = settings.season or _season(table.frequency, usual)
    horizon = settings.horizon or default_horizon(table.frequency)
    if table.longest < 2 * horizon + 2:
        raise DataError(
            f"{table.name}: its longest series has {table.longest} values, too few to learn to forecast {horizon} "
            f"steps; give at least {2 * horizon + 2}, or a smaller `horizon`"
        )
    validation = settings.validation or _validation(usual, horizon)
    learned = max(usual - validation, 4)
    context = settings.context or int(np.clip(learned - horizon - 2, 2, MOST_CONTEXT))
    values = int(lengths.sum())
    changes: dict[str, object] = {
        "season": season,
        "horizon": horizon,
        "validation": validation,
        "context": min(context, max(2, learned - 2)),
        "hidden_size": settings.hidden_size or _hidden_size(values),
        "members": settings.members or (1 if settings.network == "linear" else 4 if values < 20_000 else 2),
        "precision": choose_precision(settings.precision, processes.device),
    }
    if settings.is_open_ended:
        changes["steps"] = 500 if values < 20_000 else 1000
    return settings.replaced(**changes)


def default_horizon(frequency: Frequency) -> int:
    """The horizon of the M4 competition for data of this frequency (Makridakis et al. 2020).

    >>> default_horizon(Frequency(MONTHS)), default_horizon(Frequency(MONTHS, 3))
    (18, 8)
    """
    if frequency.kind == STEP:
        return 12
    if frequency.kind == MONTHS:
        return {1: 18, 3: 8, 12: 6}.get(frequency.size, 8)
    season = frequency.season
    return {7: 14, 5: 10, 52: 13}.get(season, 2 * season if 1 < season <= 96 else 48)


def window_lengths(settings: Settings, table: SeriesTable) -> list[int]:
    """The lengths of the window to choose from: some seasons, as far as the series are long enough."""
    if settings.window is not None:
        return [settings.window]
    season, horizon = settings.complete("season"), settings.steps_ahead
    usual = int(np.median([len(one) for one in table.series])) - settings.complete("validation")
    longest = max(2, min(LONGEST_WINDOW, max((usual - horizon) // 2, min(2 * season, usual - 3))))
    unit = season if season > 1 else max(4, horizon // 2)
    wanted = {unit + 1, 2 * unit, 3 * unit, 4 * unit, 8 * unit, 14 * unit}
    found = sorted(length for length in wanted if length <= longest)
    return found or [longest]


def _hidden_size(values: int) -> int:
    """Fewer units where there is less to learn from."""
    return 16 if values < 1000 else 32 if values < 10_000 else 64


def _season(frequency: Frequency, usual: int) -> int:
    """The season of the frequency, where the series show it at least twice."""
    season = frequency.season
    return season if season <= LONGEST_SEASON and usual >= 2 * season + 2 else 1


def _validation(usual: int, horizon: int) -> int:
    """A tenth of the series, and at least two horizons, as far as three quarters are left to learn from."""
    return max(1, min(max(2 * horizon, usual // 10), usual // 4))
