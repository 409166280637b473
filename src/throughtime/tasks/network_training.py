"""How the networks of all tasks are trained: the settings of it, and a run from fresh weights to the best ones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import nn
from torch.optim import Optimizer

from throughtime.bptt import clip_each_norm, clip_global_norm
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError, check_choice
from throughtime.nn import gradient_flow
from throughtime.tasks.reading import Reading
from throughtime.tasks.settings import Duration, Positive, Probability, TaskSettings, parse_duration
from throughtime.training import (
    OPTIMIZERS,
    SCHEDULES,
    Batches,
    Display,
    Limits,
    ModelFolder,
    Position,
    Processes,
    Recorder,
    Schedule,
    Trainer,
    Validation,
    build_optimizers,
)


def _is_one_of(name: str, choices: Sequence[str]) -> AfterValidator:
    def check(value: str) -> str:
        check_choice(name, value, choices)
        return value

    return AfterValidator(check)


CellName = Annotated[
    str, Field(description=f"The recurrent cell: {', '.join(CELLS)}."), _is_one_of("cell", tuple(CELLS))
]
"""The setting that names a recurrent cell."""

OptimizerName = Annotated[str, _is_one_of("optimizer", OPTIMIZERS)]
"""The setting that names an optimiser."""


class TrainingSettings(TaskSettings):
    """How a network is trained: what the settings of every task that trains one have in common."""

    RESUMABLE: ClassVar[frozenset[str]] = frozenset(
        {"epochs", "steps", "time_budget", "patience", "checkpoint_every", "watch_gradients", "device", "threads"}
    )

    optimizer: OptimizerName = "muon"
    """The optimiser: adamw, sgd, or muon for the recurrent matrices and AdamW for the rest."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate of AdamW or SGD."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.05
    """Learning rate of Muon."""
    momentum: Probability = 0.0
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Weight decay of the matrices."""
    schedule: Annotated[str, _is_one_of("schedule", tuple(SCHEDULES))] = "cosine"
    """How the learning rate moves: constant, cosine, linear, trapezoid, exponential, plateau."""
    warmup: Annotated[int, Field(ge=0)] = 30
    """Steps over which the learning rate rises from zero."""
    decay_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The factor of the exponential and plateau schedules."""
    decay_after: Annotated[int, Field(ge=0)] = 4
    """Epochs before the exponential schedule begins to fall."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Clip the norm of the gradient to this."""
    clip_by: Literal["global", "each"] = "global"
    """Whether the norm is that of all gradients together or of each matrix's."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training data."""
    steps: Positive | None = None
    """Updates in all."""
    time_budget: Duration | None = None
    """Time to train, such as 90s, 10m or 1h30m."""
    validations: Positive = 12
    """Validations along the run."""
    patience: Positive | None = 5
    """Validations in a row without improvement before stopping early."""
    checkpoint_every: Annotated[float, Field(gt=0)] = 30.0
    """Seconds between two checkpoints; there is one at each validation too."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """Arithmetic: bf16 multiplies in bfloat16 with float32 weights; auto takes it where the hardware has it."""
    watch_gradients: bool = False
    """Whether to log every 50 steps how far gradients flow back in time, for about 0.6 % of the time."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""
    threads: Positive | None = None
    """Processor threads."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of everything random."""

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if sum(limit is not None for limit in (self.epochs, self.steps, self.time_budget)) > 1:
            raise ArgumentError("give one of `epochs`, `steps` and `time_budget`")
        return self

    @property
    def is_open_ended(self) -> bool:
        """Whether it isn't said how long to train."""
        return self.epochs is self.steps is self.time_budget is None

    @property
    def seconds(self) -> float | None:
        """The time budget."""
        return parse_duration(self.time_budget) if self.time_budget else None


@dataclass(frozen=True)
class Run:
    """Where a run takes place.

    Attributes:
        folder: gets all that the run leaves.
        processes: that train together.
        display: shows progress, in the main process alone.
        resume: whether to go on with what is in the folder.
    """

    folder: ModelFolder
    processes: Processes
    display: Display
    resume: bool = False

    @classmethod
    @contextmanager
    def started(
        cls, folder: ModelFolder, settings: TrainingSettings, display: Display | None, *, resume: bool
    ) -> Generator[Self]:
        """Set the number of threads, join the other processes, and show progress as long as the context lasts.

        Raises:
            ArgumentError: where the device isn't there.
        """
        if settings.threads:
            torch.set_num_threads(settings.threads)
        processes = Processes.join(settings.device)
        shown = display if display and processes.is_main else Display(quiet=True)
        with shown:
            yield cls(folder, processes, shown, resume)

    @property
    def has_begun(self) -> bool:
        """Whether there is a run in the folder to go on with."""
        return self.resume and self.folder.config_file.exists()


