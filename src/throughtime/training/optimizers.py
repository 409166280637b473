"""Optimisers by name, each given the parameters that it is meant for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from throughtime.errors import check_choice
from throughtime.training.muon import Muon

OPTIMIZERS = ("muon", "adamw", "sgd")


def build_optimizers(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    hidden_matrices: Sequence[nn.Parameter] = (),
    learning_rate: float,
    matrix_learning_rate: float = 0.02,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
) -> list[Optimizer]:
    """Make the optimisers of a run; each remembers its rate as ``initial_lr`` for the schedule to scale.

    ``adamw`` (Loshchilov & Hutter 2019) and ``sgd`` take all parameters. ``muon`` (Jordan et al. 2024) moves
    each hidden matrix by the nearest orthogonal matrix to its momentum, which an exploding or vanishing
    direction of a recurrent weight can't dominate; everything else (embeddings, output, biases) goes to AdamW.
    Weight decay is applied to matrices alone.

    Args:
        name: one of OPTIMIZERS.
        parameters: all parameters to train.
        hidden_matrices: those among them that Muon may take: two-dimensional, neither embedding nor output.
        learning_rate: of AdamW and SGD.
        matrix_learning_rate: of Muon.
        weight_decay: decoupled for AdamW and Muon; an L2 penalty's gradient for SGD.
        momentum: of SGD.

    Raises:
        ArgumentError: for an unknown name.
    """
    check_choice("optimizer", name, OPTIMIZERS)
    taken = {id(parameter) for parameter in hidden_matrices} if name == "muon" else set[int]()
    others = [parameter for parameter in parameters if parameter.requires_grad and id(parameter) not in taken]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizers: list[Optimizer] = []
    if groups and name == "sgd":
        optimizers.append(SGD(groups, lr=learning_rate, momentum=momentum))
    elif groups:
        optimizers.append(AdamW(groups, lr=learning_rate, betas=(0.9, 0.99)))
    if taken:
        optimizers.append(Muon(list(hidden_matrices), lr=matrix_learning_rate, weight_decay=weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers
