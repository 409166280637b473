"""Batches of questions about pictures, in which a picture that several are about stands once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from throughtime.data.frames import Frames
from throughtime.data.sequences import pad_sequences
from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import check_positive_integer
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class QuestionBatch:
    """Some questions about pictures.

    Attributes:
        pictures: shape (pictures, ...), each once.
        which: shape (batch,), int64, the picture of each question.
        questions: token ids, values of shape (time, batch), int64.
        targets: shape (batch, answers), float32, how right each answer is; None where it isn't known.
    """

    pictures: Tensor
    which: Tensor
    questions: SequenceBatch
    targets: Tensor | None = None


@dataclass(frozen=True)
class QuestionSequences:
    """Questions as a network gets them.

    Attributes:
        pictures: a row for each picture.
        rows: which picture each question is about, shape (questions,).
        questions: token ids of each, shape (length,).
        answers: for each question its answers' numbers and how right they are, shape (right answers,) both; empty
            where they aren't known.
        num_answers: how many answers there are.
    """

    pictures: Frames
    rows: Ids
    questions: Sequence[Ids]
    answers: Sequence[tuple[Ids, np.ndarray[tuple[int], np.dtype[np.float32]]]] = ()
    num_answers: int = 0

    def __len__(self) -> int:
        """How many questions."""
        return len(self.questions)

    def batch(self, chosen: Sequence[int]) -> QuestionBatch:
        """Some of the questions, with their pictures."""
        different, which = np.unique(self.rows[list(chosen)], return_inverse=True)
        targets = None
        if self.answers:
            targets = torch.zeros(len(chosen), self.num_answers)
            for row, question in enumerate(chosen):
                numbers, scores = self.answers[question]
                targets[row, torch.from_numpy(numbers)] = torch.from_numpy(scores)
        return QuestionBatch(
            self.pictures.batch(different.tolist()).values[0],
            torch.from_numpy(which),
            pad_sequences([self.questions[question] for question in chosen]),
            targets,
        )

    def batches(self, batch_size: int) -> Iterator[tuple[Ids, QuestionBatch]]:
        """All questions once, those about a picture together, and which they are."""
        order = np.argsort(self.rows, kind="stable")
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield chosen, self.batch(chosen.tolist())


class QuestionBatches(ShuffledBatches):
    """Questions with answers in random batches that can be made again from their epoch and index.

    The pictures of an epoch come in an order of its own, and with each picture a few of the questions about it, so that
    it is looked at once for all of these.

    Args:
        sequences: the questions.
        batch_size: questions of a batch, of each process.
        together: questions about a picture that come together, at most.
        seed: of the orders.
        rank: this process among ``world_size``, which share each batch out among them.
        world_size: how many processes train together.

    Raises:
        ArgumentError: for a number that cannot be, or where there are fewer questions than processes.
    """

    def __init__(
        self,
        sequences: QuestionSequences,
        *,
        batch_size: int,
        together: int = 4,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_positive_integer("batch_size", batch_size)
        check_positive_integer("together", together)
        super().__init__(len(sequences), seed=seed, rank=rank, world_size=world_size)
        self.sequences = sequences
        self.all_together = batch_size * world_size
        self.together = together
        whole, rest = divmod(len(sequences), self.all_together)
        self._length = whole + (rest >= world_size)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> QuestionBatch:
        """Make the batch at that place; see ``rows``."""
        return self.sequences.batch(self.rows(epoch, index))

    def draw(self, generator: np.random.Generator) -> list[Ids]:  # noqa: D102
        shuffled = generator.permutation(len(self.sequences))
        by_picture = shuffled[np.argsort(self.sequences.rows[shuffled], kind="stable")]
        pictures = self.sequences.rows[by_picture]
        first = np.flatnonzero(np.r_[True, pictures[1:] != pictures[:-1]])
        place = np.arange(len(pictures)) - np.repeat(first, np.diff(np.r_[first, len(pictures)]))
        # A group is a picture and some of its questions; groups come in random order.
        _, group = np.unique(np.stack([pictures, place // self.together]), axis=1, return_inverse=True)
        ranks = generator.permutation(int(group.max()) + 1)
        order = by_picture[np.argsort(ranks[group.reshape(-1)], kind="stable")]
        return [
            order[start : start + self.all_together]
            for start in range(0, self._length * self.all_together, self.all_together)
        ]
