"""A segment of a sequence with a graph of its own, into which a gradient is handed and from which one comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

from throughtime.bptt.state import map_tensors, tensors_of

Run = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""A recurrent network: ``run(inputs, state) -> (outputs, state)`` over inputs of shape (time, batch, ...)."""

Part = Callable[[tuple[Tensor, ...], Any], tuple[Tensor, Any]]
"""What is done with a segment: ``part(sequences, state) -> (result, state)``, sequences of shape (time, ...)."""


class Segment:
    """A segment that has been run with a graph which begins at the segment's own start.

    Args:
        part: what to run.
        sequences: each of shape (time, ...), the segment's steps.
        state: the state before the segment.
        wanted: for each of the sequences, then for each tensor of the state, whether its gradient is wanted.

    Attributes:
        result: what ``part`` gave, in the graph.
        state: the state after the segment, in the graph.
    """

    def __init__(self, part: Part, sequences: Sequence[Tensor], state: Any, wanted: Iterable[bool]) -> None:
        wanted = list(wanted)
        self._leaves: list[Tensor] = []

        def leaf(tensor: Tensor) -> Tensor:
            self._leaves.append(tensor.detach().requires_grad_(wanted[len(self._leaves)]))
            return self._leaves[-1]

        own_sequences = tuple(leaf(sequence) for sequence in sequences)
        own_state = map_tensors(leaf, state)
        # A cast that autocast remembers from a run without a graph would keep the gradient from the weight.
        torch.clear_autocast_cache()
        with torch.enable_grad():
            self.result, self.state = part(own_sequences, own_state)

    def graph(self) -> tuple[dict[int, Tensor], set[Node]]:
        """Walk the graph.

        Returns:
            The leaves that it reads besides the segment's own, in general the weights, by their id; and its nodes
            except those of leaves.
        """
        roots = (tensor for tensor in (self.result, *tensors_of(self.state)) if tensor.requires_grad)
        to_visit = [get_gradient_edge(tensor).node for tensor in roots]
        nodes: set[Node] = set()
        leaves: dict[int, Tensor] = {}
        own = {id(leaf) for leaf in self._leaves}
        while to_visit:
            node = to_visit.pop()
            if node in nodes:
                continue
            if node.name() == "torch::autograd::AccumulateGrad":
                variable: Tensor = node.variable  # pyright: ignore[reportAttributeAccessIssue]
                if id(variable) not in own:
                    leaves[id(variable)] = variable
                continue
            nodes.add(node)
            to_visit += [following for following, _ in node.next_functions if following is not None]
        return leaves, nodes

    def gradients(
        self,
        result_gradient: Tensor | None,
        state_gradients: Iterable[Tensor | None],
        weights: Sequence[Tensor],
        *,
        keep_graph: bool,
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Go back through the segment.

        Args:
            result_gradient: dL/d result, None for zero.
            state_gradients: dL/d state after the segment, tensor by tensor.
            weights: leaves whose gradients are wanted.
            keep_graph: whether to go back through it again later.

        Returns:
            The gradients of the sequences and the tensors of the state before the segment, and those of the
            weights; None where there is none.
        """
        values = (self.result, *tensors_of(self.state))
        pairs = [
            (value, gradient)
            for value, gradient in zip(values, (result_gradient, *state_gradients), strict=True)
            if value.requires_grad and gradient is not None
        ]
        wanted = [leaf for leaf in self._leaves if leaf.requires_grad]
        found: Sequence[Tensor | None] = [None] * (len(wanted) + len(weights))
        if pairs and found:
            outputs, gradients = zip(*pairs, strict=True)
            found = torch.autograd.grad(
                outputs, [*wanted, *weights], gradients, retain_graph=keep_graph, allow_unused=True
            )
        mine = iter(found)
        return [next(mine) if leaf.requires_grad else None for leaf in self._leaves], list(mine)


def is_differentiable(tensor: Tensor) -> bool:
    """Whether a gradient can flow to a tensor of this type."""
    return tensor.is_floating_point() or tensor.is_complex()


def accumulate(totals: list[Tensor | None], gradients: Iterable[Tensor | None]) -> None:
    """Add gradients to their totals, in which None stands for nothing yet."""
    for index, gradient in enumerate(gradients):
        total = totals[index]
        if gradient is None:
            continue
        if total is None:
            totals[index] = gradient.clone()  # torch may hand out one tensor for two gradients
        else:
            total.add_(gradient)
