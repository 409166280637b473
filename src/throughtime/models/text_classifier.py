"""The network of a text classifier: a text's tokens in, a score of each class out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_range
from throughtime.nn import Convolution, Embedding, LockedDropout, OneHot, Pooling, Recurrent
from throughtime.sequence import SequenceBatch

EMBEDDINGS = ("learned", "one-hot")
MOST_ONE_HOT = 10_000


class RecurrentTextClassifier(nn.Module):
    """Embedding, convolution along time, recurrent layers, pooling to one vector, and fully connected layers.

    Each stage but the pooling and the output can be left out. Zhou et al. (2015), https://arxiv.org/abs/1511.08630,
    put an LSTM on a convolution; Kim (2014), https://arxiv.org/abs/1408.5882, pools the convolution itself; without
    either, the vectors of the words are pooled (Iyyer et al. 2015, https://aclanthology.org/P15-1162).

    Args:
        vocabulary_size: number of tokens.
        num_classes: number of classes.
        embedding: "learned" vectors, or "one-hot" ones, which have no weights.
        embedding_size: features of a token's learned vector.
        channels: filters of each width of the convolution; 0 leaves it out.
        widths: tokens that a filter sees.
        cell: a name in CELLS; None leaves the recurrent layers out.
        hidden_size: units of each direction of a recurrent layer.
        num_layers: how many recurrent layers.
        bidirectional: whether they read in both directions.
        pooling: last, max, mean or attention; see ``Pooling``.
        fully_connected: units of a layer between the pooling and the output; 0 leaves it out.
        dropout: probability that a feature is dropped after the embedding and the convolution, the same along a text
            (locked), between recurrent layers, and before each fully connected layer.
        embedding_dropout: probability that a word's whole vector is dropped for a batch.
        **recurrent_options: more keyword arguments for ``Recurrent``.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    def __init__(  # noqa: PLR0913 - a choice for each stage
        self,
        vocabulary_size: int,
        num_classes: int,
        *,
        embedding: str = "learned",
        embedding_size: int = 128,
        channels: int = 0,
        widths: Sequence[int] = (3,),
        cell: str | None = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "max",
        fully_connected: int = 0,
        dropout: float = 0.5,
        embedding_dropout: float = 0.0,
        **recurrent_options: Any,
    ) -> None:
        super().__init__()
        check_positive_integer("vocabulary_size", vocabulary_size)
        check_positive_integer("num_classes", num_classes)
        check_choice("embedding", embedding, EMBEDDINGS)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        check_range("embedding_dropout", embedding_dropout, low=0, high=1, high_open=True)
        self.vocabulary_size = vocabulary_size
        self.num_classes = num_classes
        self.embedding = _embedding(embedding, vocabulary_size, embedding_size, embedding_dropout)
        self.dropout = LockedDropout(dropout)
        size = vocabulary_size if embedding == "one-hot" else embedding_size
        self.convolution = Convolution(size, channels, widths) if channels else None
        size = size if self.convolution is None else self.convolution.output_size
        self.recurrent = (
            Recurrent(
                cell,
                size,
                hidden_size,
                num_layers,
                dropout=dropout if num_layers > 1 else 0.0,
                locked_dropout=True,
                bidirectional=bidirectional,
                **recurrent_options,
            )
            if cell
            else None
        )
        if self.recurrent is not None:
            size = self.recurrent.num_directions * self.recurrent.output_size
        self.pooling = Pooling(pooling, size, bidirectional=bidirectional and self.recurrent is not None)
        self.hidden = nn.Linear(size, fully_connected) if fully_connected else None
        self.vector_dropout = nn.Dropout(dropout)
        self.output = nn.Linear(fully_connected or size, num_classes)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither embedding nor output: what the Muon optimiser may move."""
        inner = [module for module in (self.recurrent, self.hidden, self.pooling) if module is not None]
        return [
            weight for module in inner for weight in module.parameters() if weight.ndim == 2 and min(weight.shape) > 1
        ]

    def states(self, tokens: SequenceBatch) -> SequenceBatch:
        """What is pooled: a vector for each token, shape (time, batch, feature)."""
        sequence = SequenceBatch(self.embedding(tokens.values), tokens.lengths)
        sequence = self.dropout(sequence)
        if self.convolution is not None:
            found = self.convolution(sequence)
            sequence = self.dropout(SequenceBatch(relu(found.values), found.lengths))
        if self.recurrent is not None:
            outputs, _ = self.recurrent(sequence)
            sequence = cast("SequenceBatch", outputs)
        return sequence

    def encode(self, tokens: SequenceBatch) -> Tensor:
        """One vector for each text, shape (batch, feature)."""
        return self.pooling(self.states(tokens))

    def forward(self, tokens: SequenceBatch) -> Tensor:
        """Scores of shape (batch, num_classes) for token ids of shape (time, batch), int64.

        They are unnormalised log-probabilities of the classes, or, where each class is there or not, log-odds.
        """
        vector = self.vector_dropout(self.encode(tokens))
        if self.hidden is not None:
            vector = self.vector_dropout(relu(self.hidden(vector)))
        return self.output(vector)


def _embedding(kind: str, vocabulary_size: int, size: int, dropout: float) -> Embedding | OneHot:
    if kind == "learned":
        check_positive_integer("embedding_size", size)
        embedding = Embedding(vocabulary_size, size, dropout=dropout)
        nn.init.normal_(embedding.weight, std=0.1)
        return embedding
    if dropout:
        raise ArgumentError(f"`embedding_dropout` needs a learned embedding, and `embedding` is {kind!r}")
    if vocabulary_size > MOST_ONE_HOT:
        raise ArgumentError(
            f"one-hot vectors would have {vocabulary_size:,} features, at most {MOST_ONE_HOT:,} are allowed; "
            "give a smaller `vocabulary_size` or a learned `embedding`, which is a linear layer on them"
        )
    return OneHot(vocabulary_size)
