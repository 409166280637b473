"""A stack of recurrent layers one step at a time, with as little as possible around the products."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from throughtime._core import Stack as CoreStack
from throughtime.cells import State
from throughtime.errors import ArgumentError, check_choice, check_shape
from throughtime.nn.recurrent import Recurrent
from throughtime.recurrence.stack import MATRICES, WEIGHT_FORMATS, StoredWeights, make_stack


class _Plan(NamedTuple):
    """What a step with inputs of one shape needs; looking it up is a third of a small step's time."""

    input_shape: tuple[int, ...]
    state_shapes: tuple[tuple[int, ...], ...]
    output: Tensor
    stack: CoreStack


class Streaming:
    """Steps of a recurrent layer, for inference on a stream: audio, sensors, a language model that writes.

    Every cell, any number of layers, one direction. Products are of float32 values with weights that are stored as

    - "float32": the layer's own tensors, read where they lie, so that what is loaded or trained later counts;
    - "bfloat16": half the size, relative rounding error up to 2^-9 for each weight;
    - "int8": a quarter of the size, each row of a matrix with a scale of its own, rounding error up to 1/254 of the
      row's largest weight.

    The smaller two are copies of what the weights are now; vectors (biases, diagonal peepholes) stay float32. The
    smaller formats are faster where the weights do not fit into the processor's cache.
    Dropout does nothing here, and there are no gradients.

    Args:
        layer: the layer, on the CPU, in float32, not bidirectional and without zoneout.
        weights: how the weight matrices are stored.

    Raises:
        ArgumentError: if the layer or ``weights`` is not of that kind.

    >>> stream = Streaming(Recurrent("lstm", 3, 5, 2))
    >>> state = None
    >>> for x in torch.randn(4, 3):
    ...     output, state = stream.step(x, state)
    >>> output.shape, state[0].shape
    (torch.Size([5]), torch.Size([2, 5]))
    """

    def __init__(self, layer: Recurrent, *, weights: Literal["float32", "bfloat16", "int8"] = "float32") -> None:
        check_choice("weights", weights, WEIGHT_FORMATS)
        own = layer.all_weights[0][0]
        if own.dtype != torch.float32 or own.device.type != "cpu":
            raise ArgumentError(f"`layer` must be in float32 on the CPU, got {own.dtype} on {own.device}")
        if layer.bidirectional:
            raise ArgumentError(
                "`layer` must have one direction: the other one would have to know the end of the stream"
            )
        if layer.zoneout:
            raise ArgumentError("`layer` must have no zoneout: run it with a sequence of one step instead")
        self.layer = layer
        self.weights = weights
        self._stored = [_stored(layer.weights(place), weights) for place in range(layer.num_layers)]
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._last_state: Tensor | State | None = None
        self._last_plan: _Plan | None = None
        self._addresses = 0, 0

    def zero_state(self, batch: int | None = None) -> Tensor | State:
        """Make the state before the first step, of one sequence or of a batch."""
        middle = () if batch is None else (batch,)
        parts = tuple(torch.zeros(self.layer.num_layers, *middle, size) for size in self.layer.state_sizes)
        return parts[0] if len(parts) == 1 else parts

    def step(self, x: Tensor, state: Tensor | State | None = None) -> tuple[Tensor, Tensor | State]:
        """Take one step; the tensors of ``state`` are overwritten by those after it and given back.

        Clone a state to go on from it twice.

        Args:
            x: shape (batch, input_size), or (input_size,) for one sequence; float32.
            state: as the final state of the layer, shape (num_layers, batch, size), or (num_layers, size) for one
                sequence; a tuple of them for a cell with several states; zeros if None.

        Returns:
            The last layer's output, shape (batch, output size) or (output size,), and the state after the step.

        Raises:
            ArgumentError: if a shape, dtype or device does not fit, or a state is not contiguous.
        """
        plan = self._plans.get(x.shape) or self._make_plan(x.shape)
        if x.dtype is not torch.float32 or not x.is_contiguous() or not x.is_cpu:
            x = _in_order("x", x)
        if state is None:
            state = self.zero_state(*plan.input_shape[:-1])
        if state is not self._last_state or plan is not self._last_plan:
            parts: State = (state,) if isinstance(state, Tensor) else state
            self._check_state(parts, plan)
            self._last_state, self._last_plan = state, plan
            self._addresses = parts[0].data_ptr(), parts[-1].data_ptr() if len(parts) > 1 else 0
        output = torch.empty_like(plan.output)  # quicker than from a shape
        plan.stack.run(x.data_ptr(), 0, plan.input_shape[-1], output.data_ptr(), *self._addresses, *self._addresses)
        return output, state

    def _check_state(self, state: State, plan: _Plan) -> None:
        if len(state) != len(plan.state_shapes):
            raise ArgumentError(f"`state` must hold {len(plan.state_shapes)} tensors, got {len(state)}")
        for part, shape in zip(state, plan.state_shapes, strict=True):
            check_shape("state", part.shape, shape)
            if part is not _in_order("state", part):
                raise ArgumentError("`state` must be contiguous, as it is overwritten")

    def _make_plan(self, shape: torch.Size) -> _Plan:
        sizes, batch = self.layer.stack_sizes, shape[:-1]
        check_shape("x", shape, ("batch", sizes.input_size) if batch else (sizes.input_size,))
        stack = make_stack(sizes, self._stored, time=1, batch=batch.numel(), weight_format=self.weights)
        state_shapes = tuple((sizes.num_layers, *batch, size) for size in sizes.state_sizes)
        plan = self._plans[shape] = _Plan(shape, state_shapes, torch.empty(*batch, sizes.output_size), stack)
        return plan

    def __repr__(self) -> str:
        return f"Streaming({self.layer!r}, weights={self.weights!r})"


def _in_order(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or not tensor.is_cpu:
        raise ArgumentError(f"`{name}` must be in float32 on the CPU, got {tensor.dtype} on {tensor.device}")
    return tensor.contiguous()


def _stored(weights: dict[str, Tensor], weight_format: str) -> StoredWeights:
    plain = {name: weight.detach().contiguous() for name, weight in weights.items()}
    scales: dict[str, Tensor] = {}
    if weight_format != "float32":
        for name in MATRICES:
            weight = plain.get(name)
            if weight is None or (name == "weight_peephole" and weight.shape[0] == 3 != weight.shape[1]):
                continue
            if weight_format == "bfloat16":
                plain[name] = weight.bfloat16()
            else:
                scales[name] = weight.abs().amax(dim=1).clamp_min(torch.finfo(weight.dtype).tiny) / 127
                plain[name] = (weight / scales[name].unsqueeze(1)).round().to(torch.int8)
    return StoredWeights(plain, scales)
