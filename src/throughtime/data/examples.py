"""Examples in the order in which they were read, whatever an example is, and how a prepared part stands on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from throughtime.errors import ModelFolderError
from throughtime.files import write_text


class Placed(Protocol):
    """An example that knows where it stood."""

    @property
    def place(self) -> str:
        """Such as "reviews.csv:17"."""
        ...


ExampleT = TypeVar("ExampleT")
PlacedT = TypeVar("PlacedT", bound=Placed)


@dataclass(frozen=True)
class Examples(Generic[PlacedT]):
    """Examples in the order in which they were read.

    Attributes:
        UNIT: what one example is.
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
    """

    UNIT: ClassVar[str] = "example"

    examples: tuple[PlacedT, ...]
    name: str
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many examples."""
        return len(self.examples)

    @property
    def places(self) -> list[str]:
        """Where each example stood."""
        return [example.place for example in self.examples]

    def chosen(self, rows: Iterable[int]) -> Self:
        """These examples alone."""
        return replace(self, examples=tuple(self.examples[row] for row in rows), remarks=())

    def joined(self, *others: Self) -> Self:
        """These examples and then the others'."""
        parts = (self, *others)
        return replace(
            self,
            examples=tuple(example for part in parts for example in part.examples),
            name=", ".join(part.name for part in parts),
            remarks=tuple(remark for part in parts for remark in part.remarks),
        )


def save_examples(path: Path, examples: Iterable[Any], *, without: str | None = None) -> None:
    """Write named tuples, one JSON object a line.

    Args:
        path: of the file.
        examples: the named tuples.
        without: the field that stands in a file of its own.
    """
    rows = ({name: value for name, value in one._asdict().items() if name != without} for one in examples)
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def load_examples(path: Path, example: Callable[..., ExampleT]) -> tuple[ExampleT, ...]:
    """Read what ``save_examples`` wrote.

    Args:
        path: of the file.
        example: makes an example of its fields; lists come as tuples.

    Raises:
        ModelFolderError: where the file is missing or damaged.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return tuple(
            example(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
            for row in rows
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error
