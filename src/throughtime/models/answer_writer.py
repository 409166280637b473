"""The network that writes answers to questions about pictures, word by word."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.functional import relu

from throughtime.errors import ArgumentError
from throughtime.models.decoder import DecoderState
from throughtime.models.describing_network import DescribingNetwork
from throughtime.models.visual_question_answering import QuestionEncoder
from throughtime.sequence import QuestionBatch, SequenceBatch


class AnswerWriter(DescribingNetwork):
    """What picture and question say together starts the captioner's decoder, which writes the answer.

    With attention it looks, at each word, at the places of the picture: a_i = relu(W v_i), coordinates among the v_i.

    Args:
        encoder: of questions and their pictures.
        vocabulary_size: words of the answers, ``end`` among them.
        hidden_size: units of each recurrent layer, and of an a_i.
        **decoder_options: more keyword arguments for ``DescribingNetwork``.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(
        self, encoder: QuestionEncoder, vocabulary_size: int, *, hidden_size: int = 256, **decoder_options: Any
    ) -> None:
        super().__init__(vocabulary_size, hidden_size=hidden_size, start_size=encoder.output_size, **decoder_options)
        self.encoder = encoder
        self.places = nn.Linear(encoder.place_size, hidden_size)

    def encode(self, source: SequenceBatch) -> DecoderState:
        """The decoder's state before its first word.

        Raises:
            ArgumentError: where the questions come without their pictures.
        """
        if not isinstance(source, QuestionBatch):
            raise ArgumentError("questions must come with the pictures that they are about, as a QuestionBatch")
        places, start = self.encoder(source)
        seen = self.dropout(relu(self.places(places)))[source.which]
        return self.begun(start, SequenceBatch(seen.transpose(0, 1)))
