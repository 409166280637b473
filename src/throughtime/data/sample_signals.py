"""Generated signals of a machine, and ways in which sensors and machines go wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series import Series, SeriesTable
from throughtime.data.series_frequency import SPAN, Frequency
from throughtime.errors import ArgumentError, check_choice, check_positive_integer

Numbers = NDArray[np.float64]

ANOMALIES = ("spike", "level shift", "frozen sensor", "changed rhythm")
"""What ``injected`` can do to a signal."""
_HOUR = 3_600_000_000
_FIRST = 473_352  # 1 January 2024, in hours since 1970


def sample_signals(steps: int = 3_000, *, seed: int = 0, anomalies: int = 0) -> SeriesTable:
    """The current and the temperature of a machine that runs in cycles of about a day, a number each hour.

    Args:
        steps: how many hours.
        seed: of everything random.
        anomalies: how many of each kind are put in; where there are any, a covariate "anomaly" says where.

    Raises:
        ArgumentError: where ``steps`` is no positive integer.
    """
    check_positive_integer("steps", steps)
    generator = np.random.default_rng(seed)
    pace = 2 * np.pi / 24 * (1 + 0.05 * np.sin(np.arange(steps) / 200))
    phase = np.cumsum(pace) + generator.uniform(0, 2 * np.pi)
    current = 10 + 3 * np.clip(np.sin(phase), -0.3, 1) + 0.8 * np.sin(3 * phase) + generator.normal(0, 0.25, steps)
    slow = np.convolve(np.sin(phase - 0.8), np.ones(5) / 5, mode="same")
    temperature = 60 + 4 * slow + generator.normal(0, 0.4, steps)
    labels = np.zeros(steps, dtype=bool)
    if anomalies:
        kinds = ANOMALIES * anomalies
        current, labels = injected(current, generator, kinds, period=24)
    covariates = {"anomaly": labels.astype(np.float64)} if anomalies else {}
    series = tuple(
        Series(name, _FIRST, values.round(3), covariates)
        for name, values in (("current", current), ("temperature", temperature))
    )
    roles = {"anomaly": "past"} if anomalies else {}
    return SeriesTable(series, Frequency(SPAN, _HOUR), roles, "generated signals of a machine")  # pyright: ignore[reportArgumentType]


def injected(
    values: Numbers, generator: np.random.Generator, kinds: tuple[str, ...], *, period: int
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Put anomalies into a signal, at places of which no two overlap.

    Args:
        values: shape (time,).
        generator: draws places, signs and sizes.
        kinds: one for each anomaly: "spike", a single step 4 to 8 deviations off; "level shift", 1 to 2 periods 1.5
            to 3 deviations off; "frozen sensor", as long at the value that it had; "changed rhythm", as long at half or
            twice the pace.
        period: steps of a cycle.

    Returns:
        The signal, and whether each step is odd, shape (time,).

    Raises:
        ArgumentError: for another kind, or where the signal is too short.
    """
    changed, odd = values.copy(), np.zeros(len(values), dtype=bool)
    deviation = float(values.std())
    room = len(values) // len(kinds)
    if room <= 4 * period:
        needed = (4 * period + 1) * len(kinds)
        raise ArgumentError(f"`values` must have {needed} steps for {len(kinds)} anomalies, got {len(values)}")
    for number, kind in enumerate(kinds):
        check_choice("kind", kind, ANOMALIES)
        length = 1 if kind == "spike" else int(generator.integers(period, 2 * period + 1))
        begin = number * room + period + int(generator.integers(0, room - 4 * period))
        end, sign = begin + length, float(generator.choice([-1, 1]))
        if kind == "spike":
            changed[begin] += sign * generator.uniform(4, 8) * deviation
        elif kind == "level shift":
            changed[begin:end] += sign * generator.uniform(1.5, 3) * deviation
        elif kind == "frozen sensor":
            changed[begin:end] = changed[begin]
        else:
            pace = generator.choice([0.5, 2.0])
            steps = begin + pace * np.arange(length)
            changed[begin:end] = np.interp(steps, np.arange(len(values)), values)
        odd[begin:end] = True
    return changed, odd
