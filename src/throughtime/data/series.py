"""Series of numbers in time: their values on a grid, what goes along with them, and a table of many of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from throughtime.data.series_frequency import STEP, Frequency
from throughtime.errors import DataError, ModelFolderError
from throughtime.files import replacing, write_text

Values = NDArray[np.float64]
"""Numbers of shape (time,); NaN where one is missing."""

Covariate = NDArray[Any]
"""Numbers of shape (time,), float64 with NaN where one is missing, or texts, object with None."""

Role = Literal["past", "future"]

ID, TIME, TARGET = "unique_id", "ds", "y"
"""The names of the columns of a long table."""


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        unique_id: its name.
        first: the position of the first value on the table's grid.
        values: shape (time,), at every step from there; NaN where one is missing.
        covariates: what was known at each of these steps, by name.
        static: what is known of the series as a whole, by name: numbers or texts.
    """

    unique_id: str
    first: int
    values: Values
    covariates: dict[str, Covariate] = field(default_factory=dict[str, Covariate])
    static: dict[str, float | str] = field(default_factory=dict[str, float | str])

    def __len__(self) -> int:
        """How many steps."""
        return len(self.values)

    @property
    def end(self) -> int:
        """The position after the last value."""
        return self.first + len(self.values)

    @property
    def missing(self) -> int:
        """How many values are missing."""
        return int(np.isnan(self.values).sum())

    def between(self, begin: int, end: int) -> Series:
        """The steps from position ``begin`` to before ``end`` alone, as far as there are such."""
        start, stop = max(begin - self.first, 0), max(end - self.first, 0)
        covariates = {name: column[start:stop] for name, column in self.covariates.items()}
        return replace(self, first=max(self.first, begin), values=self.values[start:stop], covariates=covariates)


