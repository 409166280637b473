"""Visual question answering: a picture and a question in, an answer out.

A convolutional network, or a backbone that others trained, makes a vector of each place of the picture; a recurrent
network reads the question; the two are joined, or the question looks at the places by attention, or all pairs of places
are related to each other; and a layer scores the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from throughtime.data import (
    Frames,
    Ids,
    QuestionBatches,
    QuestionColumns,
    QuestionSequences,
    SentenceTokenizer,
    Splits,
    Tokenizer,
    VisualQuestions,
    find_questions,
    load_splits,
    normalised,
    save_splits,
    split_questions,
    train_tokenizer,
)
from throughtime.errors import DataError
from throughtime.models import ImageEncoder, VisualQuestionNetwork
from throughtime.sequence import SequenceBatch
from throughtime.tasks.image_features import (
    ImageSettings,
    PictureReader,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import CellName, Run, optimizers_of, train_network
from throughtime.tasks.settings import Duration, Positive, Probability
from throughtime.training import (
    AnswerObjective,
    ModelFolder,
    Position,
    Processes,
    Validation,
    answer_loss,
    autocast,
)

TASK = "visual_question_answering"
FEWEST_QUESTIONS = 4
EVALUATION_BATCH = 256


class Settings(ImageSettings):
    """Settings of a network that answers questions about pictures. What is None is chosen from the data."""

    image_column: str | None = None
    """The column that names the picture's file, by its name or by its number from 1; recognised by default."""
    question_column: str | None = None
    """The column of the question."""
    answer_column: str | None = None
    """The column of the answer; several people's answers stand with | between them."""
    images: str | None = None
    """The folder that the names of pictures start from; that of the table by default."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the pictures that is kept for validation where no validation file is given."""

    num_answers: Positive = 3000
    """Answers to choose from at most, the most frequent ones."""
    min_count: Positive = 1
    """How often a word of the questions must occur to be known."""
    combination: Literal["joined", "attention", "relation"] = "attention"
    """How picture and question come together: joined, stacked attention, or a relation network."""
    embedding_size: Positive = 64
    """Features of a word's vector."""
    cell: CellName = "lstm"
    hidden_size: Positive = 128
    """Units of the recurrent layer that reads the question."""
    num_layers: Positive = 1
    """Recurrent layers, one above the other."""
    joint_size: Positive = 256
    """Units of what combines picture and question, and of the layer after it."""
    hops: Positive = 2
    """How often the question looks at the picture (attention)."""
    relation_layers: Annotated[int, Field(ge=2)] = 4
    """Layers of the network of a pair of places (relation)."""
    dropout: Probability = 0.2
    """Probability of dropping a unit before the last layers."""

    channels: tuple[Positive, ...] = (32, 64, 64, 64)
    """Filters of each stage of the own convolutional network, each of which halves height and width."""
    time_budget: Duration | None = None
    """Time to train at most, such as 90s, 10m or 1h30m; training ends sooner when it has read enough."""
    batch_size: Positive = 128
    """Questions of a batch, of each process."""
    together: Positive = 8
    """Questions about a picture that stand together in a batch at most; it is looked at once for all of them."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.01

    @property
    def columns(self) -> QuestionColumns:
        """Where the rows of tables have what."""
        folder = Path(self.images) if self.images else None
        return QuestionColumns(self.image_column, self.question_column, self.answer_column, folder)

    @property
    def network_name(self) -> str:
        """The network's parts, for people to read."""
        how = {
            "joined": "joined",
            "attention": f"stacked attention, {self.hops} hops",
            "relation": f"relation network of {self.relation_layers} layers",
        }[self.combination]
        looks = self.backbone or f"CNN {' - '.join(map(str, self.channels))}"
        return f"{looks} + {self.cell.upper()} {self.num_layers} x {self.hidden_size}, {how}"


