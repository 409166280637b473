"""The two forms of an answer: one of a list, or written word by word."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.data import (
    Ids,
    QuestionSequences,
    ScoredAnswers,
    SentenceTokenizer,
    SpelledAnswers,
    Tokenizer,
    VisualQuestions,
    best_answer,
    normalised_answer,
    train_tokenizer,
)
from throughtime.errors import DataError, ModelFolderError, counted
from throughtime.files import write_text
from throughtime.models import AnswerWriter, QuestionEncoder, VisualQuestionNetwork
from throughtime.tasks.sequence_search import (
    Alignment,
    Search,
    alignments,
    search_sequences,
    teacher_forced_loss,
    write_greedily,
)
from throughtime.tasks.visual_question_settings import Settings
from throughtime.training import AnswerObjective, ModelFolder, TranslationObjective, answer_loss, autocast

EVALUATION_BATCH = 256
BEAM_SIZE = 5

AnsweringNetwork = VisualQuestionNetwork | AnswerWriter
"""A network that answers in one of the forms."""


@dataclass(frozen=True)
class GivenAnswer:
    """What a network answers to one question.

    Attributes:
        probabilities: of the likeliest answers, the likeliest first.
        pieces: for what it looked at the picture: each look before it answers, or each word that it writes.
        attention: where it looked for each of them, shape (looks, places); None where it wasn't asked for, and
            without attention.
    """

    probabilities: dict[str, float]
    pieces: tuple[str, ...] = ()
    attention: Alignment | None = None


class AnswerForm(ABC):
    """How answers are given; a subclass knows the network that gives them."""

    @classmethod
    @abstractmethod
    def learned(cls, train: VisualQuestions, settings: Settings) -> Self:
        """What there is to answer with, from the questions to learn from."""

    @abstractmethod
    def save(self, folder: ModelFolder) -> None:
        """Write it into a model's folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: ModelFolder, settings: Settings) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: where it is missing or damaged.
        """

    @property
    @abstractmethod
    def told(self) -> str:
        """What there is to answer with, for people to read."""

    @abstractmethod
    def build(self, encoder: QuestionEncoder, settings: Settings) -> AnsweringNetwork:
        """Make the network around an encoder of questions and their pictures."""

    @abstractmethod
    def objective(self, network: AnsweringNetwork) -> nn.Module:
        """What training lowers."""

    @abstractmethod
    def encoded(self, questions: VisualQuestions) -> tuple[ScoredAnswers | SpelledAnswers, list[int]]:
        """Answers as the network is to give them, and the rows of the questions that they belong to.

        Raises:
            DataError: where there is none that it could give.
        """

    @abstractmethod
    def judge(
        self, network: AnsweringNetwork, sequences: QuestionSequences, questions: VisualQuestions, *, precision: str
    ) -> tuple[float, list[str]]:
        """The mean loss in nats on questions with answers, and what the network answers."""

    @abstractmethod
    def give(
        self, network: AnsweringNetwork, sequences: QuestionSequences, most: int, *, attention: bool = False
    ) -> list[GivenAnswer]:
        """Answer questions.

        Args:
            network: in evaluation mode.
            sequences: the questions.
            most: answers of which the probability is given.
            attention: whether to tell where the network looked.
        """


@dataclass(frozen=True)
class ListedAnswers(AnswerForm):
    """Answers of a list, which a classifier scores.

    Attributes:
        names: the answers, in the order of the scores.
    """

    names: tuple[str, ...]

    @classmethod
    def learned(cls, train: VisualQuestions, settings: Settings) -> Self:
        """Those that are right most often."""
        weights = Counter[str]()
        for scores in train.answer_scores():
            weights.update(scores)
        return cls(tuple(sorted(sorted(weights), key=lambda answer: -weights[answer])[: settings.num_answers]))

    def save(self, folder: ModelFolder) -> None:  # noqa: D102
        write_text(folder.answers_file, json.dumps(self.names, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: ModelFolder, settings: Settings) -> Self:  # noqa: D102
        try:
            names: object = json.loads(folder.answers_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelFolderError(f"{folder.answers_file}: missing or damaged ({error})") from error
        if not isinstance(names, list) or not names:
            raise ModelFolderError(f"{folder.answers_file}: damaged, it must be a list of answers")
        return cls(tuple(map(str, cast("list[object]", names))))

    @property
    def told(self) -> str:  # noqa: D102
        return f"{counted(len(self.names), 'answer')} to choose from"

    def build(self, encoder: QuestionEncoder, settings: Settings) -> VisualQuestionNetwork:  # noqa: D102
        return VisualQuestionNetwork(encoder, len(self.names), dropout=settings.dropout)

    def objective(self, network: AnsweringNetwork) -> nn.Module:  # noqa: D102
        return AnswerObjective(network)

    def encoded(self, questions: VisualQuestions) -> tuple[ScoredAnswers, list[int]]:  # noqa: D102
        index = {answer: number for number, answer in enumerate(self.names)}
        found: list[tuple[Ids, np.ndarray[tuple[int], np.dtype[np.float32]]]] = []
        for scores in questions.answer_scores():
            known = {index[answer]: score for answer, score in scores.items() if answer in index}
            found.append((np.array(list(known), dtype=np.int64), np.array(list(known.values()), dtype=np.float32)))
        return ScoredAnswers(found, len(self.names)), list(range(len(questions)))

    def judge(  # noqa: D102
        self, network: AnsweringNetwork, sequences: QuestionSequences, questions: VisualQuestions, *, precision: str
    ) -> tuple[float, list[str]]:
        scores = self._scores(network, sequences, precision)
        right = self.encoded(questions)[0].targets(range(len(questions)))
        return answer_loss(scores, right).item(), [self.names[number] for number in scores.argmax(-1).tolist()]

    def give(  # noqa: D102
        self, network: AnsweringNetwork, sequences: QuestionSequences, most: int, *, attention: bool = False
    ) -> list[GivenAnswer]:
        best = self._scores(network, sequences, "32").softmax(-1).topk(min(most, len(self.names)))
        found: list[GivenAnswer] = []
        for numbers, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            found.append(GivenAnswer({self.names[one]: share for one, share in zip(numbers, shares, strict=True)}))
        looks = self._looks(network, sequences) if attention else None
        if looks is None:
            return found
        pieces = tuple(f"look {number}" for number in range(1, looks.shape[1] + 1))
        return [GivenAnswer(one.probabilities, pieces, own.numpy()) for one, own in zip(found, looks, strict=True)]

    @torch.inference_mode()
    def _scores(self, network: AnsweringNetwork, sequences: QuestionSequences, precision: str) -> Tensor:
        """Scores of shape (questions, answers), float32, on the CPU."""
        device = next(network.parameters()).device
        scores = torch.zeros(len(sequences), len(self.names))
        for rows, batch in sequences.batches(EVALUATION_BATCH):
            with autocast(precision, device):
                found: Tensor = network(batch.to(device))
            scores[torch.from_numpy(rows)] = found.float().cpu()
        return scores

    @torch.inference_mode()
    def _looks(self, network: AnsweringNetwork, sequences: QuestionSequences) -> Tensor | None:
        """Where attention went, shape (questions, hops, places), on the CPU."""
        device = next(network.parameters()).device
        looks = network.encoder.looks(sequences.batch(range(len(sequences))).to(device))
        return None if looks is None else looks.float().cpu()


@dataclass(frozen=True)
class WrittenAnswers(AnswerForm):
    """Answers that the captioner's decoder writes.

    Attributes:
        tokenizer: of the answers.
        max_length: tokens at most.
    """

    tokenizer: SentenceTokenizer
    max_length: int
    UNITS: ClassVar[dict[str, str]] = {"word": "word", "char": "character"}

    @classmethod
    def learned(cls, train: VisualQuestions, settings: Settings) -> Self:
        """Their words or characters."""
        answers = (f" {best_answer(example.answers)}\n" for example in train.examples)
        learned = train_tokenizer(settings.answer_tokens, answers)
        return cls(SentenceTokenizer(learned, lower=True), settings.max_length)

    def save(self, folder: ModelFolder) -> None:  # noqa: D102
        self.tokenizer.tokenizer.save(folder.answers_file)

    @classmethod
    def load(cls, folder: ModelFolder, settings: Settings) -> Self:  # noqa: D102
        return cls(SentenceTokenizer(Tokenizer.load(folder.answers_file), lower=True), settings.max_length)

    @property
    def told(self) -> str:  # noqa: D102
        known = self.tokenizer.tokenizer
        return f"answers written in {counted(known.vocabulary_size, self.UNITS[known.kind])}"

    def build(self, encoder: QuestionEncoder, settings: Settings) -> AnswerWriter:  # noqa: D102
        return AnswerWriter(
            encoder,
            self.tokenizer.vocabulary_size,
            cell=settings.cell,
            embedding_size=settings.embedding_size,
            hidden_size=settings.hidden_size,
            dropout=settings.dropout,
        )

    def objective(self, network: AnsweringNetwork) -> nn.Module:  # noqa: D102
        return TranslationObjective(network)

    def encoded(self, questions: VisualQuestions) -> tuple[SpelledAnswers, list[int]]:  # noqa: D102
        tokens = self._tokens(questions)
        kept = [row for row, own in enumerate(tokens) if 0 < len(own) <= self.max_length]
        if not kept:
            raise DataError(f"{questions.name}: no answer is short enough; give a larger `max_length`")
        return SpelledAnswers([tokens[row] for row in kept], self.tokenizer.end), kept

    def judge(  # noqa: D102
        self, network: AnsweringNetwork, sequences: QuestionSequences, questions: VisualQuestions, *, precision: str
    ) -> tuple[float, list[str]]:
        writer = _writer(network)
        loss = teacher_forced_loss(writer, sequences, self._tokens(questions), precision=precision)
        unknown = self.tokenizer.unknown_id
        written = write_greedily(writer, sequences, unknown=unknown, max_length=self.max_length)
        return loss, [self._text(one.tokens) for one in written]

    def give(  # noqa: D102
        self, network: AnsweringNetwork, sequences: QuestionSequences, most: int, *, attention: bool = False
    ) -> list[GivenAnswer]:
        writer, size = _writer(network), max(most, BEAM_SIZE)
        how = Search(size, most, length_penalty=0.0, min_length=1, max_length=self.max_length, replace_unknown=False)
        found = search_sequences(writer, sequences, how, self.tokenizer)
        answers: list[GivenAnswer] = []
        for several in found:
            shares: dict[str, float] = {}
            for one in several:
                text = self._text(one.tokens)
                shares[text] = shares.get(text, 0.0) + math.exp(one.log_probability)
            answers.append(GivenAnswer(dict(sorted(shares.items(), key=lambda pair: -pair[1]))))
        if not attention:
            return answers
        tokens = [np.array(several[0].tokens, dtype=np.int64) for several in found]
        looks = alignments(writer, sequences, tokens) or [None] * len(found)
        return [
            GivenAnswer(one.probabilities, tuple(map(self.tokenizer.tokenizer.token, own.tolist())), look)
            for one, own, look in zip(answers, tokens, looks, strict=True)
        ]

    def _tokens(self, questions: VisualQuestions) -> list[Ids]:
        return self.tokenizer.encode_all(best_answer(example.answers) for example in questions.examples)

    def _text(self, tokens: Sequence[int]) -> str:
        return normalised_answer(self.tokenizer.decode(tokens))


def _writer(network: AnsweringNetwork) -> AnswerWriter:
    assert isinstance(network, AnswerWriter)  # noqa: S101 - for the type checker: it was built here
    return network


ANSWER_FORMS: dict[str, type[AnswerForm]] = {"list": ListedAnswers, "sequence": WrittenAnswers}
"""By the names of the setting ``answers``."""
