"""Recordings: what one or several channels measured, step by step, and where something was missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughtime.data.series import SeriesTable, filled
from throughtime.errors import DataError

MOST_TOGETHER = 64


@dataclass(frozen=True)
class Recording:
    """What was measured on one grid in time.

    Attributes:
        name: of the series, or of all that are read together.
        channels: their names.
        first: the position of the first step on the table's grid.
        values: shape (time, channel), float64; what is missing is as it was at the step before.
        present: shape (time, channel), bool: whether there was a number.
        labels: shape (time,), bool: whether the step is known to be odd; None where nobody says.
    """

    name: str
    channels: tuple[str, ...]
    first: int
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """How many steps."""
        return len(self.values)

    def between(self, begin: int, end: int) -> Recording:
        """Some of its steps, counted from 0."""
        labels = None if self.labels is None else self.labels[begin:end]
        values, present = self.values[begin:end], self.present[begin:end]
        return Recording(self.name, self.channels, self.first + begin, values, present, labels)


def recordings_of(table: SeriesTable, *, together: bool | None = None, label: str | None = None) -> list[Recording]:
    """The recordings of a table.

    Args:
        table: of series.
        together: whether the series are channels of one recording. By default they are where there are 2 to 64 of
            them, which all begin and end together.
        label: the covariate that says which steps are odd, as numbers: 0 for those that aren't.

    Raises:
        DataError: where series are to be read together that don't begin and end together, or the label is no number.
    """
    ends = {(one.first, one.end) for one in table.series}
    if together is None:
        together = len(ends) == 1 and 1 < len(table) <= MOST_TOGETHER
    if together and len(ends) > 1:
        raise DataError(f"{table.name}: has series that don't begin and end together, which can't be channels of one")
    groups = [table.series] if together else [(one,) for one in table.series]
    found: list[Recording] = []
    for group in groups:
        raw = np.stack([one.values for one in group], axis=1)
        labels = None
        if label is not None:
            said = group[0].covariates[label]
            if said.dtype == object:
                raise DataError(f"{table.name}: the labels in {label!r} must be numbers, 0 for what isn't odd")
            labels = np.nan_to_num(said.astype(np.float64)) != 0
        names = tuple(one.unique_id for one in group)
        values = np.stack([filled(one.values) for one in group], axis=1)
        name = ", ".join(names) if len(names) <= 3 else f"{len(names)} channels"
        found.append(Recording(name, names, group[0].first, values, ~np.isnan(raw), labels))
    return found
