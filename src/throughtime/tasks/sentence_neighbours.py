"""Which sentences' vectors are nearest to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


def nearest_rows(queries: Matrix, others: Matrix, count: int, *, itself: bool = False) -> list[list[tuple[int, float]]]:
    """The nearest of some vectors to each of some others, by the cosine once the mean of all is taken away.

    Vectors of an encoder's states all have much in common, and cosines of them as they are lie close to 1.

    Args:
        queries: shape (queries, features).
        others: shape (others, features).
        count: how many to find at most.
        itself: whether query i is row i of the others, which is then left out.

    Returns:
        For each query rows of the others and their cosines, the nearest first.
    """
    mean = others.mean(0) if len(others) > 1 else np.zeros_like(others[0])
    units = _unit(others - mean)
    found: list[list[tuple[int, float]]] = []
    for row, query in enumerate(_unit(queries - mean)):
        cosines = units @ query
        order = [place for place in np.argsort(-cosines)[: count + itself].tolist() if not (itself and place == row)]
        found.append([(place, float(cosines[place])) for place in order[:count]])
    return found


def _unit(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
