"""Generated movements of a hand, of which a classifier learns in seconds which figure was drawn."""

from __future__ import annotations

import numpy as np

from throughtime.data.labelled_sequences import LabelledSequences, Numbers
from throughtime.errors import check_positive_integer, check_range

GESTURES = ("circle to the left", "circle to the right", "eight", "zigzag")


def sample_gestures(count: int = 800, *, seed: int = 0) -> LabelledSequences:
    """Positions of a hand over time, labelled with the figure that it drew.

    A figure is drawn anywhere, in any size, from any point of it on, fast or slowly (30 to 60 steps), by a hand that
    trembles. A circle to the left and one to the right have the same positions in another order, so that the order has
    to be read.

    Args:
        count: how many movements.
        seed: of the choices.

    Raises:
        ArgumentError: where a number can't be.
    """
    check_positive_integer("count", count)
    check_range("seed", seed, low=0)
    generator = np.random.default_rng(seed)
    labels = [GESTURES[number] for number in generator.integers(0, len(GESTURES), count)]
    return LabelledSequences.of(
        [_drawn(label, generator) for label in labels], labels, "generated gestures", channels=("x", "y")
    )


def _drawn(label: str, generator: np.random.Generator) -> Numbers:
    steps = int(generator.integers(30, 61))
    turns = generator.uniform(1.0, 2.0)
    phase = generator.uniform(0, 2 * np.pi) + 2 * np.pi * turns * np.linspace(0, 1, steps)
    if label == "zigzag":
        points = np.stack([np.linspace(-1, 1, steps), 2 / np.pi * np.arcsin(np.sin(2 * phase))], axis=1)
    else:
        across = np.cos(phase) * (-1 if label.endswith("right") else 1)
        points = np.stack([across, np.sin(2 * phase if label == "eight" else phase)], axis=1)
    size, place = generator.uniform(0.5, 2.0), generator.normal(0, 1, 2)
    return (size * points + place + generator.normal(0, 0.06, points.shape)).astype(np.float32)
