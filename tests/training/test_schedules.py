from __future__ import annotations

import math
from typing import Any

import pytest

from throughtime.errors import ArgumentError
from throughtime.training import SCHEDULES, Moment, Schedule


def factor(
    name: str, fraction: float, *, epoch: int = 0, step: int = 100, reductions: int = 0, **options: Any
) -> float:
    return Schedule(name, **options).factor(Moment(fraction, epoch, step, reductions))


def test_shapes_over_the_run() -> None:
    for fraction in (0.0, 0.3, 0.5, 0.9, 1.0):
        assert factor("constant", fraction) == 1.0
        assert factor("linear", fraction) == pytest.approx(1 - fraction)
        assert factor("cosine", fraction) == pytest.approx(math.cos(math.pi * fraction / 2) ** 2)
        assert factor("trapezoid", fraction) == pytest.approx(min(1.0, 2 - 2 * fraction))


def test_the_exponential_schedule_is_that_of_zaremba() -> None:
    rates = [factor("exponential", 0.0, epoch=epoch) for epoch in range(7)]
    assert rates == [1, 1, 1, 1, 0.5, 0.25, 0.125]


def test_the_plateau_schedule_falls_with_each_validation_that_is_no_best() -> None:
    assert factor("plateau", 0.5, reductions=3, decay_rate=0.25) == 0.25**3


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_warmup_rises_linearly_from_the_first_step(name: str) -> None:
    whole = factor(name, 0.0, step=10**6, warmup=0)
    assert [factor(name, 0.0, step=step, warmup=4) for step in range(5)] == [
        pytest.approx(whole * share) for share in (0.25, 0.5, 0.75, 1, 1)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "cosin"}, "did you mean 'cosine'?"),
        ({"warmup": -1}, "`warmup` must be a number in"),
        ({"decay_rate": 0}, r"`decay_rate` must be a number in \(0, 1\]"),
        ({"decay_after": -2}, "`decay_after` must be a number in"),
    ],
)
def test_what_makes_no_schedule_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Schedule(**options)
