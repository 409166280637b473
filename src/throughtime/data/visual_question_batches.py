"""Batches of questions about pictures, in which a picture that several are about stands once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from throughtime.data.example_batches import ExampleBatch
from throughtime.data.frames import Frames
from throughtime.data.pair_batches import PairBatch
from throughtime.data.sentence_tokenizer import with_ends
from throughtime.data.sequences import pad_sequences
from throughtime.data.shuffled_batches import ShuffledBatches
from throughtime.data.tokenizer import Ids
from throughtime.errors import check_positive_integer
from throughtime.sequence import QuestionBatch


@dataclass(frozen=True)
class QuestionSequences:
    """Questions as a network gets them.

    Attributes:
        pictures: a row for each picture.
        rows: which picture each question is about, shape (questions,).
        questions: token ids of each, shape (length,).
    """

    pictures: Frames
    rows: Ids
    questions: Sequence[Ids]

    def __len__(self) -> int:
        """How many questions."""
        return len(self.questions)

    @property
    def lengths(self) -> Ids:
        """Tokens of each question, shape (questions,)."""
        return np.array([len(tokens) for tokens in self.questions], dtype=np.int64)

    def chosen(self, rows: Sequence[int]) -> QuestionSequences:
        """These questions alone."""
        return replace(self, rows=self.rows[list(rows)], questions=[self.questions[row] for row in rows])

    def batch(self, rows: Sequence[int]) -> QuestionBatch:
        """Some of the questions, with their pictures."""
        different, which = np.unique(self.rows[list(rows)], return_inverse=True)
        asked = pad_sequences([self.questions[row] for row in rows])
        return QuestionBatch(
            asked.values,
            asked.lengths,
            pictures=self.pictures.batch(different.tolist()).values[0],
            which=torch.from_numpy(which),
        )

    def batches(self, batch_size: int) -> Iterator[tuple[Ids, QuestionBatch]]:
        """All questions once, those about a picture together, and which they are."""
        order = np.argsort(self.rows, kind="stable")
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield chosen, self.batch(chosen.tolist())


class Answers(Protocol):
    """The answers to questions, as what a network is to give."""

    def beside(self, questions: QuestionBatch, rows: Sequence[int]) -> ExampleBatch | PairBatch:
        """The questions of those rows, with what is to be answered."""
        ...


@dataclass(frozen=True)
class ScoredAnswers:
    """Answers of a list, of which each is right to some degree.

    Attributes:
        scores: for each question the numbers of its answers and how right they are, shape (right answers,) both.
        count: how many answers there are in the list.
    """

    scores: Sequence[tuple[Ids, np.ndarray[tuple[int], np.dtype[np.float32]]]]
    count: int

    def targets(self, rows: Sequence[int]) -> Tensor:
        """How right each answer is to some questions, shape (questions, count), float32."""
        targets = torch.zeros(len(rows), self.count)
        for place, row in enumerate(rows):
            numbers, scores = self.scores[row]
            targets[place, torch.from_numpy(numbers)] = torch.from_numpy(scores)
        return targets

    def beside(self, questions: QuestionBatch, rows: Sequence[int]) -> ExampleBatch:
        """The questions of those rows, with how right each answer is."""
        return ExampleBatch(questions, self.targets(rows))


@dataclass(frozen=True)
class SpelledAnswers:
    """Answers token by token.

    Attributes:
        tokens: of the answer to each question, shape (length,), without ends.
        end: the id of the end of an answer.
    """

    tokens: Sequence[Ids]
    end: int

    def beside(self, questions: QuestionBatch, rows: Sequence[int]) -> PairBatch:
        """The questions of those rows, with their answers between two ends."""
        return PairBatch(questions, pad_sequences([with_ends(self.tokens[row], self.end) for row in rows]))


class QuestionBatches(ShuffledBatches):
    """Questions with answers in random batches that can be made again from their epoch and index.

    The pictures of an epoch come in an order of its own, and with each picture a few of the questions about it, so that
    it is looked at once for all of these.

    Args:
        sequences: the questions.
        answers: to them.
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
        answers: Answers,
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
        self.answers = answers
        self.all_together = batch_size * world_size
        self.together = together
        whole, rest = divmod(len(sequences), self.all_together)
        self._length = whole + (rest >= world_size)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._length

    def batch(self, epoch: int, index: int) -> ExampleBatch | PairBatch:
        """Make the batch at that place; see ``rows``."""
        rows = self.rows(epoch, index)
        return self.answers.beside(self.sequences.batch(rows), rows)

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
