"""Sentences with their translations, as pairs that know where they stood."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from throughtime.data.splits import Splits, splits_of
from throughtime.errors import ArgumentError, DataError, ModelFolderError, counted
from throughtime.files import write_text


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
class ParallelText:
    """Pairs in the order in which they were read.

    Attributes:
        pairs: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
    """

    pairs: tuple[Pair, ...]
    name: str
    remarks: tuple[str, ...] = ()

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

    def __len__(self) -> int:
        """Pairs."""
        return len(self.pairs)

    @property
    def sources(self) -> list[str]:
        """All sentences that are translated."""
        return [pair.source for pair in self.pairs]

    @property
    def targets(self) -> list[str]:
        """Their translations."""
        return [pair.target for pair in self.pairs]

    def joined(self, *others: ParallelText) -> ParallelText:
        """This text and others, one after the other."""
        texts = (self, *others)
        return ParallelText(
            tuple(pair for text in texts for pair in text.pairs),
            ", ".join(text.name for text in texts),
            tuple(remark for text in texts for remark in text.remarks),
        )

    def save(self, path: Path) -> None:
        """Write one JSON list a line: source, target, place."""
        write_text(path, "".join(json.dumps(list(pair), ensure_ascii=False) + "\n" for pair in self.pairs))

    @classmethod
    def load(cls, path: Path, name: str) -> ParallelText:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
            return cls(tuple(Pair(*map(str, row)) for row in rows), name)
        except (OSError, ValueError, TypeError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error


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
    train = tuple(pair for pair in text.pairs if pair.source not in chosen)
    valid = tuple(pair for pair in text.pairs if pair.source in chosen)
    return replace(text, pairs=train), ParallelText(valid, f"{counted(len(valid), 'pair')} of {text.name}")
