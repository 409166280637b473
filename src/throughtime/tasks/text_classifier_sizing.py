"""Fills in the settings of a text classifier that the user left open."""

from __future__ import annotations

from throughtime.tasks.classification import enough_epochs
from throughtime.tasks.text_classification import Settings
from throughtime.training import Processes, choose_precision

EMBEDDING_SIZE = 128
FEWEST_WORDS = 100_000
"""Words of training texts from which word2vec learns vectors that are better to start from than random ones."""


def learns_vectors(settings: Settings, words: int) -> bool:
    """Whether word2vec learns vectors on training texts of so many words, where the user left it open."""
    if settings.own_vectors is not None:
        return settings.own_vectors
    is_open = settings.tokens == "word" and settings.embedding == "learned" and settings.vectors is None
    return is_open and words >= FEWEST_WORDS


def size_settings(settings: Settings, texts: int, processes: Processes, *, vector_size: int | None = None) -> Settings:
    """Fill in what the user left open.

    Args:
        settings: what the user said.
        texts: to learn from.
        processes: that train together.
        vector_size: features of the word vectors to start from, if there are any.
    """
    changes: dict[str, object] = {
        "precision": choose_precision(settings.precision, processes.device),
        "embedding_size": vector_size or settings.embedding_size or EMBEDDING_SIZE,
    }
    if settings.is_open_ended:
        changes["epochs"] = float(enough_epochs(texts))
    return settings.replaced(**changes)
