"""Word vectors as the embedding that a network of another task starts from."""

from __future__ import annotations

import torch
from torch import nn

from throughtime.data import Tokenizer
from throughtime.errors import ArgumentError
from throughtime.word2vec import Coverage, WordVectors


def given_vectors(path: str | None, embedding_size: int | None) -> WordVectors | None:
    """Read the word vectors that a setting names, if it does.

    Args:
        path: a file of any format, or a model folder.
        embedding_size: the setting of that name.

    Raises:
        DataError: where the file can't be read as vectors.
        ArgumentError: where the vectors are of another size.
    """
    if path is None:
        return None
    vectors = WordVectors.load(path)
    size = vectors.vectors.shape[1]
    if embedding_size not in {None, size}:
        raise ArgumentError(f"`embedding_size` is {size}, that of the `vectors`, got {embedding_size}")
    return vectors


@torch.no_grad()
def start_embedding(embedding: nn.Embedding, tokenizer: Tokenizer, vectors: WordVectors) -> Coverage:
    """Give each token that is a known word its vector, and the others random ones that spread as widely.

    Args:
        embedding: of (vocabulary_size, features of the vectors); what it has beyond the vocabulary stays as it is.
        tokenizer: knows the tokens' words.
        vectors: looked up as the word is written, else in lower case.
    """
    words = [tokenizer.token(index) for index in range(tokenizer.vocabulary_size)]
    matrix, coverage = vectors.for_vocabulary(words, unknown="normal")
    embedding.weight[: len(matrix)].copy_(torch.from_numpy(matrix))
    return coverage
