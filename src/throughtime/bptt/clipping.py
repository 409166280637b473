"""Clipping by norm: what is done against exploding gradients (Pascanu et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from throughtime.errors import check_range


@dataclass(frozen=True)
class ClipResult:
    """What clipping found.

    Attributes:
        norm: the Euclidean norm of all gradients together before clipping; infinite or NaN where a gradient is.
        norms: of each parameter's gradient before clipping, in the order of the parameters that have one.
        clipped: whether any gradient was made smaller.
    """

    norm: float
    norms: tuple[float, ...]
    clipped: bool


def clip_global_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> ClipResult:
    """Scale all gradients in place by one factor, so that their norm together is at most ``max_norm``.

    g <- g min(1, T / ||g||), with g all gradients as one vector. Gradients that are not finite are left as
    they are and reported in the result.

    Raises:
        ArgumentError: where ``max_norm`` is not positive.
    """
    check_range("max_norm", max_norm, low=0, low_open=True)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = tuple(gradient.norm().item() for gradient in gradients)
    norm = sum(each**2 for each in norms) ** 0.5
    clipped = max_norm < norm < float("inf")
    if clipped:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return ClipResult(norm, norms, clipped)


def clip_each_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> ClipResult:
    """Scale each parameter's gradient in place, so that its own norm is at most ``max_norm``.

    ||dL/dW|| <- min(||dL/dW||, T) for each W apart. Gradients that are not finite are left as they are and
    reported in the result.

    Raises:
        ArgumentError: where ``max_norm`` is not positive.
    """
    check_range("max_norm", max_norm, low=0, low_open=True)
    results = [clip_global_norm([parameter], max_norm) for parameter in parameters if parameter.grad is not None]
    norms = tuple(result.norm for result in results)
    return ClipResult(sum(each**2 for each in norms) ** 0.5, norms, any(result.clipped for result in results))
