"""Word vectors as the embedding that a network of another task starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from throughtime.data import Tokenizer
from throughtime.errors import ArgumentError
from throughtime.tasks.word2vec_model import Word2Vec
from throughtime.word2vec import Coverage, WordVectors

WORDS_READ = 20_000_000
"""Words that word2vec reads in all, as far as the bounds on epochs allow."""
FEWEST_EPOCHS, MOST_EPOCHS = 5, 30
FRESH_SPREAD = 0.1
"""Standard deviation of the embeddings that networks start from otherwise."""


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


def learned_vectors(sentences: Sequence[Sequence[str]], size: int, *, seed: int) -> WordVectors:
    """Let word2vec learn vectors from the texts that a network is about to learn from.

    Few words are read many times: after one or two million all vectors still point one way. Their mean is taken away
    from them (Mu & Viswanath 2018, https://arxiv.org/abs/1702.01417), and they spread as widely as fresh ones.

    Args:
        sentences: their words.
        size: features of a vector.
        seed: of all that is random.
    """
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, WORDS_READ / sum(map(len, sentences))))
    learned = Word2Vec(size=size, epochs=float(epochs), seed=seed, min_count=1, deterministic=True).fit(sentences)
    centred = learned.vectors.vectors - learned.vectors.vectors.mean(0)
    return WordVectors(learned.vectors.words, centred * (FRESH_SPREAD / centred.std()), learned.vectors.counts)


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
