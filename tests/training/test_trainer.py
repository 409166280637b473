from __future__ import annotations

import json
import math
import os
import signal
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from throughtime.bptt import clip_each_norm, clip_global_norm
from throughtime.errors import TrainingError
from throughtime.training import (
    Limits,
    Objective,
    Position,
    Processes,
    Schedule,
    StepReport,
    Trainer,
    Validation,
    build_optimizers,
)
from throughtime.training.checkpoint import load_tree, save_tree

CPU = Processes(0, 1, torch.device("cpu"))


class Numbers:
    """Batches of a noisy line; each can be made again."""

    def __len__(self) -> int:
        return 7

    def batch(self, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1000 * epoch + index)
        inputs = torch.randn(4, 3, generator=generator)
        return inputs, inputs @ torch.tensor([1.0, -2.0, 0.5]) + 0.1


class CarryingModel(nn.Module):
    """A linear model with dropout whose prediction also reads a state that it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.dropout = nn.Dropout(0.2)
        self.scale = 1.0

    def forward(self, batch: tuple[Tensor, Tensor], carried: Any) -> Objective:
        inputs, targets = batch
        state = torch.zeros(4) if carried is None else carried[0]
        predicted = self.layer(self.dropout(inputs)).squeeze(-1) + 0.01 * state
        loss = self.scale * (predicted - targets).square().mean()
        return Objective(loss, 4, (0.5 * state + predicted,))


class Log:
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.validations: list[tuple[int, bool]] = []
        self.saved: list[dict[str, object]] = []

    def stepped(self, position: Position, report: StepReport) -> None:
        self.losses.append(report.loss)

    def validated(self, position: Position, found: Validation, *, is_best: bool) -> None:
        self.validations.append((position.step, is_best))

    def checkpoint(self, trainer: Trainer) -> None:
        self.saved.append(trainer.state())


def make(limits: Limits, log: Log, *, optimizer: str = "adamw", validate: Any = None, **options: Any) -> Trainer:
    torch.manual_seed(3)
    model = CarryingModel()
    options.setdefault("clip", partial(clip_global_norm, max_norm=1.0))
    return Trainer(
        model=model,
        optimizers=build_optimizers(
            optimizer,
            model.parameters(),
            hidden_matrices=[cast("nn.Parameter", model.layer.weight)],
            learning_rate=0.05,
        ),
        schedule=Schedule("cosine", warmup=3),
        batches=Numbers(),
        validate=validate or (lambda: Validation(float(model.layer.weight.detach().norm()))),
        limits=limits,
        observer=log,
        processes=CPU,
        **options,
    )


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("stop", [1, 6, 11])
def test_a_resumed_run_makes_the_very_same_losses(tmp_path: Any, optimizer: str, stop: int) -> None:
    whole = Log()
    make(Limits(steps=20, validations=4), whole, optimizer=optimizer).run()

    first = Log()
    killed = make(Limits(steps=20, validations=4), first, optimizer=optimizer)
    original = first.stepped

    def stop_there(position: Position, report: StepReport) -> None:
        original(position, report)
        if position.step == stop:
            save_tree(tmp_path / "state.safetensors", killed.state())
            raise KeyboardInterrupt

    first.stepped = stop_there  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    torch.manual_seed(99)  # the resumed process starts from other random numbers

    second = Log()
    resumed = make(Limits(steps=20, validations=4), second, optimizer=optimizer)
    resumed.load_state(load_tree(tmp_path / "state.safetensors"))
    resumed.run()

    assert len(whole.losses) == 20
    assert first.losses + second.losses == whole.losses
    assert [step for step, _ in first.validations + second.validations] == [5, 10, 15, 20]


def test_the_observer_may_save_before_the_step_counts() -> None:
    log = Log()
    trainer = make(Limits(steps=6, validations=2), log)
    position = trainer.run()
    assert position.stopped == "finished"
    assert position.step == 6
    assert position.targets == 24
    assert [step for step, _ in log.validations] == [3, 6]
    assert len(log.saved) == 2


def test_early_stopping_waits_for_patience_and_keeps_the_best_step() -> None:
    losses = iter([3.0, 2.0, 2.5, 2.4, 2.3, 1.0])
    log = Log()
    trainer = make(Limits(steps=60, validations=6, patience=3), log, validate=lambda: Validation(next(losses)))
    position = trainer.run()
    assert position.stopped == "early stopping"
    assert position.best_loss == 2.0
    assert position.best_step == 20
    assert position.step == 50


def test_what_a_run_begins_with_may_be_the_best_of_it() -> None:
    losses = iter([1.0, 2.0, 3.0, 2.5])
    log = Log()
    trainer = make(
        Limits(steps=30, validations=3), log, validate=lambda: Validation(next(losses)), validates_first=True
    )
    position = trainer.run()
    assert log.validations == [(0, True), (10, False), (20, False), (30, False)]
    assert (position.best_step, position.best_loss, position.validations) == (0, 1.0, 3)


def test_a_score_decides_in_place_of_the_loss() -> None:
    found = iter([Validation(3.0, score=0.5), Validation(2.0, score=0.4), Validation(4.0, {"accuracy": 0.6}, 0.6)])
    log = Log()
    position = make(Limits(steps=30, validations=3), log, validate=lambda: next(found)).run()
    assert log.validations == [(10, True), (20, False), (30, True)]
    assert (position.best_loss, position.best_score, position.best_step) == (4.0, 0.6, 30)


def test_the_share_of_clipped_steps_is_counted() -> None:
    for norm, clipped in ((1e-9, 10), (1e9, 0)):
        trainer = make(Limits(steps=10), Log(), clip=partial(clip_each_norm, max_norm=norm))
        assert trainer.run().clipped_steps == clipped


def test_a_time_budget_ends_the_run() -> None:
    trainer = make(Limits(seconds=0.2, validations=3), Log())
    position = trainer.run()
    assert position.stopped == "finished"
    assert 0.2 <= position.seconds < 5


@pytest.mark.parametrize("scale", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_stops_with_advice_and_spares_the_weights(scale: float) -> None:
    trainer = make(Limits(steps=10), Log())
    model = cast("CarryingModel", trainer.model)
    model.scale = scale
    before = model.layer.weight.clone()
    with pytest.raises(TrainingError, match=r"the loss is (inf|nan) at step 1; .* Try a smaller learning rate"):
        trainer.run()
    assert torch.equal(model.layer.weight, before)


def test_an_interrupt_finishes_the_step_saves_and_can_be_resumed() -> None:
    log = Log()
    trainer = make(Limits(steps=30, validations=1), log)
    original = log.stepped

    def interrupt(position: Position, report: StepReport) -> None:
        original(position, report)
        if position.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    log.stepped = interrupt  # type: ignore[method-assign]
    position = trainer.run()
    assert position.stopped == "interrupted"
    assert position.step == 4
    assert len(log.saved) == 1
    assert trainer.run().step == 30


def test_a_run_is_resumed_by_as_many_processes_as_saved_it() -> None:
    trainer = make(Limits(steps=3), Log())
    trainer.run()
    state = trainer.state()
    state["random_states"] = torch.stack([torch.get_rng_state()] * 2)
    with pytest.raises(TrainingError, match="saved by 2 processes"):
        trainer.load_state(state)


def test_a_finished_run_goes_on_when_it_is_given_more_steps() -> None:
    first, more = Log(), Log()
    short = make(Limits(steps=10, validations=2), first)
    short.run()
    longer = make(Limits(steps=20, validations=4), more)
    longer.load_state(short.state())
    assert longer.run().step == 20
    assert [step for step, _ in more.validations] == [15, 20]
    assert longer.run().step == 20


def test_the_position_is_plain_json() -> None:
    assert json.loads(json.dumps(vars(Position())))["best_loss"] == math.inf
