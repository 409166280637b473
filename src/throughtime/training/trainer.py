"""The training loop: truncated backpropagation through time over batches that carry their state.

The loop knows a model as something that returns a loss, and the data as batches addressed by two integers.
Whatever the next update depends on is in ``Trainer.state()``: a run that is killed and resumed from it makes the
very same updates as one that never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from throughtime.bptt import ClipResult, detach
from throughtime.errors import TrainingError
from throughtime.training.interrupts import interrupts
from throughtime.training.objectives import Objective
from throughtime.training.processes import Processes, autocast
from throughtime.training.schedules import Moment, Schedule


class Batches(Protocol):
    """Training data: any batch can be made again from its epoch and its index."""

    def __len__(self) -> int: ...
    def batch(self, epoch: int, index: int) -> Any: ...  # noqa: D102 - only the model looks inside


@dataclass(frozen=True)
class Limits:
    """How long to train.

    Attributes:
        steps: updates in all, or None where ``seconds`` ends the run.
        seconds: training time in all, or None where ``steps`` ends the run.
        validations: how many, at equal distances along the run.
        patience: validations in a row without a new best before stopping early; None never stops.
    """

    steps: int | None = None
    seconds: float | None = None
    validations: int = 20
    patience: int | None = None


@dataclass
class Position:
    """Where a run stands; all of it is saved and resumed."""

    step: int = 0
    epoch: int = 0
    index: int = 0
    seconds: float = 0.0
    targets: int = 0
    clipped_steps: int = 0
    validations: int = 0
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_step: int = 0
    worse_validations: int = 0
    reductions: int = 0
    interval_loss: float = 0.0
    interval_steps: int = 0
    stopped: str | None = None


@dataclass(frozen=True)
class StepReport:
    """What is told to the observer after each update."""

    loss: float
    gradient_norm: float
    learning_rate_factor: float
    fraction: float


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        loss: the mean over the validation data; in nats where it is a cross-entropy.
        figures: others that are shown and logged, by name, such as accuracy or BLEU.
        score: what decides which weights are the best and when to stop early; higher is better. The loss decides
            between equal scores, and alone where it is None.
    """

    loss: float
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    score: float | None = None


class Observer(Protocol):
    """Whoever shows, logs and stores the run."""

    def stepped(self, position: Position, report: StepReport) -> None: ...  # noqa: D102
    def validated(self, position: Position, found: Validation, *, is_best: bool) -> None: ...  # noqa: D102
    def checkpoint(self, trainer: Trainer) -> None: ...  # noqa: D102


