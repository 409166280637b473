"""Muon in the arithmetic that a device is quick in."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from throughtime.training.processes import processor_multiplies_bfloat16


class Muon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/), in float32 where bfloat16 is slow.

    torch's own iterates in bfloat16. A processor without instructions for it takes up to a hundred times as long as in
    float32, longer than for all else of a training step. State and update are the same; of the arguments,
    ``adjust_lr_fn`` must stay at its default.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a step; ``closure`` computes the loss anew, and its gradients."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                average: Tensor = state["momentum_buffer"]
                average.lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(average, group["momentum"]) if group["nesterov"] else average
                update = orthogonalised(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * math.sqrt(max(1, weight.shape[0] / weight.shape[1])))
        return loss


def orthogonalised(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Bring singular values to between about 0.7 and 1.2 by Newton-Schulz iteration.

    Args:
        matrix: shape (rows, columns).
        coefficients: of the quintic polynomial, for x, x^3 and x^5.
        steps: of the iteration.
        eps: the smallest norm that the matrix is divided by.
    """
    quick = not matrix.is_cpu or processor_multiplies_bfloat16()
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    result = wide.to(torch.bfloat16 if quick else torch.float32)
    result = result / result.norm().clamp(min=eps)
    first, third, fifth = coefficients
    for _ in range(steps):
        square = result @ result.T
        polynomial = torch.addmm(square, square, square, beta=third, alpha=fifth)
        result = torch.addmm(result, polynomial, result, beta=first)
    return result.T if matrix.shape[0] > matrix.shape[1] else result
