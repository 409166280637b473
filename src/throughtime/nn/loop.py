"""What a time loop written by hand needs to be fast: products taken before it, weight gradients taken after it.

Where a step needs what the step before gave (attention that is fed back), no kernel can run the whole sequence. What
is left to save is all that does not depend on the loop: the inputs' part of the gates is one product over all steps,
and so is the gradient of each weight, which autograd would take, and add up, anew at every step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from throughtime.cells import State
from throughtime.errors import ArgumentError
from throughtime.nn.dropout import refuse_mps
from throughtime.nn.recurrent import Recurrent


class LoopLinear:
    """x W^T + b at many steps; the gradients of W and b are taken once for all steps, when backward is through.

    Under autocast the product is taken in autocast's dtype, for which the weight is converted once; what comes out is
    in the weight's own dtype. The weight's gradient can't be differentiated again.

    Args:
        weight: shape (outputs, inputs), also a part of a parameter.
        bias: shape (outputs,), or None.

    >>> weight = torch.randn(3, 2, requires_grad=True)
    >>> step = LoopLinear(weight)
    >>> sum(step(torch.ones(1, 2)).sum() for _ in range(5)).backward()
    >>> weight.grad[0]
    tensor([5., 5.])
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        device = weight.device.type
        self.dtype = weight.dtype
        if torch.is_autocast_enabled(device):
            weight = weight.to(torch.get_autocast_dtype(device))
        self.bias = bias
        self._steps: list[tuple[Tensor, Tensor]] = []
        self._weight = weight
        if torch.is_grad_enabled() and weight.requires_grad:
            self._weight = _take_gradient(weight, self._steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Take one step; x of shape (batch, inputs)."""
        x = x.to(self._weight.dtype)
        product = _multiply(x, self._weight, self._steps) if torch.is_grad_enabled() else x @ self._weight.t()
        product = product.to(self.dtype)
        return product if self.bias is None else product + self.bias


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, steps: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        return x @ weight.t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        ctx.steps.append((x, gradient))
        return gradient @ weight if ctx.needs_input_grad[0] else None, None, None


class _TakeGradient(torch.autograd.Function):
    # Autograd runs this backward after that of every step, though none of them hands it a gradient.
    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.steps = steps
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor | None) -> tuple[Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not ctx.steps:
            return None, None
        inputs, gradients = zip(*ctx.steps, strict=True)
        ctx.steps.clear()
        return torch.cat(gradients).t() @ torch.cat(inputs), None


def _multiply(x: Tensor, weight: Tensor, steps: list[tuple[Tensor, Tensor]]) -> Tensor:
    found: Any = _Multiply.apply(x, weight, steps)
    return found


def _take_gradient(weight: Tensor, steps: list[tuple[Tensor, Tensor]]) -> Tensor:
    found: Any = _TakeGradient.apply(weight, steps)
    return found


class RecurrentLoop:
    """The steps of a recurrent layer for one sequence, part of whose input is known only as the loop goes on.

    Args:
        layer: of one direction, without projection, normalisation or regularisation but dropout between layers,
            which is locked here.
        inputs: the part that is known, shape (time, batch, features), the first of the layer's input features.

    Raises:
        ArgumentError: if the layer is not of that kind.
    """

    def __init__(self, layer: Recurrent, inputs: Tensor) -> None:
        check_loop(layer)
        self.layer = layer
        self._weights = [layer.weights(place) for place in range(layer.num_layers)]
        known = inputs.shape[-1]
        first = self._weights[0]
        self._input_gates = linear(inputs, first["weight_ih"][:, :known], first.get("bias_ih")).to(
            first["weight_ih"].dtype
        )
        self._fed = LoopLinear(first["weight_ih"][:, known:])
        self._below = [LoopLinear(own["weight_ih"], own.get("bias_ih")) for own in self._weights[1:]]
        rows = len(layer.cell.recurrent_gates) * layer.hidden_size
        self._recurrent = [
            LoopLinear(own["weight_hh"][:rows], None if own.get("bias_hh") is None else own["bias_hh"][:rows])
            for own in self._weights
        ]
        self._masks: list[Tensor] = []
        if layer.training and layer.dropout > 0:
            refuse_mps(inputs.device)
            ones = first["weight_hh"].new_ones(layer.num_layers - 1, inputs.shape[1], layer.hidden_size)
            self._masks = list(torch.nn.functional.dropout(ones, layer.dropout))

    def step(self, t: int, fed: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        """Take step t.

        Args:
            t: which of the inputs comes in.
            fed: the other part of the input, shape (batch, the layer's other input features).
            states: one for each layer, parts of shape (batch, hidden_size).

        Returns:
            The last layer's output, shape (batch, hidden_size), and the new states.
        """
        cell = self.layer.cell
        gates = self._input_gates[t] + self._fed(fed)
        new: list[State] = []
        for place, (weights, recurrent, state) in enumerate(zip(self._weights, self._recurrent, states, strict=True)):
            if place:
                below = new[-1][0] * self._masks[place - 1] if self._masks else new[-1][0]
                gates = self._below[place - 1](below)
            new.append(cell.step(gates, recurrent(state[0]), state, weights).state)
        return new[-1][0], new


def check_loop(layer: Recurrent) -> None:
    """Raise ArgumentError unless ``RecurrentLoop`` computes what the layer does."""
    if layer.cell.normalised:
        raise ArgumentError(
            f"`cell` {layer.cell_name!r} normalises sums over its whole input, of which a loop gets parts"
        )
    acts = (layer.input_dropout, layer.output_dropout, layer.recurrent_dropout, layer.candidate_dropout,
            layer.zoneout, layer.weight_dropout, layer.gradient_clip)  # fmt: skip
    if layer.bidirectional or layer.proj_size or any(acts):
        raise ArgumentError("`layer` must have one direction, no projection and no regularisation but `dropout`")
