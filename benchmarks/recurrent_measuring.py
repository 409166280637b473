"""How `recurrent.py` measures: contestants in turn in one process, errors against float64, the machine's peaks."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Call = Callable[[], object]


@dataclass(frozen=True)
class Contestant:
    """A layer, and how it is called: what it returns is a pair of the outputs and something else."""

    module: torch.nn.Module
    autocast: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def outputs(self, inputs: Tensor) -> Tensor:
        """Run forward."""
        with self._precision():
            return self.module(inputs, **self.arguments)[0]

    def inference(self, inputs: Tensor) -> Call:
        """One call, to be made under torch.inference_mode."""
        return lambda: self.outputs(inputs)

    def training(self, inputs: Tensor, gradient: Tensor) -> Call:
        """One step without the optimizer: forward, and back to all weights and the input."""
        inputs = inputs.clone().requires_grad_()
        leaves = [inputs, *self.module.parameters()]
        gradient = fitted(gradient, self.outputs(inputs))

        def step() -> None:
            for leaf in leaves:
                leaf.grad = None
            self.outputs(inputs).backward(gradient)

        return step

    def results(self, inputs: Tensor, gradient: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The outputs and, where there is a ``gradient`` of them, the gradients of the weights and the input."""
        if gradient is None:
            with torch.inference_mode():
                return self.outputs(inputs).double(), {}
        inputs = inputs.clone().requires_grad_()
        leaves = {"input": inputs, **dict(self.module.named_parameters())}
        outputs = self.outputs(inputs)
        gradients = torch.autograd.grad(outputs, list(leaves.values()), fitted(gradient, outputs))
        return outputs.detach().double(), {name: part.double() for name, part in zip(leaves, gradients, strict=True)}

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.autocast else contextlib.nullcontext()


def fitted(gradient: Tensor, outputs: Tensor) -> Tensor:
    """Give the gradient of the layer's outputs their dtype, and as many features as a projection leaves of them."""
    return gradient[..., : outputs.shape[-1]].to(outputs.dtype).contiguous()


@dataclass(frozen=True)
class Errors:
    """The largest differences from float64, each relative to the largest value of its tensor.

    ``each_gradient`` has those of the weights and the input by name; it is empty where there are no gradients.
    """

    outputs: float
    each_gradient: dict[str, float]

    @property
    def gradients(self) -> float:
        """The largest of the gradients' errors."""
        return max(self.each_gradient.values(), default=0.0)

    def beyond(self, limit: float, peer: Errors) -> list[str]:
        """Name what has an error of more than ``limit`` times the peer's, outputs and gradients each as a whole."""
        outputs = ["outputs"] if self.outputs > limit * peer.outputs else []
        return outputs + [name for name, error in self.each_gradient.items() if error > limit * peer.gradients]


def errors(
    contestants: Sequence[Contestant], reference: Contestant, inputs: Tensor, gradient: Tensor | None
) -> list[Errors]:
    """Compare the contestants' results with those of ``reference``, whose weights are in float64."""
    true_outputs, true_gradients = reference.results(inputs.double(), None if gradient is None else gradient.double())
    found: list[Errors] = []
    for contestant in contestants:
        outputs, gradients = contestant.results(inputs, gradient)
        each = {name: relative_error(part, true_gradients[name]) for name, part in gradients.items()}
        found.append(Errors(relative_error(outputs, true_outputs), each))
    return found


def relative_error(values: Tensor, reference: Tensor) -> float:
    return ((values - reference).abs().max() / reference.abs().max()).item()


def interleaved(contestants: Mapping[str, Call], *, repeats: int, least_seconds: float) -> dict[str, list[float]]:
    """Measure the seconds of a call in rounds in which each contestant has its turn, of at least ``least_seconds``."""
    counts = {name: calls_in_a_turn(call, least_seconds) for name, call in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, call in contestants.items():
            if counts[name] > 1:
                call()  # so that short calls do not pay for the caches and the threads of who was before them
            seconds[name].append(seconds_of(call, counts[name]) / counts[name])
    return seconds


def calls_in_a_turn(call: Call, least_seconds: float) -> int:
    """Warm up, and find how many calls last ``least_seconds``."""
    call()
    count = 1
    while (taken := seconds_of(call, count)) < least_seconds:
        count = max(2 * count, math.ceil(1.2 * count * least_seconds / taken)) if taken > 0 else 2 * count
    return count


def seconds_of(call: Call, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begun


def matrix_product_peak(dtype: torch.dtype, *, size: int = 2048, turns: int = 30) -> float:
    """Measure the floating-point operations a second of torch.mm on square matrices, in its best turn."""
    left, right, product = (torch.randn(size, size).to(dtype) for _ in range(3))
    best = min(seconds_of(lambda: torch.mm(left, right, out=product), 1) for _ in range(turns))
    return 2 * size**3 / best


def copy_rate(megabytes: int) -> float:
    """Measure the bytes a second, read and written, of copying so much by all threads, in its best turn."""
    source, target = torch.ones(2, megabytes << 18).unbind()
    best = min(seconds_of(lambda: target.copy_(source), 5) / 5 for _ in range(10))
    return 2 * (megabytes << 20) / best
