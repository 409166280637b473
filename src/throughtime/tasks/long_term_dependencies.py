"""Long-term dependencies: which cells learn what lies far back, and how much of the gradient gets there.

Each cell is trained on sequences in which something at the beginning decides about the end. Beside how well it does
stands the norm of the gradient on its way back, before training and after it.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from throughtime.cells import CELLS
from throughtime.data import LONG_TERM_TASKS, GeneratedBatch, LongTermSequences
from throughtime.errors import ModelFolderError, TrainingError, check_choice
from throughtime.models import RecurrentReadout
from throughtime.nn import chrono_biases_, record_gradient_norms
from throughtime.tasks.model_runs import new_folder, resumed_settings, write_settings
from throughtime.tasks.network_training import Run, TrainingSettings, optimizers_of, train_network
from throughtime.tasks.settings import Positive
from throughtime.training import Display, ModelFolder, Objective, Position, Validation, read_metrics

TASK = "long_term_dependencies"
STEPS = 1_500
VALIDATION_SEQUENCES = 500
TEST_SEQUENCES = 2_000
INTERRUPTED = "interrupted"
SOLVED = 0.01
"""The share of a guess's loss below which a task is solved."""
FORGOTTEN = 0.01
"""The share of the gradient below which nothing is learned from a step any more."""


def cell_names(text: str) -> tuple[str, ...]:
    """The cells of a list with commas.

    >>> cell_names("gru, lstm")
    ('gru', 'lstm')

    Raises:
        ArgumentError: for a name that isn't a cell's.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        check_choice("cells", name, CELLS)
    return names


def _checked_cells(text: str) -> str:
    cell_names(text)
    return text


class Settings(TrainingSettings):
    """Settings of the comparison; the limits are each cell's but for the time budget, which they share."""

    task: Literal["adding", "copy"] = "adding"
    """What is to be learned: the sum of two marked numbers, or ten symbols to be said again."""
    length: Annotated[int, Field(ge=10)] = 200
    """Steps of the adding problem's sequences; steps of silence of the copy task."""
    cells: Annotated[str, AfterValidator(_checked_cells)] = ",".join(CELLS)
    """The cells to compare, such as gru,lstm,rnn_tanh; all by default."""
    hidden_size: Positive = 32
    """Units of the one recurrent layer."""
    recurrent_init: Literal["orthogonal", "uniform"] = "orthogonal"
    """How each gate's recurrent matrix begins: orthogonal, or uniform as in torch.nn."""
    gate_init: Literal["chrono", "one", "uniform"] = "chrono"
    """How the gates that keep the state begin: chrono, spread over the length; one, at 1; uniform, as in torch.nn."""

    batch_size: Positive = 32
    """Sequences of a batch."""
    optimizer: str = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    patience: Positive | None = None
    """Validations in a row without improvement before a cell is given up; none by default, since a cell may see nothing
    for long and then all at once."""
    validations: Positive = 20
    """Validations along a cell's run."""

    @property
    def names(self) -> tuple[str, ...]:
        """The cells' names."""
        return cell_names(self.cells)


@dataclass(frozen=True)
class CellResult:
    """What one cell made of the task.

    Attributes:
        model: the cell's name.
        weights: of the network.
        loss: on sequences that it hasn't seen.
        right: the share of its answers to them that are right.
        solved_at: the update after which its validation loss was below a hundredth of a guess's; None if never.
        losses: validation loss by update.
        gradient_before: the norm of dL/dh_{t-k} by the lag k, from 0 on, of the loss of the last answer; of the fresh
            network, divided by that at lag 1.
        gradient_after: that of the trained network.
        seconds: of training.
        failure: why training ended early; None if it didn't.
    """

    model: str
    weights: int
    loss: float
    right: float
    solved_at: int | None
    losses: tuple[tuple[int, float], ...]
    gradient_before: tuple[float, ...]
    gradient_after: tuple[float, ...]
    seconds: float
    failure: str | None = None

    @property
    def reach(self) -> int | None:
        """The lag from which on less than a hundredth of the fresh network's gradient is left; None for no such lag."""
        last = max((lag for lag, norm in enumerate(self.gradient_before) if lag and norm >= FORGOTTEN), default=1)
        return None if last + 1 == len(self.gradient_before) else last + 1


@dataclass(frozen=True)
class Comparison:
    """The comparison of cells.

    Attributes:
        task: adding or copy.
        length: of the sequences.
        guess: the loss of who doesn't remember.
        measure: what the loss is.
        rows: one for each cell.
    """

    task: str
    length: int
    guess: float
    measure: str
    rows: tuple[CellResult, ...]


class LastingObjective(nn.Module):
    """The mean loss of a network on generated sequences."""

    def __init__(self, network: nn.Module, sequences: LongTermSequences) -> None:
        super().__init__()
        self.network = network
        self.sequences = sequences

    def forward(self, batch: GeneratedBatch, _: object = None) -> Objective:
        """Answer the batch; nothing is carried."""
        device = next(self.parameters()).device
        outputs: Tensor = self.network(batch.inputs.to(device))
        return Objective(self.sequences.loss(outputs, batch.targets.to(device)), batch.inputs.shape[1])


def load_data(settings: Settings, *, rank: int = 0) -> LongTermSequences:
    """The sequences that the settings name."""
    sequences = LONG_TERM_TASKS[settings.task]
    return sequences(settings.length, batch_size=settings.batch_size, seed=settings.seed, rank=rank)


def build_model(cell: str, sequences: LongTermSequences, settings: Settings) -> RecurrentReadout:
    """Make a network of one cell, with fresh weights that are the same for the same seed."""
    torch.manual_seed(settings.seed)
    gates = [gate for gate in CELLS[cell].gates if gate in {"forget", "update"}]
    network = RecurrentReadout(
        cell,
        sequences.input_size,
        settings.hidden_size,
        sequences.output_size,
        recurrent_init=settings.recurrent_init,
        gate_biases=dict.fromkeys(gates, 1.0) if settings.gate_init == "one" else None,
    )
    if settings.gate_init == "chrono":
        chrono_biases_(network, sequences.span)
    return network


def compare(
    settings: Settings,
    *,
    output: Path | None = None,
    resume: bool = False,
    display: Display | None = None,
    told: Callable[[CellResult], str] = lambda row: f"{row.model}: {row.loss:.6f}",
) -> Comparison:
    """Train each cell and measure it.

    Args:
        settings: what to learn, with which cells.
        output: a folder to keep a model folder for each cell in; nothing is kept if None.
        resume: go on with what is in ``output``; cells that are finished aren't trained again.
        display: shows progress.
        told: words each cell's result for the display as soon as it is there.

    Raises:
        ArgumentError: where a resumed comparison has other settings.
        ModelFolderError: where the folder can't be used.
    """
    names = settings.names
    if settings.seconds is not None:
        settings = settings.replaced(time_budget=str(settings.seconds / len(names)))
    elif settings.epochs is settings.steps is None:
        settings = settings.replaced(steps=STEPS)
    if output is not None and not resume and output.is_dir() and any(output.iterdir()):
        raise ModelFolderError(
            f"{output}: is not empty; give a folder that is empty or doesn't exist yet, or go on with a comparison by "
            "`resume`"
        )
    place = output or Path(tempfile.mkdtemp(prefix="throughtime-"))
    rows: list[CellResult] = []
    try:
        with display or Display(quiet=True) as shown:
            for number, name in enumerate(names):
                part = shown.part(f"{name}, {number + 1} of {len(names)}", number / len(names), 1 / len(names))
                rows.append(run_cell(name, settings, ModelFolder(place / name), part, resume=resume))
                shown.line(told(rows[-1]))
                if rows[-1].failure == INTERRUPTED:
                    break
    finally:
        if output is None:
            shutil.rmtree(place, ignore_errors=True)
    sequences = load_data(settings)
    return Comparison(settings.task, settings.length, sequences.guess, sequences.measure, tuple(rows))