def train_network(  # noqa: PLR0913 - a run's parts
    network: nn.Module,
    objective: nn.Module,
    batches: Batches,
    validate: Callable[[], Validation],
    settings: TrainingSettings,
    run: Run,
    *,
    optimizers: Sequence[Optimizer],
    unit: str = "token",
    loss_unit: str = "nats",
    most_epochs: float | None = None,
    validates_first: bool = False,
    readings: Callable[[], Sequence[Reading]] = tuple,
) -> Position:
    """Train a network; the folder keeps the best weights, the log and what a resumed run needs.

    Args:
        network: whose weights are kept.
        objective: holds the network; from (batch, carried state) to an Objective.
        batches: this process's.
        validate: judges the network as it is, alike in all processes.
        settings: complete.
        run: where.
        optimizers: of the network's parameters; see ``optimizers_of``.
        unit: what a target is, such as a token or a text.
        loss_unit: what the loss is counted in.
        validates_first: whether the network is judged before it has learned anything, too.
        most_epochs: after how many passes over the data a run ends whose time budget would allow for more.
        readings: what the network's recurrent layers read as it is, to watch gradients by.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    epochs = settings.epochs or (most_epochs if settings.time_budget else None)
    steps = max(1, round(epochs * len(batches))) if epochs else settings.steps
    recorder = Recorder(
        run.folder,
        network,
        display=run.display,
        seconds=settings.seconds,
        is_main=run.processes.is_main,
        unit=unit,
        loss_unit=loss_unit,
        watch=partial(watch_gradients, network, readings) if settings.watch_gradients else None,
    )
    trainer = Trainer(
        model=objective,
        optimizers=optimizers,
        schedule=Schedule(settings.schedule, settings.warmup, settings.decay_rate, settings.decay_after),
        batches=batches,
        validate=validate,
        clip=clipping(settings),
        limits=Limits(steps, settings.seconds, settings.validations, settings.patience),
        observer=recorder,
        processes=run.processes,
        precision=settings.precision,
        checkpoint_seconds=settings.checkpoint_every,
        validates_first=validates_first,
    )
    # Each process drops other units.
    torch.manual_seed(settings.seed + run.processes.rank)
    if run.resume and run.folder.state_file.exists():
        recorder.resume(trainer)
    position = trainer.run()
    recorder.finish(position)
    return position


def watch_gradients(network: nn.Module, readings: Callable[[], Sequence[Reading]]) -> dict[str, object]:
    """How far a network's gradients flow back as it is, for its log: of each layer and direction.

    Its cost is a pass through the recurrent layers and back for each look, of as many steps as the reading has.

    Returns:
        ``gradient_flow``: for each layer and direction its name, the verdict, the effective horizon (None where it is
        beyond the reading), and the relative norm at lags 1, 2, 4, 8, ...
    """
    training = network.training
    network.eval()
    try:
        found = readings()
        flows = [gradient_flow(one.layer, one.inputs, one.loss, state=one.state) for one in found]
    finally:
        network.train(training)
    records: list[dict[str, object]] = []
    for reading, flow in zip(found, flows, strict=True):
        rows = zip(flow.names, flow.verdicts(), flow.horizons(), flow.relative.tolist(), strict=True)
        for name, verdict, horizon, relative in rows:
            shares = {str(lag): relative[lag] for lag in (2**power for power in range(20)) if lag < len(relative)}
            own = name if len(found) == 1 else f"{reading.name}, {name}"
            records.append({"layer": own, "verdict": verdict, "horizon": horizon, "relative_norm": shares})
    return {"gradient_flow": records}


def optimizers_of(
    parameters: Sequence[nn.Parameter], hidden_matrices: Sequence[nn.Parameter], settings: TrainingSettings
) -> list[Optimizer]:
    """The optimisers that the settings name.

    Args:
        parameters: all that are trained.
        hidden_matrices: those among them that Muon may move.
        settings: name and rates.
    """
    return build_optimizers(
        settings.optimizer,
        parameters,
        hidden_matrices=hidden_matrices,
        learning_rate=settings.learning_rate,
        matrix_learning_rate=settings.matrix_learning_rate,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
    )


def clipping(settings: TrainingSettings) -> Callable[[Sequence[nn.Parameter]], Any]:
    """How gradients are clipped; without a maximal norm they are measured alone."""
    clip = clip_each_norm if settings.clip_by == "each" else clip_global_norm
    return partial(clip, max_norm=float("inf") if settings.clip is None else settings.clip)
