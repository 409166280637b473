"""Word vectors as the embedding that a network of another task starts from."""

from __future__ import annotations

import torch
from torch import nn

from throughtime.data import Tokenizer
from throughtime.word2vec import Coverage, WordVectors


@torch.no_grad()
def start_embedding(embedding: nn.Embedding, tokenizer: Tokenizer, vectors: WordVectors) -> Coverage:
    """Give each token that is a known word its vector, and the others random ones that spread as widely.

    Args:
        embedding: of (vocabulary_size, features of the vectors).
        tokenizer: knows the tokens' words.
        vectors: looked up as the word is written, else in lower case.
    """
    words = [tokenizer.token(index) for index in range(tokenizer.vocabulary_size)]
    matrix, coverage = vectors.for_vocabulary(words, unknown="normal")
    embedding.weight.copy_(torch.from_numpy(matrix))
    return coverage
