"""Fills in the settings of a translator that the user left open."""

from __future__ import annotations

from throughtime.tasks.translation import Settings
from throughtime.training import Processes, choose_precision

PAIRS_READ = 700_000
"""Pairs that training reads in all, where there is no limit, as far as the bounds on epochs allow."""
FEWEST_EPOCHS, MOST_EPOCHS = 3, 60
AUTOENCODER: dict[str, object] = {
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "optimizer": "adamw",
    "learning_rate": 4e-3,
    "embedding_size": 128,
}
"""What an autoencoder learns with by default: a code has to carry a whole sentence, so nothing is dropped."""


def size_settings(settings: Settings, pairs: int, processes: Processes) -> Settings:
    """Fill in what the user left open, for so many pairs to learn from."""
    changes: dict[str, object] = {"precision": choose_precision(settings.precision, processes.device)}
    if settings.autoencode:
        changes |= {name: value for name, value in AUTOENCODER.items() if name not in settings.model_fields_set}
    if settings.is_open_ended:
        changes["epochs"] = float(default_epochs(pairs))
    return settings.replaced(**changes)


def default_epochs(pairs: int) -> int:
    """Passes over so many pairs, fewer over more.

    >>> default_epochs(1_000), default_epochs(29_000), default_epochs(1_000_000)
    (60, 24, 3)
    """
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(PAIRS_READ / pairs)))
