"""The network that answers questions about pictures: a picture and a question in, a score of each answer out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.errors import check_choice, check_positive_integer, check_range
from throughtime.models.image_encoder import ImageEncoder, with_coordinates
from throughtime.nn import Embedding, GeneralAttention, Pooling, Recurrent
from throughtime.sequence import QuestionBatch, SequenceBatch

COMBINATIONS = ("joined", "attention", "relation", "sequential")


class Combination(nn.Module, ABC):
    """From the vectors of a picture's places, and the vector of a question, to one vector of what was seen.

    Attributes:
        output_size: features of the vector.
    """

    output_size: int

    @abstractmethod
    def forward(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:
        """Combine.

        Args:
            places: shape (pictures, places, place size).
            which: shape (batch,), int64, the picture of each question.
            question: shape (batch, question size).

        Returns:
            Shape (batch, output_size).
        """

    def looks(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor | None:
        """Where each look went, shape (batch, hops, places); None where nothing looks. Arguments as of ``forward``."""
        del places, which, question
        return None


class Joined(Combination):
    """One vector for the picture, whatever is asked: all of its places side by side, and a layer on them.

    Antol et al. (2015), https://arxiv.org/abs/1505.00468, "deeper LSTM Q + norm I".

    Args:
        places: of a picture.
        place_size: features of each.
        hidden_size: features of the picture's vector.
    """

    def __init__(self, places: int, place_size: int, hidden_size: int) -> None:
        super().__init__()
        self.picture = nn.Linear(places * place_size, hidden_size)
        self.output_size = hidden_size

    def forward(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        del question  # comes in afterwards
        return relu(self.picture(places.flatten(1)))[which]


class StackedAttention(Combination):
    """The question looks at the picture, and with what it saw once more: Yang et al. (2016), equations (15) to (22).

    https://arxiv.org/abs/1511.02274. Question and place are compared by a product, q · W p / sqrt(size), in place of
    the paper's sum: which place has the colour that is asked for, a product finds, where sums stay at what can be said
    of a picture without finding it. Divided as in Vaswani et al. (2017), it begins by looking everywhere.

    Args:
        place_size: features of each place.
        question_size: features of a question's vector.
        hidden_size: units of each attention, and features of what comes out.
        hops: how often it looks.
    """

    def __init__(self, place_size: int, question_size: int, hidden_size: int, hops: int) -> None:
        super().__init__()
        check_positive_integer("hops", hops)
        self.place = nn.Linear(place_size, hidden_size)
        self.question = nn.Linear(question_size, hidden_size)
        self.attentions = nn.ModuleList(GeneralAttention(hidden_size, hidden_size) for _ in range(hops))
        self.output_size = hidden_size

    def forward(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        return self.look(places, which, question)[0]

    def looks(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        return self.look(places, which, question)[1]

    def look(self, places: Tensor, which: Tensor, question: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` gives, and where each look went, shape (batch, hops, places)."""
        seen = torch.tanh(self.place(places))[which]
        asked = torch.tanh(self.question(question))
        looks: list[Tensor] = []
        for attention in self.attentions:
            assert isinstance(attention, GeneralAttention)  # noqa: S101 - for the type checker
            query = asked.unsqueeze(1) / math.sqrt(self.output_size)
            context, weights = attention(query, attention.memory(SequenceBatch(seen.transpose(0, 1))))
            asked = asked + context.squeeze(1)
            looks.append(weights)
        return asked, torch.cat(looks, 1)