def run_cell(cell: str, settings: Settings, folder: ModelFolder, display: Display, *, resume: bool) -> CellResult:
    """Train one cell, or go on with it, and measure it; see ``compare``."""
    settings = settings.replaced(cells=cell)
    with Run.started(folder, settings, display, resume=resume) as run:
        if run.has_begun:
            settings = resumed_settings(folder, TASK, settings)
        else:
            with new_folder(folder, run.processes, may_exist=resume):
                write_settings(folder, TASK, settings)
        sequences = load_data(settings, rank=run.processes.rank)
        network = build_model(cell, sequences, settings).to(run.processes.device)
        before = gradient_by_lag(network, sequences)
        begun, failure = time.monotonic(), None
        try:
            if fit(network, sequences, settings, run).stopped == INTERRUPTED:
                failure = INTERRUPTED
        except TrainingError as error:
            failure = str(error)
        seconds = time.monotonic() - begun
    if folder.weights_file.exists():
        folder.load_weights(network, run.processes.device)
    loss, right = judge(network, sequences, TEST_SEQUENCES, number=1)
    records = [record for record in read_metrics(folder.metrics_file) if "validation_loss" in record]
    losses = tuple((record["step"], record["validation_loss"]) for record in records)
    return CellResult(
        cell,
        sum(weight.numel() for weight in network.parameters()),
        loss,
        right,
        next((step for step, found in losses if found < SOLVED * sequences.guess), None),
        losses,
        before,
        gradient_by_lag(network, sequences),
        records[-1]["seconds"] if records else seconds,
        failure,
    )


def fit(network: RecurrentReadout, sequences: LongTermSequences, settings: Settings, run: Run) -> Position:
    """Train the network on sequences that are drawn anew for each update.

    Raises:
        TrainingError: where the loss or the gradient is not finite.
    """
    return train_network(
        network,
        LastingObjective(network, sequences),
        sequences,
        partial(_validate, network, sequences, run),
        settings,
        run,
        optimizers=optimizers_of(list(network.parameters()), network.hidden_matrices(), settings),
        unit="sequence",
        loss_unit=sequences.measure,
    )


def _validate(network: RecurrentReadout, sequences: LongTermSequences, run: Run) -> Validation:
    loss, right = judge(network, sequences, VALIDATION_SEQUENCES, number=0)
    return Validation(run.processes.first(loss), {"right": run.processes.first(right)})


@torch.inference_mode()
def judge(network: nn.Module, sequences: LongTermSequences, count: int, *, number: int) -> tuple[float, float]:
    """The mean loss on held-out sequences, and the share of right answers.

    Args:
        network: what answers.
        sequences: which.
        count: how many.
        number: which of those that are held out; see ``LongTermSequences.held_out``.
    """
    device = next(network.parameters()).device
    batch = sequences.held_out(count, number)
    outputs = torch.cat([network(part.to(device)).cpu() for part in batch.inputs.split(250, dim=1)], dim=1)
    return float(sequences.loss(outputs, batch.targets)), sequences.right(outputs, batch.targets)


def gradient_by_lag(network: RecurrentReadout, sequences: LongTermSequences, count: int = 64) -> tuple[float, ...]:
    """The norm of dL/dh_{t-k} for k = 0, 1, ..., where L is the loss of the answer at the last step t.

    The mean over ``count`` sequences, in float64 since it may become very small, divided by that at lag 1. At lag 0 the
    loss reads h_t itself; from lag 1 on, what comes back has gone through the cell, and in an LSTM through its cell
    state, on all paths.
    """
    precise = copy.deepcopy(network).cpu().double().train()
    batch = sequences.held_out(count, number=2)
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    with record_gradient_norms(precise.recurrent) as norms:
        sequences.last_loss(precise(batch.inputs.double()), targets).backward()
    by_lag: Sequence[float] = norms[""][0][0].mean(dim=1).flip(0).tolist()
    return tuple(norm / max(by_lag[1], 1e-300) for norm in by_lag)
