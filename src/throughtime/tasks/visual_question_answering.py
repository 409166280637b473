"""Visual question answering: a picture and a question in, an answer out.

A convolutional network, or a backbone that others trained, makes a vector of each place of the picture; a recurrent
network reads the question; the two are joined, or the question looks at the places by attention, or all pairs of places
are related to each other. Then a layer scores the answers of a list, or the captioner's decoder writes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from throughtime.data import (
    Frames,
    QuestionBatches,
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
from throughtime.errors import DataError, counted
from throughtime.models import QuestionEncoder
from throughtime.tasks.answer_evaluation import accuracy_of
from throughtime.tasks.answer_forms import ANSWER_FORMS, AnswerForm, AnsweringNetwork
from throughtime.tasks.image_features import (
    PictureReader,
    build_image_encoder,
    choose_reader,
    open_pictures,
    prepare_pictures,
)
from throughtime.tasks.network_training import Run, optimizers_of, train_network
from throughtime.tasks.visual_question_settings import Settings
from throughtime.training import ModelFolder, Position, Processes, Validation

TASK = "visual_question_answering"
FEWEST_QUESTIONS = 4


@dataclass(frozen=True)
class QuestionData:
    """Questions about pictures, as a network gets them.

    Attributes:
        splits: the parts, without the pictures themselves.
        pictures: those of each part.
        tokenizer: of the questions.
        answers: how they are given.
        reader: from other pictures to what the network gets.
    """

    splits: Splits[VisualQuestions]
    pictures: Splits[Frames]
    tokenizer: SentenceTokenizer
    answers: AnswerForm
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
            f"{train.name}: has {counted(len(train), 'question')} to learn from, at least {FEWEST_QUESTIONS} are needed"
        )
    reader = choose_reader(train.pictures, settings, spatial=True)
    named = {name: (part.pictures, part.picture_places) for name, part in splits.parts().items()}
    broken = prepare_pictures(reader, named, settings, run)
    kept = {name: _without(part, set(broken[name])) for name, part in splits.parts().items()}
    splits = Splits(kept["train"], kept["valid"], kept.get("test"))
    ANSWER_FORMS[settings.answers].learned(splits.train, settings).save(run.folder)
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


def open_data(folder: ModelFolder, settings: Settings) -> QuestionData:
    """Open the data that ``load_data`` wrote.

    Raises:
        ModelFolderError: where it is missing or damaged.
    """
    splits = load_splits(folder.tokens, VisualQuestions.load)
    pictures = {name: open_pictures(folder, name) for name in splits.parts()}
    parts = Splits(pictures["train"], pictures["valid"], pictures.get("test"))
    answers = ANSWER_FORMS[settings.answers].load(folder, settings)
    return QuestionData(splits, parts, open_tokenizer(folder), answers, PictureReader.load(folder))


def open_tokenizer(folder: ModelFolder) -> SentenceTokenizer:
    """The tokenizer of a model's questions."""
    return SentenceTokenizer(Tokenizer.load(folder.tokenizer_file), lower=True)


def sequences_of_questions(
    questions: VisualQuestions, pictures: Frames, tokenizer: SentenceTokenizer
) -> QuestionSequences:
    """Questions as the network gets them."""
    return QuestionSequences(pictures, questions.rows, tokenizer.encode_all(questions.questions))


def build_model(
    settings: Settings, reader: PictureReader, tokenizer: SentenceTokenizer, answers: AnswerForm
) -> AnsweringNetwork:
    """Make the network, with fresh weights."""
    encoder = QuestionEncoder(
        build_image_encoder(reader, settings),
        tokenizer.vocabulary_size,
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
    return answers.build(encoder, settings)


def fit(network: AnsweringNetwork, data: QuestionData, settings: Settings, run: Run) -> Position:
    """Train the network; the folder keeps the best weights, the log and what a resumed run needs.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    answers, rows = data.answers.encoded(data.splits.train)
    batches = QuestionBatches(
        sequences_of_questions(data.splits.train, data.pictures.train, data.tokenizer).chosen(rows),
        answers,
        batch_size=settings.batch_size,
        together=settings.together,
        seed=settings.seed,
        rank=run.processes.rank,
        world_size=run.processes.count,
    )
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return train_network(
        network,
        data.answers.objective(network),
        batches,
        partial(validate, network, data, settings, run.processes),
        settings,
        run,
        optimizers=optimizers_of(trained, network.hidden_matrices(), settings),
        unit="question",
        most_epochs=enough_epochs(len(data.splits.train)),
    )


def enough_epochs(questions: int) -> int:
    """How many passes over so many questions are enough, fewer where there are more.

    >>> enough_epochs(1_000), enough_epochs(40_000), enough_epochs(1_000_000)
    (40, 15, 4)
    """
    return min(40, max(4, round(600_000 / questions)))


def validate(network: AnsweringNetwork, data: QuestionData, settings: Settings, processes: Processes) -> Validation:
    """Judge the network on the validation questions: loss and accuracy, the same in all processes."""
    questions = data.splits.valid
    sequences = sequences_of_questions(questions, data.pictures.valid, data.tokenizer)
    loss, answers = data.answers.judge(network, sequences, questions, precision=settings.precision)
    found = processes.first(accuracy_of(answers, questions))
    return Validation(processes.first(loss), {"accuracy": found}, found)
