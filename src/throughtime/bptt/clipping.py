"""Clipping by norm: what is done against exploding gradients (Pascanu et al. 2013)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.errors import check_range


@dataclass(frozen=True)
class ClipResult:
    """What clipping found.

    Attributes:
        norm: the Euclidean norm of all gradients together before clipping; infinite or NaN where a gradient is.
        norms: of each parameter's gradient before clipping, in the order of the parameters that have one.
        clipped_gradients: how many of them were made smaller.
    """

    norm: float
    norms: tuple[float, ...]
    clipped_gradients: int

    @property
    def clipped(self) -> bool:
        """Whether any gradient was made smaller."""
        return self.clipped_gradients > 0


def clip_global_norm(parameters: Iterable[Tensor] | Tensor, max_norm: float) -> ClipResult:
    """Scale all gradients in place by one factor, so that their norm together is at most ``max_norm``.

    g <- g min(1, T / ||g||), with g all gradients as one vector. Where one is not finite, all are left as they
    are and the norm in the result tells.

    Raises:
        ArgumentError: where ``max_norm`` is not positive.
    """
    gradients, norms = _measure(parameters, max_norm)
    norm = math.hypot(*norms)
    clipped = max_norm < norm < math.inf
    if clipped:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return ClipResult(norm, norms, len(gradients) if clipped else 0)


def clip_each_norm(parameters: Iterable[Tensor] | Tensor, max_norm: float) -> ClipResult:
    """Scale each parameter's gradient in place, so that its own norm is at most ``max_norm``.

    ||dL/dW|| <- min(||dL/dW||, T) for each W apart. A gradient that is not finite is left as it is and the norms
    in the result tell.

    Raises:
        ArgumentError: where ``max_norm`` is not positive.
    """
    gradients, norms = _measure(parameters, max_norm)
    too_long = [pair for pair in zip(gradients, norms, strict=True) if max_norm < pair[1] < math.inf]
    for gradient, norm in too_long:
        gradient.mul_(max_norm / norm)
    return ClipResult(math.hypot(*norms), norms, len(too_long))


def _measure(parameters: Iterable[Tensor] | Tensor, max_norm: float) -> tuple[list[Tensor], tuple[float, ...]]:
    check_range("max_norm", max_norm, low=0, low_open=True)
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return [], ()
    # Stacked, so that a device is waited for once and not for each gradient.
    norms = torch.stack([_norm(gradient).to(gradients[0].device) for gradient in gradients]).tolist()
    return gradients, tuple(
        # A square overflows long before its gradient does.
        _scaled_norm(gradient) if math.isinf(norm) else norm
        for gradient, norm in zip(gradients, norms, strict=True)
    )


def _norm(gradient: Tensor) -> Tensor:
    values = _values(gradient)
    half = values.dtype in {torch.float16, torch.bfloat16}
    return torch.linalg.vector_norm(values, dtype=torch.float32 if half else None)


def _scaled_norm(gradient: Tensor) -> float:
    """The norm of a gradient whose squares overflow; infinite only if an element is."""
    values = _values(gradient)
    greatest = values.abs().max().item()
    return greatest if math.isinf(greatest) else greatest * _norm(values / greatest).item()


def _values(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient
