"""From questions about pictures to the loss that training lowers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from throughtime.sequence import SequenceBatch
from throughtime.training.objectives import Objective


class QuestionsWithTargets(Protocol):
    """A batch of questions, as ``data.visual_question_batches`` makes it.

    Attributes:
        pictures: shape (pictures, ...), each once.
        which: shape (batch,), int64, the picture of each question.
        questions: token ids, values of shape (time, batch), int64.
        targets: shape (batch, answers), how right each answer is.
    """

    @property
    def pictures(self) -> Tensor: ...  # noqa: D102
    @property
    def which(self) -> Tensor: ...  # noqa: D102
    @property
    def questions(self) -> SequenceBatch: ...  # noqa: D102
    @property
    def targets(self) -> Tensor | None: ...  # noqa: D102


class AnswerObjective(nn.Module):
    """The mean cross-entropy, in nats, of the answers to questions about pictures.

    Args:
        network: from pictures, which of them, and questions to scores of shape (batch, answers).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: QuestionsWithTargets, _: object = None) -> Objective:
        """Score the batch; nothing is carried."""
        device = next(self.parameters()).device
        questions = SequenceBatch(batch.questions.values.to(device), batch.questions.lengths)
        scores = self.network(batch.pictures.to(device), batch.which.to(device), questions)
        if batch.targets is None:
            raise ValueError("a batch without targets has no loss")
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
