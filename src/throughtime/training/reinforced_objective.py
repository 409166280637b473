"""What the training of hard attention lowers: REINFORCE, as in Show, Attend and Tell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import check_range
from throughtime.training.translation_objective import TranslationObjective, target_loss

MOMENTUM = 0.9
"""Of the baseline, as in the paper."""


class ReinforcedObjective(TranslationObjective):
    """Cross-entropy under hard attention, and what the draws of its places are to learn from it.

    Xu et al. (2015), https://arxiv.org/abs/1502.03044, equations 11 to 13. Of a sentence y whose places s were drawn
    with probabilities a, the gradient is that of

        log p(y | s) + (log p(y | s) - b) sum_t log a_t(s_t) + entropy_weight sum_t H(a_t)

    where the bracket is a constant and the baseline b is a moving average of log p(y | s), by which the mean of the
    gradient stays what it is and varies less. Both have one draw for each sentence. Left out is the paper's other
    remedy for variance, to take the weights themselves for half of the sentences.

    Args:
        network: an encoder-decoder whose attention is hard, by "reinforce".
        entropy_weight: how much it is worth that the probabilities are spread.
        **options: more keyword arguments for ``TranslationObjective``.

    Raises:
        ArgumentError: for a number out of range.
    """

    baseline: Tensor

    def __init__(self, network: nn.Module, *, entropy_weight: float = 0.002, **options: Any) -> None:
        super().__init__(network, **options)
        check_range("entropy_weight", entropy_weight, low=0, high_open=True)
        self.entropy_weight = entropy_weight
        self.register_buffer("baseline", torch.full((), torch.nan))

    def cost_of_looking(self, decoded: Any, scores: Tensor, chosen: Tensor, mask: Tensor) -> Tensor:  # noqa: D102
        losses = target_loss(scores.detach(), chosen, reduction="none")
        likelihood = -losses.new_zeros(mask.shape).masked_scatter(mask, losses).sum(0)
        probabilities: Tensor = decoded.probabilities
        shares = (probabilities * decoded.weights).sum(-1)
        entropies = -(probabilities * probabilities.clamp(min=1e-30).log()).sum(-1)
        mean = likelihood.mean()
        baseline = torch.where(self.baseline.isnan(), mean, self.baseline)
        self.baseline.copy_(MOMENTUM * baseline + (1 - MOMENTUM) * mean)
        drawn = ((likelihood - baseline) * shares.log() + self.entropy_weight * entropies)[mask]
        return -drawn.mean()