@dataclass
class Trainer:
    """One run of training.

    Attributes:
        model: called with (batch, carried state), returns an Objective.
        optimizers: built by ``build_optimizers``; several move different parameters.
        batches: this process's batches.
        validate: judges the model as it is.
        clip: clips the gradients in place and tells what it found.
        checkpoint_seconds: how often ``observer.checkpoint`` is called besides at validations.
        validates_first: whether the model is judged before its first update, too: one that begins with something good
            may be as it was in the end.
    """

    model: nn.Module
    optimizers: Sequence[Optimizer]
    schedule: Schedule
    batches: Batches
    validate: Callable[[], Validation]
    clip: Callable[[Sequence[nn.Parameter]], ClipResult]
    limits: Limits
    observer: Observer
    processes: Processes
    precision: str = "32"
    checkpoint_seconds: float = 30.0
    validates_first: bool = False

    def __post_init__(self) -> None:
        self.position = Position()
        self.carried: object = None
        self._parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._wrapped = self.processes.wrap(self.model)

    def run(self) -> Position:
        """Train until the limits, early stopping or an interrupt (SIGINT, SIGTERM) end the run.

        The reason is ``position.stopped``: "finished", "early stopping" or "interrupted". A run that was
        interrupted can be resumed; a second interrupt is not waited for.

        Raises:
            TrainingError: where the loss or the gradient is not finite; what was saved before stays.
        """
        position = self.position
        if self._may_go_on():
            position.stopped = None
        started = time.monotonic() - position.seconds
        last_checkpoint = time.monotonic()
        self.model.train()
        with interrupts() as interrupted:
            if self.validates_first and position.step == 0 and position.stopped is None:
                self._validate(0.0)
                position.validations = 0
            while position.stopped is None:
                self._step()
                position.seconds = self.processes.first(time.monotonic() - started)
                fraction = self.fraction()
                is_validation = fraction >= min(1.0, (position.validations + 1) / self.limits.validations)
                if is_validation:
                    self._validate(fraction)
                if self.processes.first(interrupted.is_set()) and position.stopped is None:
                    position.stopped = "interrupted"
                due = self.processes.first(time.monotonic() - last_checkpoint) >= self.checkpoint_seconds
                if position.stopped or is_validation or due:
                    self.observer.checkpoint(self)
                    last_checkpoint = time.monotonic()
        return position

    def fraction(self) -> float:
        """How much of the run is done, from 0 to 1, by whichever limit comes first."""
        parts = [
            done / limit
            for done, limit in (
                (self.position.step, self.limits.steps),
                (self.position.seconds, self.limits.seconds),
            )
            if limit
        ]
        return min(1.0, max(parts, default=0.0))

    def state(self) -> dict[str, object]:
        """Everything that the rest of the run depends on, as a tree of tensors and plain values."""
        tensors, structure = _leaves(self.carried)
        device = self.processes.device
        return {
            "position": asdict(self.position),
            "model": dict(self.model.state_dict()),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "carried": [self.processes.gather(tensor) for tensor in tensors],
            "carried_structure": structure,
            "random_states": self.processes.gather(torch.get_rng_state().to(device)),
            "cuda_random_states": self.processes.gather(torch.cuda.get_rng_state(device).to(device))
            if device.type == "cuda"
            else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a run where ``state`` left it.

        Raises:
            TrainingError: where it was saved by another number of processes.
        """
        random_states: Tensor = state["random_states"]
        if len(random_states) != self.processes.count:
            raise TrainingError(
                f"this run was saved by {len(random_states)} processes and cannot be resumed exactly by "
                f"{self.processes.count}; start as many as before"
            )
        self.position = Position(**state["position"])
        # Of a longer run than was planned, less is done than it seemed.
        planned = math.ceil(self.fraction() * self.limits.validations)
        self.position.validations = min(self.position.validations, planned)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        mine = iter([tensor[self.processes.rank].to(self.processes.device) for tensor in state["carried"]])
        self.carried = _restore(state["carried_structure"], mine)
        torch.set_rng_state(random_states[self.processes.rank].cpu())
        if self.processes.device.type == "cuda" and state["cuda_random_states"] is not None:
            torch.cuda.set_rng_state(state["cuda_random_states"][self.processes.rank].cpu(), self.processes.device)

    def _may_go_on(self) -> bool:
        """Whether a run that stopped was interrupted, or has been given new limits that it hasn't reached."""
        limits, position = self.limits, self.position
        if position.stopped == "early stopping":
            return limits.patience is None or position.worse_validations < limits.patience
        return position.stopped == "interrupted" or self.fraction() < 1

    def _step(self) -> None:
        position = self.position
        fraction = self.fraction()
        moment = Moment(fraction, position.epoch, position.step, position.reductions)
        factor = self.schedule.factor(moment)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        batch = self.batches.batch(position.epoch, position.index)
        with autocast(self.precision, self.processes.device):
            objective: Objective = self._wrapped(batch, self.carried)
        objective.loss.backward()
        clipped = self.clip(self._parameters)
        loss = self.processes.mean(objective.loss.item())
        self._check_finite(loss, clipped.norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.carried = detach(objective.state)
        position.step += 1
        position.index += 1
        if position.index == len(self.batches):
            position.epoch, position.index = position.epoch + 1, 0
        position.targets += objective.count * self.processes.count
        position.clipped_steps += clipped.clipped
        position.interval_loss += loss
        position.interval_steps += 1
        self.observer.stepped(position, StepReport(loss, clipped.norm, factor, fraction))

    def _validate(self, fraction: float) -> None:
        position = self.position
        self.model.eval()
        found = self.validate()
        self.model.train()
        position.validations = max(position.validations + 1, math.floor(fraction * self.limits.validations))
        score = -found.loss if found.score is None else found.score
        is_best = (score, -found.loss) > (position.best_score, -position.best_loss)
        if is_best:
            position.best_loss, position.best_score = found.loss, score
            position.best_step, position.worse_validations = position.step, 0
        else:
            position.worse_validations += 1
            position.reductions += 1
        if fraction >= 1:
            position.stopped = "finished"
        elif self.limits.patience is not None and position.worse_validations >= self.limits.patience:
            position.stopped = "early stopping"
        self.observer.validated(position, found, is_best=is_best)

    def _check_finite(self, loss: float, gradient_norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            return
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {gradient_norm}"
        raise TrainingError(
            f"{what} at step {self.position.step + 1}; the last checkpoint before it is kept. "
            "Try a smaller learning rate, a smaller clipping norm, or --precision 32"
        )


def _leaves(tree: object) -> tuple[list[Tensor], object]:
    """Split nested tuples and lists into their tensors and a structure with a number in each tensor's place."""
    tensors: list[Tensor] = []

    def visit(node: object) -> object:
        if isinstance(node, Tensor):
            tensors.append(node)
            return len(tensors) - 1
        if isinstance(node, tuple | list):
            return [visit(child) for child in node]
        return None

    return tensors, visit(tree)


def _restore(structure: object, tensors: Iterator[Tensor]) -> object:
    if isinstance(structure, int):
        return next(tensors)
    if isinstance(structure, list):
        return tuple(_restore(child, tensors) for child in structure)
    return None
