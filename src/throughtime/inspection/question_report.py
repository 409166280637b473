"""A look inside a network that answers questions about pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import Frames, QuestionSequences, VisualQuestions, with_ends
from throughtime.errors import ArgumentError
from throughtime.inspection.coloured_text import coloured_text
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.picture_saliency import picture_saliency, plot_picture_saliency
from throughtime.inspection.pictures import Seen, spread
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.saliency import giving, integrated_gradients
from throughtime.models import AnswerWriter
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import QuestionBatch
from throughtime.tasks.answer_forms import ListedAnswers, WrittenAnswers
from throughtime.tasks.attention_overlays import plot_overlays
from throughtime.tasks.image_features import open_pictures
from throughtime.tasks.question_reading import answer_reading, question_reading
from throughtime.tasks.reading import Reading
from throughtime.tasks.visual_question_answerer import Answer, VisualQuestionAnswerer
from throughtime.training import read_metrics

FLOW_QUESTIONS, SHOWN = 64, 4


@dataclass(frozen=True)
class QuestionSaliency:
    """What the words of a question and the places of its picture add to the score of an answer.

    The score is unnormalised where an answer is one of a list, and its log-probability where it is written.

    Attributes:
        pieces: the question's tokens.
        words: shape (pieces,), by integrated gradients from a question without words.
        places: shape (rows, columns), by integrated gradients from a picture that is all of the mean colour.
    """

    pieces: tuple[str, ...]
    words: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Asked:
    """Questions, and their pictures as the network sees them."""

    sequences: QuestionSequences
    questions: list[str]
    seen: Seen


def question_saliency(
    model: VisualQuestionAnswerer, sequences: QuestionSequences, row: int, question: str, answer: str
) -> QuestionSaliency:
    """Which words and which places an answer depends on.

    Args:
        model: the model.
        sequences: questions with their pictures.
        row: which of them.
        question: its text.
        answer: one of the model's, or any text where it writes.
    """
    network = model.network
    asked = sequences.batch([row]).to(model.device)

    def score(questions: QuestionBatch) -> Tensor:
        if isinstance(network, AnswerWriter):
            assert isinstance(model.answers, WrittenAnswers)  # noqa: S101 - for the type checker
            tokens = with_ends(model.answers.tokenizer.encode(answer), network.end)
            target = torch.from_numpy(tokens).to(model.device)
            decoded = network.decode(target[:-1].unsqueeze(1), network.encode(questions))
            scores = network.scores(decoded.readouts)[:, 0].log_softmax(-1)
            return scores.gather(1, target[1:].unsqueeze(1)).sum().unsqueeze(0)
        assert isinstance(model.answers, ListedAnswers)  # noqa: S101 - as above
        return network(questions)[:, model.answers.names.index(answer)]

    def of_words(values: Tensor) -> Tensor:
        with giving(network.encoder.embedding, values):
            return score(asked)

    def of_picture(values: Tensor) -> Tensor:
        return score(replace(asked, pictures=values[0]))

    words = integrated_gradients(of_words, network.encoder.embedding(asked.values).detach())[:, 0]
    places = picture_saliency(network.encoder.images, of_picture, asked.pictures[None])[0, 0]
    pieces = tuple(model.tokenizer.pieces(question))
    return QuestionSaliency(pieces, words.double().cpu().numpy(), places.double().cpu().numpy())


def question_sections(
    model: VisualQuestionAnswerer, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a network that answers questions about pictures.

    Raises:
        ArgumentError: where there is a picture without a question, or no data to look at.
        DataError: where a picture can't be read.
    """
    asked = _asked(model, given, SHOWN)
    grid = model.network.encoder.images.grid
    answers = [
        Answer(
            next(iter(own.probabilities)),
            own.probabilities,
            (),
            question,
            own.pieces,
            None if own.attention is None else own.attention.reshape(-1, *grid),
        )
        for question, own in zip(
            asked.questions,
            model.answers.give(model.network, asked.sequences, 1, attention=model.has_attention),
            strict=True,
        )
    ]
    readings, shown = _readings(model, _asked(model, given, FLOW_QUESTIONS)), _readings(model, asked)
    records = read_metrics(model.folder.metrics_file)
    return [
        _attention_section(model, asked, answers),
        _saliency_section(model, asked, answers, numbers),
        *recurrent_sections(readings, beside, numbers, records, shown=shown),
    ]


def flow_reading(model: VisualQuestionAnswerer, given: Given) -> Reading:
    """What reads the questions by which the gradient flow is measured."""
    return _readings(model, _asked(model, given, FLOW_QUESTIONS))[0]