@dataclass(frozen=True)
class QuestionData:
    """Questions about pictures, as a network gets them.

    Attributes:
        splits: the parts, without the pictures themselves.
        pictures: those of each part.
        tokenizer: of the questions.
        answers: those to choose from, in the order of the scores.
        reader: from other pictures to what the network gets.
    """

    splits: Splits[VisualQuestions]
    pictures: Splits[Frames]
    tokenizer: SentenceTokenizer
    answers: tuple[str, ...]
    reader: PictureReader


def load_data(sources: Sequence[VisualQuestions | Path | str], settings: Settings, run: Run) -> None:
    """Find questions, tell what was understood, and write questions and pictures as the network gets them.

    Args:
        sources: files, folders, or ``VisualQuestions``.
        settings: where a row has what, and how pictures are read.
        run: its folder gets tokens/, tokenizer.json and how pictures are read; its display shows what was understood.

    Raises:
        DataError: naming file and line, where the data can't be read or there is nothing to learn from it.
    """
    run.display.update("looking for the questions", 0.0)
    parts = find_questions(sources, settings.columns)
    for part in parts.values():
        for remark in part.remarks:
            run.display.line(remark)
    splits = split_questions(parts, settings.validation_fraction, seed=settings.seed)
    train = splits.train
    if len(train) < FEWEST_QUESTIONS:
        raise DataError(
            f"{train.name}: has {len(train)} questions to learn from, at least {FEWEST_QUESTIONS} are needed"
        )
    reader = choose_reader(train.pictures, settings, spatial=True)
    named = {name: (part.pictures, part.picture_places) for name, part in splits.parts().items()}
    broken = prepare_pictures(reader, named, settings, run)
    kept = {name: _without(part, set(broken[name])) for name, part in splits.parts().items()}
    splits = Splits(kept["train"], kept["valid"], kept.get("test"))
    tokenizer = train_tokenizer(
        "word",
        (normalised(question, lower=True) + " " for question in splits.train.questions),
        min_count=settings.min_count,
        split_punctuation=True,
    )
    tokenizer.save(run.folder.tokenizer_file)
    save_splits(splits, run.folder.tokens)
    for name, part in splits.parts().items():
        run.display.line(f"{name}: {part.summary()}")
    first = splits.train.examples[0]
    run.display.line(f"first question: {first.question} {', '.join(dict.fromkeys(first.answers))}")


def _without(questions: VisualQuestions, broken: set[int]) -> VisualQuestions:
    """The questions about pictures that can be read; those that can't leave no row."""
    if not broken:
        return questions
    return questions.chosen(row for row, one in enumerate(questions.examples) if one.picture not in broken)


def answers_of(train: VisualQuestions, most: int) -> tuple[str, ...]:
    """The answers to choose from: those that are right most often in the training part.

    Args:
        train: the questions to learn from.
        most: how many answers at most.
    """
    weights = Counter[str]()
    for scores in train.answer_scores():
        weights.update(scores)
    return tuple(sorted(sorted(weights), key=lambda answer: -weights[answer])[:most])


def open_data(folder: ModelFolder, settings: Settings) -> QuestionData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, VisualQuestions.load)
    pictures = {name: open_pictures(folder, name) for name in splits.parts()}
    parts = Splits(pictures["train"], pictures["valid"], pictures.get("test"))
    answers = answers_of(splits.train, settings.num_answers)
    return QuestionData(splits, parts, open_tokenizer(folder), answers, PictureReader.load(folder))


def open_tokenizer(folder: ModelFolder) -> SentenceTokenizer:
    """The tokenizer of a model's questions."""
    return SentenceTokenizer(Tokenizer.load(folder.tokenizer_file), lower=True)


