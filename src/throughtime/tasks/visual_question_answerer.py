"""A network that answers questions about pictures, to hold in the hand: fit it, judge it, ask it, save it, load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from throughtime.data import (
    PARTS,
    Frames,
    Picture,
    QuestionColumns,
    SentenceTokenizer,
    VisualQuestion,
    VisualQuestions,
    chosen_part,
    find_questions,
    kind_of,
)
from throughtime.errors import ArgumentError, ModelFolderError, check_choice
from throughtime.models import VisualQuestionNetwork
from throughtime.tasks.answer_evaluation import AnswerEvaluation, evaluate_answers
from throughtime.tasks.image_features import PictureReader, build_image_encoder, open_pictures
from throughtime.tasks.model_card import weights_of
from throughtime.tasks.model_runs import read_settings, save_copy, write_settings
from throughtime.tasks.network_training import Run
from throughtime.tasks.picture_cards import visual_question_card
from throughtime.tasks.trainable_model import TrainableModel
from throughtime.tasks.visual_question_answering import (
    TASK,
    QuestionData,
    Settings,
    build_model,
    enough_epochs,
    fit,
    load_data,
    open_data,
    open_tokenizer,
    scores_of_answers,
    sequences_of_questions,
)
from throughtime.training import ModelFolder, choose_device, choose_precision


@dataclass(frozen=True)
class Answer:
    """What a network answers.

    Attributes:
        answer: the likeliest one.
        probabilities: of the likeliest answers, the likeliest first.
        unknown: words of the question that no training question had.
    """

    answer: str
    probabilities: dict[str, float]
    unknown: tuple[str, ...]


class VisualQuestionAnswerer(TrainableModel[VisualQuestionNetwork, Settings, VisualQuestions]):
    """A trained network that answers questions about pictures.

    Attributes:
        network: gives a score for each answer.
        reader: from pictures to what the network gets.
        tokenizer: of the questions.
        answers: those to choose from.
        settings: all settings that it was trained with.
        folder: where it stands on disk.
        device: where it computes.
        is_main: False in all but one of the processes that trained it together.
    """

    TASK = TASK
    SETTINGS = Settings
    WANTED = "a file or folder of questions about pictures"

    def __init__(
        self,
        network: VisualQuestionNetwork,
        reader: PictureReader,
        tokenizer: SentenceTokenizer,
        answers: tuple[str, ...],
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
    def _prepare(cls, sources: Sequence[VisualQuestions | Path | str], settings: Settings, run: Run) -> None:
        load_data(sources, settings, run)

    @classmethod
    def _open(cls, folder: ModelFolder, settings: Settings) -> QuestionData:
        return open_data(folder, settings)

    @classmethod
    def _network(cls, settings: Settings, data: QuestionData, run: Run) -> VisualQuestionNetwork:
        torch.manual_seed(settings.seed)
        images = build_image_encoder(data.reader, settings)
        return build_model(settings, images, data.tokenizer.vocabulary_size, len(data.answers)).to(run.processes.device)

    @classmethod
    def _fresh(cls, data: QuestionData, settings: Settings, run: Run) -> tuple[Settings, VisualQuestionNetwork]:
        changes: dict[str, object] = {"precision": choose_precision(settings.precision, run.processes.device)}
        if settings.epochs is settings.steps is settings.time_budget is None:
            changes["epochs"] = float(enough_epochs(len(data.splits.train)))
        settings = settings.replaced(**changes)
        return settings, cls._network(settings, data, run)

    @classmethod
    def _config(cls, data: QuestionData) -> Mapping[str, object]:
        return {"answers": data.answers}

    @classmethod
    def _told(cls, network: VisualQuestionNetwork, data: QuestionData, settings: Settings) -> str:
        return f"{settings.network_name}; {weights_of(network)}, {len(data.answers):,} answers to choose from"

    @classmethod
    def _fit(cls, network: VisualQuestionNetwork, data: QuestionData, settings: Settings, run: Run) -> object:
        return fit(network, data, settings, run)

    @classmethod
    def _made(cls, network: VisualQuestionNetwork, data: QuestionData, settings: Settings, run: Run) -> Self:
        model = cls(network, data.reader, data.tokenizer, data.answers, settings, run.folder, run.processes.device)
        return model.finish(run, lambda: visual_question_card(run.folder, settings, data, network))

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "auto") -> Self:
        """Load a model folder, on any device whatever it was trained on.

        Raises:
            ModelFolderError: where the folder is missing, damaged, foreign or of a newer format.
        """
        place = ModelFolder(folder)
        settings = read_settings(place, TASK, Settings)
        answers: object = place.read_config().get("answers")
        if not isinstance(answers, list) or not answers:
            raise ModelFolderError(f"{place.config_file}: its answers are missing or damaged")
        known = tuple(str(answer) for answer in answers)
        reader, tokenizer, chosen = PictureReader.load(place), open_tokenizer(place), choose_device(device)
        images = build_image_encoder(reader, settings)
        network = build_model(settings, images, tokenizer.vocabulary_size, len(known))
        place.load_weights(network, chosen)
        return cls(network, reader, tokenizer, known, settings, place, chosen)

    def save(self, folder: Path | str) -> None:
        """Write the model, without its training state and data, into a new folder.

        Raises:
            ModelFolderError: where something stands there already.
        """
        target = ModelFolder(folder)
        save_copy(self.folder, target, self.network)
        self.tokenizer.tokenizer.save(target.tokenizer_file)
        self.reader.save(target)
        write_settings(target, TASK, self.settings, answers=self.answers)

    @property
    def name(self) -> str:
        """The network's parts, for tables."""
        return self.settings.network_name

    def answer(self, picture: Picture | str, questions: Sequence[str], *, most: int = 5) -> list[Answer]:
        """Answer questions about a picture.

        Args:
            picture: a file or its pixels.
            questions: any number.
            most: answers of which the probability is given.

        Raises:
            ArgumentError: where one string is given in place of a list, or a question is empty.
            DataError: where the picture can't be read.
        """
        if isinstance(questions, str):
            raise ArgumentError("`questions` must be a list of strings, got a string")
        for question in questions:
            if not question.strip():
                raise ArgumentError("`questions` must be questions, got an empty one")
        if not questions:
            return []
        own = Path(picture) if isinstance(picture, str) else picture
        frames = self.reader.frames([own])
        asked = VisualQuestions(
            tuple(VisualQuestion(0, question, (), kind_of(question), "") for question in questions), (), (), ""
        )
        probabilities = self._scores(asked, frames).softmax(-1)
        found: list[Answer] = []
        for question, row in zip(questions, probabilities, strict=True):
            best = row.topk(min(most, len(self.answers)))
            named = {
                self.answers[number]: probability
                for number, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            }
            found.append(Answer(next(iter(named)), named, self._unknown(question)))
        return found

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
        likely = self._scores(questions, frames).argmax(-1)
        answers = [self.answers[number] for number in likely.tolist()]
        return evaluate_answers(answers, questions, name=self.name, train=train)

    def _scores(self, questions: VisualQuestions, frames: Frames) -> torch.Tensor:
        sequences = sequences_of_questions(questions, frames, self.tokenizer)
        return scores_of_answers(self.network, sequences, precision="32", device=self.device)

    def _unknown(self, question: str) -> tuple[str, ...]:
        unknown = self.tokenizer.unknown_id
        tokens, pieces = self.tokenizer.encode(question), self.tokenizer.pieces(question)
        rows = np.flatnonzero(tokens == (-1 if unknown is None else unknown))
        return tuple(pieces[row] for row in rows.tolist())