def _readings(model: VisualQuestionAnswerer, asked: _Asked) -> list[Reading]:
    batch = asked.sequences.batch(range(len(asked.sequences))).to(model.device)
    pieces = [model.tokenizer.pieces(question) for question in asked.questions]
    readings = [question_reading(model.network, batch, pieces)]
    if isinstance(model.network, AnswerWriter) and isinstance(model.answers, WrittenAnswers):
        tokenizer = model.answers.tokenizer
        given = model.answers.give(model.network, asked.sequences, 1)
        answers = tokenizer.encode_all(next(iter(one.probabilities)) for one in given)
        words = [[tokenizer.tokenizer.token(token) for token in own.tolist()] for own in answers]
        readings.append(answer_reading(model.network, batch, answers, words))
    return readings


def _asked(model: VisualQuestionAnswerer, given: Given, most: int) -> _Asked:
    """What is given, each question about each picture, or some of the model's own validation questions."""
    if given.files and not given.texts:
        raise ArgumentError("this model answers questions about pictures; say by --text what to ask about them")
    if given.files:
        seen = Seen.of_files(model.reader, given.files)
        pairs = list(product(range(len(given.files)), given.texts))[:most]
    else:
        file = model.folder.tokens / "valid.jsonl"
        if not file.exists():
            raise ArgumentError(
                f"{model.folder.path} keeps no validation questions to look at; give some by --input and --text"
            )
        own = VisualQuestions.load(file, "valid")
        chosen = [own.examples[row] for row in spread(len(own), most)]
        pairs = [(one.picture, one.question) for one in chosen]
        if given.texts:
            pairs = [(picture, text) for (picture, _), text in zip(pairs, given.texts, strict=False)]
        rows, places = np.unique([picture for picture, _ in pairs], return_inverse=True)
        seen = Seen.of_frames(Frames(open_pictures(model.folder, "valid").array[rows]), model.reader)
        pairs = [(int(place), question) for place, (_, question) in zip(places, pairs, strict=True)]
    questions = [question for _, question in pairs]
    tokens = model.tokenizer.encode_all(questions)
    kept = [row for row, own_tokens in enumerate(tokens) if len(own_tokens)]
    if not kept:
        raise ArgumentError("the questions must have a word in them to look at, got none")
    sequences = QuestionSequences(
        seen.frames, np.array([pairs[row][0] for row in kept], dtype=np.int64), [tokens[row] for row in kept]
    )
    return _Asked(sequences, [questions[row] for row in kept], seen)


def _attention_section(model: VisualQuestionAnswerer, asked: _Asked, answers: Sequence[Answer]) -> Section:
    section = Section("Attention")
    if not model.has_attention:
        section.say(
            "This network has no attention: it sees every place of a picture alike, whatever is asked. The pixels that "
            "an answer rests on are shown below."
        )
        return section
    section.say(
        "Where the network looked, once for each look, or each word that it wrote: the picture is bright there."
    )
    if (remark := asked.seen.remark()) is not None:
        section.say(remark, faint=True)
    pictures = [asked.seen.pixels[row] for row in asked.sequences.rows.tolist()]
    section.show(
        "attention",
        partial(plot_overlays, pictures, answers),
        "Pictures with questions and answers, and once more for each look.",
    )
    return section


def _saliency_section(
    model: VisualQuestionAnswerer, asked: _Asked, answers: Sequence[Answer], numbers: Numbers
) -> Section:
    section = Section("Saliency")
    section.say(
        "What each word of the question and each pixel of the picture adds to the score of the answer, by integrated "
        "gradients from a question without words and from a picture that is all of the mean colour: blue speaks for "
        "the answer, orange against it."
    )
    found = [
        question_saliency(model, asked.sequences, row, question, answer.answer)
        for row, (question, answer) in enumerate(zip(asked.questions, answers, strict=True))
    ]
    for one, answer in zip(found, answers, strict=True):
        section.parts.append(f"<h3>{escape(answer.answer)}</h3>")
        section.parts.append(coloured_text([f"{piece} " for piece in one.pieces], one.words))
    pictures = [asked.seen.pixels[row] for row in asked.sequences.rows.tolist()]
    section.show(
        "saliency",
        partial(plot_picture_saliency, pictures, [one.places for one in found], [answer.text for answer in answers]),
        "Pictures, questions with their answers, and the pixels that these rest on.",
    )
    numbers["saliency"] = [
        {"question": answer.question, "answer": answer.answer, "pieces": one.pieces, "words": one.words.tolist()}
        for one, answer in zip(found, answers, strict=True)
    ]
    return section
