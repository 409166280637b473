"""Which inputs a score depends on: gradient times input, and integrated gradients."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.errors import check_positive_integer, check_shape

Score = Callable[[Tensor], Tensor]
"""From inputs of shape (time, batch, feature) to a score for each row, shape (batch,)."""


def gradient_times_input(score: Score, inputs: Tensor) -> Tensor:
    """The gradient of the score times the input, summed over the features (Shrikumar et al. 2016).

    How much each input adds to the score, as far as the score is linear: https://arxiv.org/abs/1605.01713.

    Args:
        score: of the inputs.
        inputs: shape (time, batch, feature), such as the vectors of a text's tokens.

    Returns:
        Shape (time, batch).

    >>> inputs = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    >>> gradient_times_input(lambda x: 10 * x[0].sum(-1) - x[1].sum(-1), inputs).squeeze(-1)
    tensor([30., -7.])
    """
    return (_gradient(score, inputs) * inputs).sum(-1)


def integrated_gradients(score: Score, inputs: Tensor, baseline: Tensor | None = None, *, steps: int = 32) -> Tensor:
    """The gradient of the score along the straight way from a baseline to the input, times how far they are apart.

    Sundararajan et al. (2017), https://arxiv.org/abs/1703.01365. What comes out sums to the score of the input less
    that of the baseline (completeness); the integral is taken by Gauss and Legendre's rule.

    Args:
        score: of the inputs.
        inputs: shape (time, batch, feature).
        baseline: what says nothing, of the same shape; zeros if None.
        steps: points at which the gradient is taken.

    Returns:
        Shape (time, batch).
    """
    check_positive_integer("steps", steps)
    start = torch.zeros_like(inputs) if baseline is None else baseline
    check_shape("baseline", start.shape, inputs.shape)
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(inputs)
    for place, weight in zip(((places + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
        total += weight * _gradient(score, start + place * (inputs - start))
    return (total * (inputs - start)).sum(-1)


def _gradient(score: Score, inputs: Tensor) -> Tensor:
    with torch.inference_mode(mode=False), torch.enable_grad():
        values = inputs.clone().detach().requires_grad_()
        return torch.autograd.grad(score(values).sum(), values)[0]


@contextmanager
def giving(module: nn.Module, values: Tensor) -> Generator[None]:
    """Let a module give these values whatever it is called with, such as an embedding its vectors.

    >>> embedding = nn.Embedding(5, 2)
    >>> with giving(embedding, torch.ones(1, 2)):
    ...     embedding(torch.tensor([3]))
    tensor([[1., 1.]])
    """

    def replace(*_: Any) -> Tensor:
        return values

    hook = module.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()
