"""What stands beside a recurrent autoencoder: a rolling z-score, and reconstruction from principal components."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
COMPONENTS = 0.9
"""The share of the variance that the principal components keep."""


def rolling_z_scores(values: Numbers, window: int) -> Numbers:
    """How many deviations each step is off the mean of the window before it, shape (time,); the largest channel's.

    Args:
        values: shape (time, channel).
        window: steps before, without the step itself.
    """
    count, channels = values.shape
    zeros = np.zeros((1, channels))
    sums, squares = (np.concatenate([zeros, np.cumsum(part, axis=0)]) for part in (values, values**2))
    ends = np.arange(count)
    begins = np.maximum(ends - window, 0)
    size = np.maximum(ends - begins, 1)[:, None]
    mean = (sums[ends] - sums[begins]) / size
    variance = np.maximum((squares[ends] - squares[begins]) / size - mean**2, 0)
    deviation = np.maximum(np.sqrt(variance), 1e-3 * values.std(axis=0) + 1e-12)
    scores = np.abs((values - mean) / deviation).max(axis=1)
    scores[: min(window, count)] = 0
    return scores


class PrincipalComponents:
    """Windows told by the principal components of the training windows, as many as keep 90 % of the variance.

    Args:
        windows: shape (windows, time, channel).
    """

    def __init__(self, windows: Numbers) -> None:
        from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to import

        flat = windows.reshape(len(windows), -1)
        self._pca = PCA(n_components=COMPONENTS, svd_solver="full").fit(flat)

    @property
    def components(self) -> int:
        """How many there are."""
        return int(self._pca.n_components_)

    def __call__(self, windows: Numbers) -> Numbers:
        """Windows of the same shape, as the components tell them."""
        flat = windows.reshape(len(windows), -1)
        return self._pca.inverse_transform(self._pca.transform(flat)).reshape(windows.shape)


def root_mean_square(errors: Numbers, deviations: Sequence[float]) -> Numbers:
    """The size of errors of shape (time, channel), each channel in its own deviations, shape (time,)."""
    return np.sqrt(((errors / np.array(deviations)) ** 2).mean(axis=1))
