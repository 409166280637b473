"""How the learning rate moves during a run: a factor between 0 and 1 on the rate that was set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from throughtime.errors import check_choice, check_range


@dataclass(frozen=True)
class Moment:
    """Where in its run a training stands.

    Attributes:
        fraction: of the run's steps, or of its time budget, that is done; from 0 to 1.
        epoch: whole passes over the data so far, from 0.
        step: updates so far, from 0.
        reductions: how often the validation loss has stopped falling (the plateau schedule counts them).
    """

    fraction: float
    epoch: int
    step: int
    reductions: int = 0


def _cosine(moment: Moment, _: Schedule) -> float:
    return 0.5 * (1 + math.cos(math.pi * moment.fraction))


def _linear(moment: Moment, _: Schedule) -> float:
    return 1 - moment.fraction


def _constant(_: Moment, __: Schedule) -> float:
    return 1.0


def _trapezoid(moment: Moment, _: Schedule) -> float:
    return min(1.0, (1 - moment.fraction) / 0.5)


def _exponential(moment: Moment, schedule: Schedule) -> float:
    return schedule.decay_rate ** max(moment.epoch + 1 - schedule.decay_after, 0)


def _plateau(moment: Moment, schedule: Schedule) -> float:
    return schedule.decay_rate**moment.reductions


SCHEDULES: dict[str, Callable[[Moment, Schedule], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "linear": _linear,
    "trapezoid": _trapezoid,
    "exponential": _exponential,
    "plateau": _plateau,
}


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule, a function of the moment alone, so that a resumed run takes the same rates.

    Attributes:
        name: constant; cosine (Loshchilov & Hutter 2017) or linear, to zero at the end of the run; trapezoid:
            constant, then linear to zero over the second half; exponential: constant for ``decay_after`` epochs,
            then times ``decay_rate`` at each epoch (Zaremba et al. 2014); plateau: times ``decay_rate``
            whenever a validation does not improve on the best.
        warmup: steps over which the rate rises linearly from zero.
        decay_rate: the factor of exponential and plateau, in (0, 1].
        decay_after: epochs before the exponential decay begins.

    Raises:
        ArgumentError: for an unknown name or a number out of range.
    """

    name: str = "cosine"
    warmup: int = 0
    decay_rate: float = 0.5
    decay_after: int = 4

    def __post_init__(self) -> None:
        check_choice("schedule", self.name, SCHEDULES)
        check_range("warmup", self.warmup, low=0)
        check_range("decay_rate", self.decay_rate, low=0, high=1, low_open=True)
        check_range("decay_after", self.decay_after, low=0)

    def factor(self, moment: Moment) -> float:
        """The factor on the learning rate for the update that comes next."""
        warm = min(1.0, (moment.step + 1) / self.warmup) if self.warmup else 1.0
        return warm * SCHEDULES[self.name](moment, self)
