"""Sequences of numbers with their labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors.numpy import save

from throughtime.data.labelled_examples import LabelledExamples
from throughtime.data.tokenizer import Ids
from throughtime.errors import ArgumentError, DataError, ModelFolderError
from throughtime.files import replacing
from throughtime.sequence import SequenceBatch

Numbers = npt.NDArray[Any]
"""A sequence of numbers, shape (time, channel): float32, or uint8 for pixels."""


class SequenceExample(NamedTuple):
    """A sequence of numbers and its labels.

    Attributes:
        values: shape (time, channel).
        labels: one, or any number where a sequence may have several or none.
        place: where it stood, such as "gestures.csv:17".
    """

    values: Numbers
    labels: tuple[str, ...]
    place: str


@dataclass(frozen=True)
class LabelledSequences(LabelledExamples[SequenceExample]):
    """Sequences of numbers with their labels, in the order in which they were read.

    Attributes:
        examples: all of them.
        name: where they are from, for messages.
        remarks: what is to be told about how they were read.
        channels: the names of the numbers of a step.
        alike: whether all channels measure the same in the same unit, as pixels do.
    """

    UNIT: ClassVar[str] = "sequence"

    channels: tuple[str, ...] = ()
    alike: bool = False

    @classmethod
    def of(
        cls,
        sequences: Sequence[npt.ArrayLike] | npt.NDArray[Any],
        labels: Sequence[object],
        name: str = "sequences",
        *,
        channels: Sequence[str] | None = None,
        alike: bool = False,
    ) -> LabelledSequences:
        """Make it from two lists.

        Args:
            sequences: numbers of shape (time, channel), or (time,) for a single channel, each of its own length.
            labels: a string or a number for each, or a list of them.
            name: for messages.
            channels: their names; "1", "2" and so on by default.
            alike: whether all channels measure the same.

        Raises:
            ArgumentError: where the lists don't go together, or a sequence is no sequence of numbers.
        """
        if len(sequences) != len(labels):
            raise ArgumentError(f"`labels` must be as many as the sequences, {len(sequences)}, got {len(labels)}")
        examples: list[SequenceExample] = []
        for number, (sequence, label) in enumerate(zip(sequences, labels, strict=True)):
            place = f"{name}[{number}]"
            several = label if isinstance(label, list | tuple | set | frozenset) else (label,)
            examples.append(SequenceExample(checked_numbers(sequence, place), tuple(map(str, several)), place))
        return with_channels(examples, name, channels, alike=alike)

    def joined(self, *others: Any) -> Self:
        """These sequences and then the others'.

        Raises:
            DataError: where they have another number of channels.
        """
        check_same_channels([self, *others])
        return super().joined(*others)

    @property
    def sequences(self) -> NumericSequences:
        """The numbers alone, to make batches of."""
        return NumericSequences([example.values for example in self.examples])

    def save(self, path: Path) -> None:
        """Write the numbers one after the other, and what is known about them, into a safetensors file."""
        rows = [(example.labels, example.place) for example in self.examples]
        about = {"rows": json.dumps(rows), "channels": json.dumps(self.channels), "alike": json.dumps(self.alike)}
        arrays = {
            "values": np.concatenate([example.values for example in self.examples]),
            "lengths": np.array([len(example.values) for example in self.examples], dtype=np.int64),
        }
        with replacing(path) as temporary:
            temporary.write_bytes(save(arrays, about))

    @classmethod
    def load(cls, path: Path, name: str) -> LabelledSequences:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where the file is missing or damaged.
        """
        try:
            with safetensors.safe_open(path, "numpy") as file:
                about: dict[str, str] = file.metadata()
                values, lengths = file.get_tensor("values"), file.get_tensor("lengths")
            parts = np.split(values, np.cumsum(lengths)[:-1])
            rows = json.loads(about["rows"])
            examples = tuple(
                SequenceExample(part, tuple(labels), place) for part, (labels, place) in zip(parts, rows, strict=True)
            )
            return cls(examples, name, channels=tuple(json.loads(about["channels"])), alike=json.loads(about["alike"]))
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise ModelFolderError(f"{path}: the prepared data is missing or damaged ({error})") from error


def check_same_channels(parts: Sequence[LabelledSequences | None]) -> None:
    """Raise DataError where one has another number of channels than the first."""
    first = parts[0]
    for other in parts[1:]:
        if first is not None and other is not None and len(other.channels) != len(first.channels):
            raise DataError(
                f"{other.name}: has {len(other.channels)} numbers a step, and {first.name} has {len(first.channels)}"
            )


class NumericSequences:
    """Sequences of numbers that can be put side by side.

    Args:
        sequences: shape (time, channel) each.
    """

    def __init__(self, sequences: Sequence[Numbers]) -> None:
        self.sequences = sequences
        self.lengths: Ids = np.array([len(sequence) for sequence in sequences], dtype=np.int64)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.sequences)

    def batch(self, rows: Sequence[int]) -> SequenceBatch:
        """Some of them, values of shape (time, batch, channel), with zeros after their ends."""
        chosen = [self.sequences[row] for row in rows]
        lengths = self.lengths[list(rows)]
        if (lengths == lengths[0]).all():
            return SequenceBatch(torch.from_numpy(np.stack(chosen, axis=1)))
        values = np.zeros((lengths.max(), len(chosen), chosen[0].shape[1]), dtype=chosen[0].dtype)
        for column, sequence in enumerate(chosen):
            values[: len(sequence), column] = sequence
        return SequenceBatch(torch.from_numpy(values), torch.from_numpy(lengths))


def checked_numbers(sequence: npt.ArrayLike, place: str) -> Numbers:
    """Numbers of shape (time, channel): uint8 as it is, all else as float32.

    Raises:
        ArgumentError: naming the place, where these are no numbers, or none, or one isn't finite.
    """
    try:
        values = np.asarray(sequence)
        if values.dtype != np.uint8:
            values = values.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{place}: must be numbers, as many at each step ({error})") from error
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or 0 in values.shape:
        raise ArgumentError(f"{place}: must be numbers of shape (time,) or (time, channel), got {values.shape}")
    if values.dtype != np.uint8 and not np.isfinite(values).all():
        step = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ArgumentError(f"{place}: must be finite numbers, step {step + 1} has {values[step].tolist()}")
    return values


def with_channels(
    examples: Sequence[SequenceExample], name: str, channels: Sequence[str] | None, *, alike: bool = False
) -> LabelledSequences:
    """Examples as ``LabelledSequences``, after a look whether all have as many channels.

    Raises:
        ArgumentError: naming the place, where one has another number of channels.
    """
    count = len(channels) if channels else examples[0].values.shape[1] if examples else 0
    for example in examples:
        if example.values.shape[1] != count:
            raise ArgumentError(f"{example.place}: has {example.values.shape[1]} numbers a step, the others {count}")
    names = tuple(channels) if channels else tuple(str(number + 1) for number in range(count))
    return LabelledSequences(tuple(examples), name, channels=names, alike=alike)
