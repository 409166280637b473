"""From questions about pictures to the loss that training lowers."""

from __future__ import annotations

from torch import Tensor, nn

from throughtime.training.objectives import ExamplesWithTargets, Objective


class AnswerObjective(nn.Module):
    """The mean cross-entropy, in nats, of the answers to questions about pictures.

    Args:
        network: from a QuestionBatch to scores of shape (batch, answers).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: ExamplesWithTargets, _: object = None) -> Objective:
        """Score the batch, whose targets say how right each answer is; nothing is carried."""
        device = next(self.parameters()).device
        scores = self.network(batch.tokens.to(device))
        return Objective(answer_loss(scores, batch.targets.to(device)), len(batch.targets))


def answer_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats, in float32 at least, against answers that are right in part.

    Args:
        scores: shape (batch, answers).
        targets: shape (batch, answers), how right each answer is; the wanted distribution is in proportion to it. A
            question none of whose answers is known has no part in the mean.
    """
    precise = scores if scores.dtype.itemsize == 8 else scores.float()
    sums = targets.sum(-1, keepdim=True)
    wanted = (targets / sums.clamp(min=1e-9)).to(precise.dtype)
    known = (sums > 0).sum().clamp(min=1)
    return -(wanted * precise.log_softmax(-1)).sum() / known
