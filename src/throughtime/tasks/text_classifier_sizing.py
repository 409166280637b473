"""Fills in the settings of a text classifier that the user left open."""

from __future__ import annotations

from throughtime.tasks.text_classification import Settings
from throughtime.training import Processes, choose_precision

TEXTS_READ = 100_000
"""Texts that training reads in all, where there is no limit, as far as the bounds on epochs allow."""
FEWEST_EPOCHS, MOST_EPOCHS = 4, 30
EMBEDDING_SIZE = 128


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
    if settings.epochs is settings.steps is settings.time_budget is None:
        changes["epochs"] = float(default_epochs(texts))
    return settings.replaced(**changes)


def default_epochs(texts: int) -> int:
    """Passes over so many texts, fewer over more.

    >>> default_epochs(500), default_epochs(10_000), default_epochs(1_000_000)
    (30, 10, 4)
    """
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(TEXTS_READ / texts)))
