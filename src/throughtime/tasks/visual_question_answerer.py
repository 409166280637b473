"""A network that answers questions about pictures, to hold in the hand: fit it, judge it, ask it, save it, load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from throughtime.data import (
    PARTS,
    Picture,
    QuestionColumns,
    SentenceTokenizer,
    VisualQuestion,
    VisualQuestions,
    chosen_part,
    find_questions,
    kind_of,
)
from throughtime.errors import ArgumentError, check_choice, check_positive_integer
from throughtime.tasks.answer_evaluation import AnswerEvaluation, evaluate_answers
from throughtime.tasks.answer_forms import ANSWER_FORMS, AnswerForm, AnsweringNetwork
from throughtime.tasks.image_features import PictureReader, open_pictures
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import visual_question_card
from throughtime.tasks.sequence_search import Alignment
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.tasks.visual_question_answering import (
    TASK,
    QuestionData,
    build_model,
    enough_epochs,
    fit,
    load_data,
    open_data,
    open_tokenizer,
    sequences_of_questions,
)
from throughtime.tasks.visual_question_settings import Settings
from throughtime.training import ModelFolder, choose_precision


@dataclass(frozen=True)
class Answer:
    """What a network answers.

    Attributes:
        answer: the likeliest one.
        probabilities: of the likeliest answers, the likeliest first.
        unknown: words of the question that no training question had.
        question: that is answered.
        pieces: for what the network looked at the picture: each look before it answers, or each word that it writes.
        attention: how much it then looked at each place, shape (pieces, rows, columns), and where answers are written
            once more for their end; None where it wasn't asked for, and without attention.
    """

    answer: str
    probabilities: dict[str, float]
    unknown: tuple[str, ...]
    question: str
    pieces: tuple[str, ...] = ()
    attention: Alignment | None = None

    @property
    def text(self) -> str:
        """Question and answer."""
        return f"{self.question} {self.answer}"


class VisualQuestionAnswerer(TrainableModel[AnsweringNetwork, Settings, VisualQuestions]):
    """A trained network that answers questions about pictures.

    Attributes:
        network: scores answers, or writes them.
        reader: from pictures to what the network gets.
        tokenizer: of the questions.
        answers: how they are given.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of questions about pictures"
    PREPARE = staticmethod(load_data)
    OPEN = staticmethod(open_data)
    FIT = staticmethod(fit)
    CARD = staticmethod(visual_question_card)

    def __init__(
        self,
        network: AnsweringNetwork,
        reader: PictureReader,
        tokenizer: SentenceTokenizer,
        answers: AnswerForm,
        settings: Settings,
        folder: ModelFolder,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, folder, device)
        self.reader = reader
        self.tokenizer = tokenizer
        self.answers = answers

    @classmethod
    def _checked(cls, settings: Settings, run: Run) -> Settings:
        if settings.fine_tune:
            raise ArgumentError("`fine_tune` is for image classifiers; here a `backbone` stays as it is")
        if run.processes.count > 1:
            raise ArgumentError("networks that answer questions are trained by one process; start it without torchrun")
        return settings

    @classmethod
    def _parts(cls, data: QuestionData) -> tuple[PictureReader, SentenceTokenizer, AnswerForm]:
        return data.reader, data.tokenizer, data.answers

    @classmethod
    def _read_parts(
        cls, folder: ModelFolder, settings: Settings
    ) -> tuple[PictureReader, SentenceTokenizer, AnswerForm]:
        answers = ANSWER_FORMS[settings.answers].load(folder, settings)
        return PictureReader.load(folder), open_tokenizer(folder), answers

    @classmethod
    def _built(cls, settings: Settings, parts: tuple[Any, ...]) -> AnsweringNetwork:
        return build_model(settings, *parts)

    @classmethod
    def _fresh(cls, data: QuestionData, settings: Settings, run: Run) -> tuple[Settings, AnsweringNetwork]:
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if settings.is_open_ended:
            changes["epochs"] = float(enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _told(cls, network: AnsweringNetwork, data: QuestionData, settings: Settings) -> str:
        return f"{settings.network_name}; {weights_of(network)}, {data.answers.told}"

    @property
    def name(self) -> str:
        """The network's parts, for tables."""
        return self.settings.network_name

    def answer(
        self, picture: Picture | str, questions: Sequence[str], *, most: int = 5, attention: bool = False
    ) -> list[Answer]:
        """Answer questions about a picture.

        Args:
            picture: a file or its pixels.
            questions: any number.
            most: answers of which the probability is given.
            attention: whether to tell where the network looked.

        Raises:
            ArgumentError: where one string is given in place of a list, or a question is empty.
            DataError: where the picture can't be read.
        """
        if isinstance(questions, str):
            raise ArgumentError("`questions` must be a list of strings, got a string")
        for question in questions:
            if not question.strip():
                raise ArgumentError("`questions` must be questions, got an empty one")
        check_positive_integer("most", most)
        if not questions:
            return []
        own = Path(picture) if isinstance(picture, str) else picture
        asked = VisualQuestions(
            tuple(VisualQuestion(0, question, (), kind_of(question), "") for question in questions), ""
        )
        sequences = sequences_of_questions(asked, self.reader.frames([own]), self.tokenizer)
        grid = self.network.encoder.images.grid
        return [
            Answer(
                next(iter(given.probabilities)),
                given.probabilities,
                self._unknown(question),
                question,
                given.pieces,
                None if given.attention is None else given.attention.reshape(-1, *grid),
            )
            for question, given in zip(
                questions, self.answers.give(self.network, sequences, most, attention=attention), strict=True
            )
        ]

    @property
    def has_attention(self) -> bool:
        """Whether it can be told where the network looks."""
        return self.settings.answers == "sequence" or self.settings.combination in {"attention", "sequential"}

    def evaluate(
        self,
        *data: VisualQuestions | Path | str,
        part: str | None = None,
        columns: QuestionColumns | None = None,
        baselines: bool = True,
    ) -> AnswerEvaluation:
        """How well the network answers, beside models that see no picture.

        Args:
            *data: files, folders, or ``VisualQuestions``; if none is given, a part of the model's own data.
            part: which: of the model's own data valid by default; of other data the only one, or else test.
            columns: where the rows of tables have what; as in the training data by default.
            baselines: whether the other models are learned and shown.

        Raises:
            DataError: where the data can't be read.
            ModelFolderError: where the model's own data is asked for and not there any more.
        """
        check_choice("part", part or "valid", PARTS)
        saved = self.folder.tokens / "train.jsonl"
        train = VisualQuestions.load(saved, "train") if baselines and saved.exists() else None
        if data:
            questions = chosen_part(find_questions(data, columns or self.settings.columns), part)
            frames = self.reader.frames(questions.pictures, questions.picture_places)
        else:
            own = part or "valid"
            questions = VisualQuestions.load(self.folder.tokens / f"{own}.jsonl", own)
            frames = open_pictures(self.folder, own)
        given = self.answers.give(self.network, sequences_of_questions(questions, frames, self.tokenizer), 1)
        answers = [next(iter(one.probabilities)) for one in given]
        return evaluate_answers(answers, questions, name=self.name, train=train)

    def _unknown(self, question: str) -> tuple[str, ...]:
        unknown = self.tokenizer.unknown_id
        tokens, pieces = self.tokenizer.encode(question), self.tokenizer.pieces(question)
        rows = np.flatnonzero(tokens == (-1 if unknown is None else unknown))
        return tuple(pieces[row] for row in rows.tolist())
