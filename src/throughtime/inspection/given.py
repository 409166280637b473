"""What a model is to be looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from throughtime.errors import ArgumentError


@dataclass(frozen=True)
class Given:
    """What is looked at in place of a model's own data.

    Attributes:
        texts: texts, sentences, words or questions.
        files: pictures, videos, or tables of series.
    """

    texts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def check(self, reads: str, *, texts: bool, files: bool) -> None:
        """Raise ArgumentError where a model that reads this, in words, is given something else."""
        if self.texts and not texts:
            raise ArgumentError(f"this model reads {reads}; leave out --text and --file, and give some by --input")
        if self.files and not files:
            raise ArgumentError(f"this model reads {reads}; leave out --input, and give some by --text or --file")
