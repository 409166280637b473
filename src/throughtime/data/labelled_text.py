"""Texts with their labels, as rows that know where they stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from throughtime.data.examples import load_examples, save_examples
from throughtime.data.labelled_examples import LabelledExamples
from throughtime.errors import ArgumentError


class Example(NamedTuple):
    """A text and its labels.

    Attributes:
        text: as it was read.
        labels: one, or any number where a text may have several or none.
        place: where it stood, such as "reviews.csv:17".
    """

    text: str
    labels: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class LabelledText(LabelledExamples[Example]):
    """Texts with their labels; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "text"

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[object], name: str = "texts") -> LabelledText:
        """Make it from two lists; each label is a string or a number, or a list of them.

        Raises:
            ArgumentError: where the lists are of different lengths, or a text is no string.
        """
        if len(texts) != len(labels):
            raise ArgumentError(f"`labels` must be as many as the texts, {len(texts)}, got {len(labels)}")
        examples: list[Example] = []
        for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ArgumentError(f"each of `texts` must be a string, number {number} is {type(text).__name__}")
            several = label if isinstance(label, list | tuple | set | frozenset) else (label,)
            examples.append(Example(text, tuple(map(str, several)), f"{name}[{number}]"))
        return cls(tuple(examples), name)

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [example.text for example in self.examples]

    def save(self, path: Path) -> None:
        """Write one JSON object a line."""
        save_examples(path, self.examples)

    @classmethod
    def load(cls, path: Path, name: str) -> LabelledText:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, Example), name)