def sequences_of_questions(
    questions: VisualQuestions, pictures: Frames, tokenizer: SentenceTokenizer, answers: Sequence[str] = ()
) -> QuestionSequences:
    """Questions as the network gets them; with ``answers`` to choose from, those that are right, too."""
    index = {answer: number for number, answer in enumerate(answers)}
    found: list[tuple[Ids, np.ndarray[tuple[int], np.dtype[np.float32]]]] = []
    for scores in questions.answer_scores() if answers else ():
        known = {index[answer]: score for answer, score in scores.items() if answer in index}
        found.append((np.array(list(known), dtype=np.int64), np.array(list(known.values()), dtype=np.float32)))
    tokens = tokenizer.encode_all(questions.questions)
    return QuestionSequences(pictures, questions.rows, tokens, found, len(answers))


def build_model(
    settings: Settings, images: ImageEncoder, vocabulary_size: int, num_answers: int
) -> VisualQuestionNetwork:
    """Make the network around the encoder of pictures, the rest with fresh weights."""
    return VisualQuestionNetwork(
        images,
        vocabulary_size,
        num_answers,
        combination=settings.combination,
        embedding_size=settings.embedding_size,
        cell=settings.cell,
        hidden_size=settings.hidden_size,
        num_layers=settings.num_layers,
        joint_size=settings.joint_size,
        hops=settings.hops,
        relation_layers=settings.relation_layers,
        dropout=settings.dropout,
    )


def fit(network: VisualQuestionNetwork, data: QuestionData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    train = sequences_of_questions(data.splits.train, data.pictures.train, data.tokenizer, data.answers)
    valid = sequences_of_questions(data.splits.valid, data.pictures.valid, data.tokenizer, data.answers)
    batches = QuestionBatches(
        train,
        batch_size=settings.batch_size,
        together=settings.together,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return train_network(
        network,
        AnswerObjective(network),
        batches,
        partial(validate, network, valid, data.splits.valid, data.answers, settings, run.processes),
        settings,
        run,
        optimizers=optimizers_of(trained, network.hidden_matrices(), settings),
        unit="question",
        most_epochs=enough_epochs(len(train)),
    )


def enough_epochs(questions: int) -> int:
    """How many passes over so many questions are enough, fewer where there are more.

    >>> enough_epochs(1_000), enough_epochs(40_000), enough_epochs(1_000_000)
    (40, 15, 4)
    """
    return min(40, max(4, round(600_000 / questions)))


def validate(
    network: VisualQuestionNetwork,
    valid: QuestionSequences,
    questions: VisualQuestions,
    answers: Sequence[str],
    settings: Settings,
    processes: Processes,
) -> Validation:
    """Judge the network on the validation questions: loss and accuracy, the same in all processes."""
    scores = scores_of_answers(network, valid, precision=settings.precision, device=processes.device)
    right = valid.batch(range(len(valid))).targets
    loss = 0.0 if right is None else answer_loss(scores, right).item()
    found = accuracy_of([answers[int(number)] for number in scores.argmax(-1)], questions)
    return Validation(processes.first(loss), {"accuracy": processes.first(found)}, processes.first(found))


def accuracy_of(answers: Sequence[str], questions: VisualQuestions) -> float:
    """VQA's accuracy: the mean, over the questions, of how right the answers are."""
    right = questions.answer_scores()
    return sum(scores.get(answer, 0.0) for answer, scores in zip(answers, right, strict=True)) / len(right)


@torch.inference_mode()
def scores_of_answers(
    network: VisualQuestionNetwork, questions: QuestionSequences, *, precision: str, device: torch.device
) -> Tensor:
    """The network's scores, shape (questions, answers), float32, on the CPU.

    Args:
        network: in evaluation mode.
        questions: at least one.
        precision: 32 or bf16.
        device: of the network.
    """
    scores = torch.zeros(len(questions), network.num_answers)
    for rows, batch in questions.batches(EVALUATION_BATCH):
        asked = SequenceBatch(batch.questions.values.to(device), batch.questions.lengths)
        with autocast(precision, device):
            found: Tensor = network(batch.pictures.to(device), batch.which.to(device), asked)
        scores[torch.from_numpy(rows)] = found.float().cpu()
    return scores