@dataclass(frozen=True)
class SeriesTable:
    """Series on one grid in time, with the same covariates.

    Attributes:
        series: one after the other.
        frequency: of the grid.
        roles: of the covariates, by name: "past" for what is known up to the present, "future" for what is known ahead.
        name: where they are from, for messages.
        remarks: what the reader found that the user should be told.
        time_zone: in which stamps are shown that are counted in UTC; None where stamps are as they stand.
        dates_only: whether stamps are shown without a time of day.
    """

    series: tuple[Series, ...]
    frequency: Frequency
    roles: dict[str, Role] = field(default_factory=dict[str, Role])
    name: str = "series"
    remarks: tuple[str, ...] = ()
    time_zone: str | None = None
    dates_only: bool = False

    def __len__(self) -> int:
        """How many series."""
        return len(self.series)

    @property
    def steps(self) -> int:
        """The values of all series together, missing ones included."""
        return sum(map(len, self.series))

    @property
    def shortest(self) -> int:
        """Steps of the shortest series."""
        return min(map(len, self.series))

    @property
    def longest(self) -> int:
        """Steps of the longest series."""
        return max(map(len, self.series))

    def names(self, role: Role) -> list[str]:
        """The covariates of a role."""
        return [name for name, own in self.roles.items() if own == role]

    def chosen(self, keep: Iterable[int]) -> SeriesTable:
        """These series alone, by their numbers."""
        return replace(self, series=tuple(self.series[number] for number in keep))

    def mapped(self, change: Callable[[Series], Series]) -> SeriesTable:
        """Each series changed; those of which nothing is left are left out.

        Raises:
            DataError: where nothing is left at all.
        """
        changed = tuple(new for new in map(change, self.series) if len(new))
        if not changed:
            raise DataError(f"{self.name}: no series has a value left; give longer ones")
        return replace(self, series=changed)

    def without_last(self, steps: int) -> SeriesTable:
        """Each series without its last values."""
        return self.mapped(lambda one: one.between(one.first, one.end - steps))

    def last(self, steps: int) -> SeriesTable:
        """The last values of each series alone."""
        return self.mapped(lambda one: one.between(one.end - steps, one.end))

    def stamps(self, positions: NDArray[Any]) -> NDArray[Any]:
        """The stamps of positions as they are shown: datetime64[us], in the time zone if there is one; or int64."""
        stamps = self.frequency.stamps(positions)
        if self.time_zone is None:
            return stamps
        column = pl.Series(stamps).dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone)
        return column.dt.replace_time_zone(None, ambiguous="earliest").to_numpy()

    def stamp(self, position: int) -> str:
        """The stamp of a position, for people to read."""
        stamp = self.stamps(np.array([position]))[0]
        if self.frequency.kind == STEP:
            return str(stamp)
        unit = "D" if self.dates_only else "s"
        return str(np.datetime_as_string(stamp, unit=unit)).replace("T", " ")

    def description(self) -> list[str]:
        """What there is, in lines for people to read: how many, from when to when, how often, what is missing."""
        first, end = min(one.first for one in self.series), max(one.end for one in self.series)
        lengths = f"{self.shortest:,}" if self.shortest == self.longest else f"{self.shortest:,} to {self.longest:,}"
        count = "1 series" if len(self) == 1 else f"{len(self):,} series"
        lines = [
            f"{self.name}: {count} of {lengths} values, {self.frequency.description}, "
            f"{self.stamp(first)} to {self.stamp(end - 1)}"
        ]
        missing = [one for one in self.series if one.missing]
        if missing:
            total = sum(one.missing for one in missing)
            worst = max(missing, key=lambda one: one.missing)
            where = f" in {len(missing):,} series, the most in {worst.unique_id} ({worst.missing:,})"
            lines.append(
                f"{total:,} values are missing ({total / self.steps:.1%}){where if len(self) > 1 else ''}; "
                "they are not learned from, and what is read in their place is the last value before"
            )
        static = list(self.series[0].static)
        parts = {"known ahead": self.names("future"), "known up to the present": self.names("past"), "static": static}
        lines += [f"{how}: {', '.join(names)}" for how, names in parts.items() if names]
        return [*lines, *self.remarks]

    def frame(self) -> pl.DataFrame:
        """The long table: unique_id, ds and y, then covariates and static ones."""
        positions = [np.arange(one.first, one.end) for one in self.series]
        columns: dict[str, Any] = {
            ID: [one.unique_id for one in self.series for _ in range(len(one))],
            TIME: self.stamps(np.concatenate(positions)),
            TARGET: np.concatenate([one.values for one in self.series]),
        }
        for name in self.roles:
            columns[name] = _column(np.concatenate([one.covariates[name] for one in self.series]))
        for name in self.series[0].static:
            columns[name] = [one.static[name] for one in self.series for _ in range(len(one))]
        return pl.DataFrame(columns, strict=False)

    def save(self, folder: Path) -> None:
        """Write series.parquet and series.json into a folder."""
        with replacing(folder / "series.parquet") as temporary:
            self.frame().drop(TIME).write_parquet(temporary)
        about = {
            "frequency": vars(self.frequency),
            "first": [one.first for one in self.series],
            "lengths": [len(one) for one in self.series],
            "roles": self.roles,
            "static": list(self.series[0].static),
            "name": self.name,
            "time_zone": self.time_zone,
            "dates_only": self.dates_only,
        }
        write_text(folder / "series.json", json.dumps(about, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> SeriesTable:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where a file is missing or damaged.
        """
        try:
            about = json.loads((folder / "series.json").read_text(encoding="utf-8"))
            frame = pl.read_parquet(folder / "series.parquet")
            return cls._of(about, frame)
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise ModelFolderError(f"{folder}: the prepared series are missing or damaged ({error})") from error

    @classmethod
    def _of(cls, about: dict[str, Any], frame: pl.DataFrame) -> SeriesTable:
        series: list[Series] = []
        place = 0
        for first, length in zip(about["first"], about["lengths"], strict=True):
            part = frame.slice(place, length)
            place += length
            covariates = {name: numbers_or_texts(part[name]) for name in about["roles"]}
            static = {name: part[name][0] for name in about["static"]}
            series.append(Series(part[ID][0], first, part[TARGET].to_numpy().copy(), covariates, static))
        roles = cast("dict[str, Role]", about["roles"])
        frequency = Frequency(**about["frequency"])
        return cls(tuple(series), frequency, roles, about["name"], (), about["time_zone"], about["dates_only"])


def numbers_or_texts(column: pl.Series) -> Covariate:
    """The values of a column: float64 with NaN, or objects with None."""
    if column.dtype == pl.String:
        return np.array(column.to_list(), dtype=object)
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def filled(values: Values) -> Values:
    """The values with each missing one replaced by the last before it; before the first value, by zero.

    Nothing is taken from later steps, so that what fills a gap was known at the time.

    >>> filled(np.array([np.nan, 2.0, np.nan, 4.0]))
    array([0., 2., 2., 4.])
    """
    known = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], 0.0)


def _column(values: Covariate) -> Sequence[Any] | Covariate:
    return values.tolist() if values.dtype == object else values
