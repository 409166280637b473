"""The network of a text classifier: a text's tokens in, a score of each class out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_range
from throughtime.models.recurrent_classifier import RecurrentClassifier
from throughtime.nn import Embedding, OneHot

EMBEDDINGS = ("learned", "one-hot")
MOST_ONE_HOT = 10_000


class RecurrentTextClassifier(RecurrentClassifier):
    """An embedding of tokens, and what ``RecurrentClassifier`` puts on it.

    Zhou et al. (2015), https://arxiv.org/abs/1511.08630, put an LSTM on a convolution; Kim (2014),
    https://arxiv.org/abs/1408.5882, pools the convolution itself; without either, the vectors of the words are pooled
    (Iyyer et al. 2015, https://aclanthology.org/P15-1162).

    Args:
        vocabulary_size: number of tokens.
        num_classes: number of classes.
        embedding: "learned" vectors, or "one-hot" ones, which have no weights.
        embedding_size: features of a token's learned vector.
        embedding_dropout: probability that a word's whole vector is dropped for a batch.
        **stages: those of ``RecurrentClassifier``.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        *,
        embedding: str = "learned",
        embedding_size: int = 128,
        embedding_dropout: float = 0.0,
        **stages: Any,
    ) -> None:
        check_positive_integer("vocabulary_size", vocabulary_size)
        check_choice("embedding", embedding, EMBEDDINGS)
        check_range("embedding_dropout", embedding_dropout, low=0, high=1, high_open=True)
        # The embedding's weights are drawn first.
        made = _embedding(embedding, vocabulary_size, embedding_size, embedding_dropout)
        super().__init__(vocabulary_size if embedding == "one-hot" else embedding_size, num_classes, **stages)
        self.vocabulary_size = vocabulary_size
        self.embedding = made

    def vectors(self, values: Tensor) -> Tensor:
        """The vectors of token ids of shape (time, batch), int64, with features dropped along the whole text."""
        return self.dropout(self.embedding(values))


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