class RelationNetwork(Combination):
    """All pairs of places, each with the question, through one network, and the mean: Santoro et al. (2017).

    https://arxiv.org/abs/1706.01427, equation (1). The mean in place of the sum keeps the size of what goes on, however
    many places a picture has. The first layer is taken of each place and of the question alone and then added up, which
    is the same as of each pair, and less work.

    Args:
        place_size: features of each place, its coordinates among them.
        question_size: features of a question's vector.
        hidden_size: units of each layer.
        num_layers: of the network of a pair, at least 2.
    """

    def __init__(self, place_size: int, question_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        check_range("relation_layers", num_layers, low=2)
        self.first = nn.Linear(place_size, hidden_size, bias=False)
        self.second = nn.Linear(place_size, hidden_size, bias=False)
        self.question = nn.Linear(question_size, hidden_size)
        self.layers = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(num_layers - 1))
        self.output_size = hidden_size

    def forward(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        of_places = self.first(places).unsqueeze(2) + self.second(places).unsqueeze(1)
        return self.compared(of_places.flatten(1, 2)[which], question).mean(1)

    def compared(self, pairs: Tensor, question: Tensor) -> Tensor:
        """What the network says of pairs, shape (batch, pairs, hidden_size), of what the first layer makes of them."""
        values = relu(pairs + self.question(question).unsqueeze(1))
        for layer in self.layers:
            values = relu(layer(values))
        return values


class SequentialAttention(RelationNetwork):
    """The question finds a place, the reference, which is then paired with every place: An et al. (2018), SARN.

    https://arxiv.org/abs/1811.00246. There are as many pairs as places, where a relation network has their square, so
    that the places may be small ones. Of the pairs the maximum is taken, not the sum: a sum learns at first how many
    objects of a kind there are in all, from which much can be guessed, and hardly ever to find the one that is asked
    for. What was seen at the reference goes on beside it.

    Args:
        place_size: features of each place, its coordinates among them.
        question_size: features of a question's vector.
        hidden_size: units of the attention and of each layer.
        num_layers: of the network of a pair, at least 2.
        hops: how often the question looks before it has found the reference.
    """

    def __init__(self, place_size: int, question_size: int, hidden_size: int, num_layers: int, hops: int) -> None:
        super().__init__(place_size, question_size, hidden_size, num_layers)
        self.attention = StackedAttention(place_size, question_size, hidden_size, hops)
        self.output_size = 2 * hidden_size

    def forward(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        found, looks = self.attention.look(places, which, question)
        reference = looks[:, -1:] @ places[which]
        values = self.compared(self.first(reference) + self.second(places)[which], question)
        return torch.cat([found, values.amax(1)], -1)

    def looks(self, places: Tensor, which: Tensor, question: Tensor) -> Tensor:  # noqa: D102
        return self.attention.looks(places, which, question)


class QuestionEncoder(nn.Module):
    """A convolutional network looks, a recurrent one reads the question, and what they say is combined.

    What was seen s and the question q meet once more at the end, in [s; tanh(W q); s ⊙ tanh(W q)]: whether the colour
    that is asked for is the one that is seen, a product tells at once, and sums hardly ever learn.

    Args:
        images: from pictures to vectors of their places.
        vocabulary_size: tokens of the questions.
        combination: "joined", "attention" (stacked), "relation" (all pairs of places), or "sequential" (a place that is
            found, with each of the others).
        embedding_size: features of a token's vector.
        cell: a name in CELLS.
        hidden_size: units of the recurrent layer that reads the question.
        num_layers: recurrent layers.
        joint_size: units of what combines the two, and of the layer after it.
        hops: how often attention looks.
        relation_layers: of the network of a pair of places.
        dropout: probability that a unit is dropped before that layer.
        **recurrent_options: more keyword arguments for ``Recurrent``.

    Attributes:
        place_size: features of a place's vector, its coordinates among them.
        output_size: features of what picture and question say together.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    def __init__(  # noqa: PLR0913 - the network's sizes, each by its name
        self,
        images: ImageEncoder,
        vocabulary_size: int,
        *,
        combination: str = "attention",
        embedding_size: int = 64,
        cell: str = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        joint_size: int = 256,
        hops: int = 2,
        relation_layers: int = 4,
        dropout: float = 0.3,
        **recurrent_options: Any,
    ) -> None:
        super().__init__()
        check_choice("combination", combination, COMBINATIONS)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_positive_integer("joint_size", joint_size)
        self.images = images
        self.embedding = Embedding(vocabulary_size, embedding_size)
        # Large enough, and read off all steps: one word of the question, the colour, decides what is asked for.
        nn.init.normal_(self.embedding.weight)
        self.recurrent = Recurrent(cell, embedding_size, hidden_size, num_layers, **recurrent_options)
        self.pooling = Pooling("mean", self.recurrent.output_size)
        self.place_size, asked = images.output_size + 2, self.recurrent.output_size
        if combination == "joined":
            self.combination: Combination = Joined(images.places, self.place_size, joint_size)
        elif combination == "attention":
            self.combination = StackedAttention(self.place_size, asked, joint_size, hops)
        elif combination == "relation":
            self.combination = RelationNetwork(self.place_size, asked, joint_size, relation_layers)
        else:
            self.combination = SequentialAttention(self.place_size, asked, joint_size, relation_layers, hops)
        self.asked = nn.Linear(asked, self.combination.output_size)
        self.hidden = nn.Linear(3 * self.combination.output_size, joint_size)
        self.dropout = nn.Dropout(dropout)
        self.output_size = joint_size

    def forward(self, questions: QuestionBatch) -> tuple[Tensor, Tensor]:
        """Look and read.

        Returns:
            The places of the pictures, shape (pictures, places, place_size), and what picture and question say
            together, shape (batch, output_size).
        """
        places, read = self._look_and_read(questions)
        return places, self.joined(places, questions.which, read)

    def joined(self, places: Tensor, which: Tensor, read: Tensor) -> Tensor:
        """What picture and question say together, shape (batch, output_size).

        Args:
            places: of the pictures, shape (pictures, places, place_size).
            which: shape (batch,), int64, the picture of each question.
            read: the vector of each question, shape (batch, features).
        """
        seen, asked = self.combination(places, which, read), torch.tanh(self.asked(read))
        return relu(self.hidden(self.dropout(torch.cat([seen, asked, seen * asked], -1))))

    def looks(self, questions: QuestionBatch) -> Tensor | None:
        """Where attention goes, shape (batch, hops, places); None where there is none."""
        places, asked = self._look_and_read(questions)
        return self.combination.looks(places, questions.which, asked)

    def _look_and_read(self, questions: QuestionBatch) -> tuple[Tensor, Tensor]:
        places = with_coordinates(self.images(questions.pictures), self.images.grid)
        outputs, _ = self.recurrent(SequenceBatch(self.embedding(questions.values), questions.lengths))
        return places, self.pooling(outputs)


class VisualQuestionNetwork(nn.Module):
    """A classifier of questions about pictures, whose classes are the answers.

    Args:
        encoder: of questions and their pictures.
        num_answers: how many there are.
        dropout: probability that a unit is dropped before the output.

    Raises:
        ArgumentError: for a number below 1, or a probability outside [0, 1).
    """

    def __init__(self, encoder: QuestionEncoder, num_answers: int, *, dropout: float = 0.3) -> None:
        super().__init__()
        check_positive_integer("num_answers", num_answers)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        self.num_answers = num_answers
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(encoder.output_size, num_answers)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither of pictures, embedding nor output: what the Muon optimiser may move."""
        own = self.encoder
        inner = (own.recurrent, own.combination, own.asked, own.hidden)
        return [weight for part in inner for weight in part.parameters() if weight.ndim == 2 and min(weight.shape) > 1]

    def forward(self, questions: QuestionBatch) -> Tensor:
        """Unnormalised log-probabilities of the answers, shape (batch, num_answers)."""
        return self.output(self.dropout(self.encoder(questions)[1]))
