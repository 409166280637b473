"""Sentences with their translations, as pairs that know where they stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from throughtime.data.examples import Examples, load_examples, save_examples
from throughtime.data.splits import Splits, splits_of
from throughtime.errors import ArgumentError, DataError, counted


class Pair(NamedTuple):
    """A sentence and its translation.

    Attributes:
        source: what is translated.
        target: what it is translated to.
        place: where it stood, such as "train.de:17".
    """

    source: str
    target: str
    place: str


@dataclass(frozen=True)
class ParallelText(Examples[Pair]):
    """Sentences with their translations; the attributes are those of all ``Examples``."""

    UNIT: ClassVar[str] = "pair"

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str], name: str = "sentences") -> ParallelText:
        """Make it from two lists of sentences.

        Raises:
            ArgumentError: where the lists are of different lengths, or a sentence is no string.
        """
        if len(sources) != len(targets):
            raise ArgumentError(f"`targets` must be as many as the sources, {len(sources)}, got {len(targets)}")
        pairs: list[Pair] = []
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if not isinstance(source, str) or not isinstance(target, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ArgumentError(f"each sentence must be a string, pair {number} has one that is not")
            pairs.append(Pair(source, target, f"{name}[{number}]"))
        return cls(tuple(pairs), name)

    @property
    def sources(self) -> list[str]:
        """All sentences that are translated."""
        return [pair.source for pair in self.examples]

    @property
    def targets(self) -> list[str]:
        """Their translations."""
        return [pair.target for pair in self.examples]

    def save(self, path: Path) -> None:
        """Write one JSON object a line."""
        save_examples(path, self.examples)

    @classmethod
    def load(cls, path: Path, name: str) -> ParallelText:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        return cls(load_examples(path, Pair), name)


def split_parallel(parts: dict[str, ParallelText], validation_pairs: int, *, seed: int) -> Splits[ParallelText]:
    """Take a validation part out of the training part where there is none.

    A sentence that occurs several times goes to one of the parts with all its translations, so that what is validated
    was not learned.

    Args:
        parts: what ``find_parallel`` found.
        validation_pairs: about how many are taken out, but never more than a tenth.
        seed: of the choice.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: _split_off(train, validation_pairs, seed))


def _split_off(text: ParallelText, count: int, seed: int) -> tuple[ParallelText, ParallelText]:
    wanted = min(count, len(text) // 10) or 1
    sources = list(dict.fromkeys(text.sources))
    if len(sources) < 2:
        raise DataError(f"{text.name}: has {len(sources)} different sentences, too few to keep one for validation")
    by_source: dict[str, int] = dict.fromkeys(sources, 0)
    for source in text.sources:
        by_source[source] += 1
    chosen: set[str] = set()
    taken = 0
    for place in np.random.default_rng((seed, len(text))).permutation(len(sources)).tolist():
        if taken >= wanted or len(chosen) == len(sources) - 1:
            break
        chosen.add(sources[place])
        taken += by_source[sources[place]]
    train = tuple(pair for pair in text.examples if pair.source not in chosen)
    valid = tuple(pair for pair in text.examples if pair.source in chosen)
    return replace(text, examples=train), ParallelText(valid, f"{counted(len(valid), 'pair')} of {text.name}")
