"""What the recurrent layers of a network that answers questions about pictures read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from throughtime.data import Ids
from throughtime.models import AnswerWriter, VisualQuestionNetwork
from throughtime.sequence import QuestionBatch
from throughtime.tasks.reading import Reading, decoder_reading, frozen, heard


@torch.no_grad()
def question_reading(
    network: VisualQuestionNetwork | AnswerWriter, questions: QuestionBatch, pieces: Sequence[Sequence[str]] = ()
) -> Reading:
    """What reads the questions.

    The loss at a step is that of a reader who has to answer there: how unsure the answer is that the whole question was
    given. Where answers are written there is no loss at a step of the question.

    Args:
        network: in evaluation mode.
        questions: on its device.
        pieces: the text of each question's tokens.
    """
    encoder = network.encoder
    places: list[Tensor] = []
    inputs, state = heard(encoder.recurrent, lambda: places.append(encoder(questions)[0]))
    if isinstance(network, AnswerWriter):
        return Reading("question encoder", encoder.recurrent, inputs, state, None, frozen(pieces))
    chosen = network(questions).argmax(-1)

    def loss(outputs: Tensor, _: Tensor) -> Tensor:
        said = encoder.joined(places[0], questions.which, outputs)
        return functional.cross_entropy(network.output(said), chosen, reduction="none")

    return Reading("question encoder", encoder.recurrent, inputs, state, loss, frozen(pieces))


@torch.no_grad()
def answer_reading(
    network: AnswerWriter, questions: QuestionBatch, answers: Sequence[Ids], pieces: Sequence[Sequence[str]] = ()
) -> Reading:
    """What the decoder reads when it is given the answers that it is to write; see ``decoder_reading``."""
    return decoder_reading(network, network.encode(questions), answers, pieces)
