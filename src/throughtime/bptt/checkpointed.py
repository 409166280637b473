"""Exact gradients over long sequences in a stated memory.

A sequence is run segment by segment without a graph, and some of the states are stored. On the way back, from the last
segment to the first, each is run again from a stored state, this time with a graph.

    forwards     s0 ----> s1 ----> s2 ----> s3 ====>     ---->  without a graph, the states s are stored
    back                                       <----     ====>  with one
                                   s2 ====>
                                      <----              the gradient of s3 is handed to the segment before

This is backpropagation through time without truncation; what it takes is one segment with its graph and the states,
and at least two runs forwards instead of one. ``throughtime.bptt.schedule`` says which states are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from throughtime.bptt.memory import parse_bytes, probe
from throughtime.bptt.schedule import plan_checkpoints
from throughtime.bptt.segment import Part, Run, is_differentiable
from throughtime.bptt.state import detach, tensors_of, with_tensors
from throughtime.bptt.sweep import Sweep
from throughtime.bptt.truncated import check_same_time
from throughtime.errors import ArgumentError


def checkpointed_run(
    run: Run, inputs: Tensor, state: Any = None, *, memory_budget: int | str | None = None
) -> tuple[Tensor, Any]:
    """Run a network over a sequence; what comes back is ``run(inputs, state)``, but its graph keeps to a budget.

    The gradients are those of backpropagation through the whole sequence. ``run`` is called on a few steps to see
    what a step takes, then segment by segment; dropout gives the same mask in each run of a segment, but what is
    drawn once a call (``LockedDropout``) is drawn anew for each segment. The graph can be gone back through with
    any other, also more than once with ``retain_graph``, but it has no second derivatives.

    The budget is for what is stored, and for one segment with its graph, as its tensors are measured; it does not
    count inputs, outputs and their gradients, the weights, and what an operation takes and frees within itself. With
    None no step is run forwards more than twice, in at most twice the least memory that this takes, which grows with
    the square root of the time. A smaller budget costs more runs, see ``plan_checkpoints``.

    Args:
        run: a recurrent network, ``run(inputs, state) -> (outputs, state)``, that takes one step as well as many. The
            weights that it reads get their gradients wherever they come from. Tensors that are computed from
            others, such as an encoder's outputs, are best given as a part of the state that stays as it is: where
            ``run`` reads them from outside, their graph is gone back through once a segment.
        inputs: shape (time, batch, ...); they may be mapped from a file (``torch.from_file``), since a segment of
            them is read at a time.
        state: the state before the sequence; None for the network's own initial state.
        memory_budget: bytes, or a string such as "512MB".

    Returns:
        The outputs, shape (time, batch, ...), and the state after the sequence.

    Raises:
        ArgumentError: where the budget is no amount of memory or too small, the inputs have no steps, ``run`` gives
            outputs of another length than its inputs, or it reads other weights later than in its first steps.

    >>> layer = torch.nn.LSTM(2, 3)
    >>> outputs, state = checkpointed_run(layer, torch.ones(1000, 1, 2), memory_budget="200kB")
    >>> outputs.square().sum().backward()
    """

    def part(sequences: tuple[Tensor, ...], before: Any) -> tuple[Tensor, Any]:
        outputs, after = run(sequences[0], before)
        if len(outputs) != len(sequences[0]):
            raise ArgumentError(
                f"`run` must give as many time steps as it gets ({len(sequences[0])}), got {len(outputs)}"
            )
        return outputs, after

    return _checkpointed(part, (inputs,), state, memory_budget, is_sum=False)


def checkpointed_loss(
    run: Run,
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    state: Any = None,
    *,
    memory_budget: int | str | None = None,
) -> tuple[Tensor, Any]:
    """Sum a loss over a sequence; the outputs of all steps never exist at a time, only those of a segment.

    Otherwise as ``checkpointed_run``.

    Args:
        run: a recurrent network, ``run(inputs, state) -> (outputs, state)``.
        inputs: shape (time, batch, ...).
        targets: shape (time, ...).
        loss: ``loss(outputs, targets)`` of a segment, a scalar, which must be a sum over the steps
            (``reduction="sum"``). For the mean divide what comes back by the number of targets. It may hold
            layers of its own, such as the projection to a vocabulary.
        state: the state before the sequence; None for the network's own initial state.
        memory_budget: bytes, or a string such as "512MB"; see ``checkpointed_run``.

    Returns:
        The loss of the whole sequence, a scalar to call ``backward`` on, and the state after the sequence.

    Raises:
        ArgumentError: as ``checkpointed_run``, and where inputs and targets differ in time or the loss is no scalar.

    >>> layer, squared = torch.nn.LSTM(2, 3), torch.nn.MSELoss(reduction="sum")
    >>> inputs, targets = torch.ones(1000, 1, 2), torch.ones(1000, 1, 3)
    >>> total, state = checkpointed_loss(layer, inputs, targets, squared, memory_budget="200kB")
    >>> (total / targets.numel()).backward()
    """
    check_same_time(inputs, targets)

    def part(sequences: tuple[Tensor, ...], before: Any) -> tuple[Tensor, Any]:
        outputs, after = run(sequences[0], before)
        total = loss(outputs, sequences[1])
        if total.shape:
            raise ArgumentError(f"`loss` must give a scalar, a sum over the steps, got shape {tuple(total.shape)}")
        return total, after

    return _checkpointed(part, (inputs, targets), state, memory_budget, is_sum=True)


def _checkpointed(
    part: Part, sequences: tuple[Tensor, ...], state: Any, memory_budget: int | str | None, *, is_sum: bool
) -> tuple[Tensor, Any]:
    if len(sequences[0]) == 0:
        raise ArgumentError("`inputs` must have at least one time step, got none")
    budget = None if memory_budget is None else parse_bytes("memory_budget", memory_budget)
    tensors = [*sequences, *tensors_of(state)]
    # Within the sequence the state's gradient is always wanted, even where that of the first state is not.
    wanted = [s.requires_grad for s in sequences] + [is_differentiable(tensor) for tensor in tensors_of(state)]
    seen = probe(part, sequences, state, wanted)
    plan = plan_checkpoints(len(sequences[0]), seen.costs, budget)
    sweep = Sweep(part, sequences, detach(state), plan, seen.weights, is_sum=is_sum, keep_graph=seen.reads_a_graph)
    if not torch.is_grad_enabled():
        return sweep.forward([False] * (len(tensors) + len(seen.weights))), sweep.final_state
    result, *after = _Checkpointed.apply(sweep, *tensors, *seen.weights)  # pyright: ignore[reportGeneralTypeIssues]
    final, sweep.final_state = sweep.final_state, None  # the graph has no use for it
    return result, with_tensors(final, after)


class _Checkpointed(torch.autograd.Function):
    """The node that stands in the caller's graph for all segments."""

    @staticmethod
    def forward(ctx: Any, sweep: Sweep, *tensors: Tensor) -> tuple[Tensor, ...]:
        result = sweep.forward(ctx.needs_input_grad[1:])
        # So that torch tells where one of them is changed in place before the way back.
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        ctx.sweep = sweep
        after = tensors_of(sweep.final_state)
        ctx.mark_non_differentiable(*(tensor for tensor in after if not is_differentiable(tensor)))
        return result, *after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        _ = ctx.saved_tensors
        return None, *ctx.sweep.backward(gradients[0], gradients[1:])
