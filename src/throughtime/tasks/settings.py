"""What all tasks' settings share: frozen, typed, and strict about names and values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from throughtime.errors import ArgumentError


class TaskSettings(BaseModel):
    """Base of the settings of a task; each field is a keyword argument in Python and a flag on the command line.

    Attributes:
        RESUMABLE: the settings that may change when a run is resumed.
    """

    RESUMABLE: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Make settings from keyword arguments.

        Raises:
            ArgumentError: for a name that doesn't exist or a value that can't be used.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise ArgumentError(explain(error, list(cls.model_fields))) from error

    def replaced(self, **values: object) -> Self:
        """The same settings with some values changed."""
        return self.of({**self.model_dump(exclude_unset=True), **values})


def explain(error: ValidationError, valid_names: list[str]) -> str:
    """The first thing that pydantic found wrong, in one sentence.

    Args:
        error: what pydantic raised.
        valid_names: the names of all settings, to suggest from.
    """
    first = error.errors()[0]
    # Of a value within a list, pydantic says which, too.
    name = str(next((part for part in reversed(first["loc"]) if isinstance(part, str)), "settings"))
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, valid_names, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(valid_names)}"
        return f"there is no setting `{name}`{hint}"
    wanted = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "value_error":
        return f"`{name}`: {wanted}" if first["loc"] and not wanted.startswith(f"`{name}`") else wanted
    return f"`{name}` must be {wanted}, got {first['input']!r}"


_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Seconds of a duration such as "90s", "10m" or "1h30m"; a bare number is seconds.

    >>> parse_duration("1h30m"), parse_duration("2.5m"), parse_duration("45")
    (5400.0, 150.0, 45.0)

    Raises:
        ValueError: where the text is not a positive duration.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text:
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a duration is written like 90s, 10m or 1h30m, got {text!r}")
    return seconds


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]
"""A setting that is a duration as people write it; see ``parse_duration``."""

Probability = Annotated[float, Field(ge=0, lt=1)]
"""A setting that is the probability of dropping something, or the like; never 1."""

Positive = Annotated[int, Field(ge=1)]
"""A setting that counts something of which there is at least one."""
