"""The training, validation and test parts of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from throughtime.errors import ArgumentError, DataError

PARTS = ("train", "valid", "test")
"""The names of the parts."""

Part = TypeVar("Part")
Part_co = TypeVar("Part_co", covariant=True)


@dataclass(frozen=True)
class Splits(Generic[Part_co]):
    """The parts of a data set; ``test`` is None where there is none."""

    train: Part_co
    valid: Part_co
    test: Part_co | None = None

    def parts(self) -> dict[str, Part_co]:
        """The parts that there are, by name."""
        parts = {"train": self.train, "valid": self.valid}
        return parts if self.test is None else {**parts, "test": self.test}


class Prepared(Protocol):
    """A part that says where it is from and can be written to a file."""

    @property
    def name(self) -> str:
        """Where it is from, for messages."""
        ...

    def save(self, path: Path) -> None:
        """Write it."""
        ...


PreparedPart = TypeVar("PreparedPart", bound=Prepared)


class Joinable(Protocol):
    """A part that others can be added to."""

    def joined(self, *others: Self) -> Self:
        """This part and then the others."""
        ...


JoinablePart = TypeVar("JoinablePart", bound=Joinable)


def joined_parts(found: Mapping[str, Sequence[JoinablePart]]) -> dict[str, JoinablePart]:
    """Parts of which pieces were found, each joined; a single part, whatever it is called, is all there is: train."""
    joined = {part: several[0].joined(*several[1:]) for part, several in found.items()}
    return {"train": next(iter(joined.values()))} if len(joined) == 1 else joined


def splits_of(
    parts: Mapping[str, PreparedPart], split_off: Callable[[PreparedPart], tuple[PreparedPart, PreparedPart]]
) -> Splits[PreparedPart]:
    """Take a validation part out of the training part where there is none.

    Args:
        parts: those that were found, by name: train, valid, test.
        split_off: divides a training part into one to learn from and one to validate on.

    Raises:
        DataError: where there is no training part, or ``split_off`` finds it too small.
    """
    if "train" not in parts:
        names = ", ".join(part.name for part in parts.values())
        raise DataError(f"{names}: there is no training part; give a file or folder that is called train, too")
    train, valid = parts["train"], parts.get("valid")
    if valid is None:
        train, valid = split_off(train)
    return Splits(train, valid, parts.get("test"))


def chosen_part(parts: Mapping[str, Part], part: str | None) -> Part:
    """The part that is asked for; if None, test, or else the first that there is.

    Raises:
        ArgumentError: where there is no such part.
    """
    name = part or ("test" if "test" in parts else next(iter(parts)))
    if name not in parts:
        raise ArgumentError(f"`part` must be one of those in the data, {', '.join(parts)}, got {name!r}")
    return parts[name]


def save_splits(splits: Splits[PreparedPart], folder: Path, *, suffix: str = ".jsonl") -> None:
    """Write each part into a folder, as a file named after it with that suffix."""
    for name, part in splits.parts().items():
        part.save(folder / f"{name}{suffix}")


def load_splits(folder: Path, load: Callable[[Path, str], Part], *, suffix: str = ".jsonl") -> Splits[Part]:
    """Read what ``save_splits`` wrote.

    Args:
        folder: where it stands.
        load: reads the part of a path and a name.
        suffix: that the files were given.

    Raises:
        ModelFolderError: from ``load``, where a part is missing or damaged.
    """
    train, valid, test = (folder / f"{part}{suffix}" for part in PARTS)
    return Splits(load(train, "train"), load(valid, "valid"), load(test, "test") if test.exists() else None)
