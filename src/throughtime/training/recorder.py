"""Keeps what a run produces: the log, the best weights, the checkpoint, and the display."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

from throughtime.files import append_line
from throughtime.training.checkpoint import load_tree, save_tree
from throughtime.training.figures import save_loss_curve
from throughtime.training.model_folder import ModelFolder, keep_metrics_until, read_metrics
from throughtime.training.progress import Display, duration, perplexity
from throughtime.training.trainer import Position, StepReport, Trainer, Validation


class Recorder:
    """Observes one run of training and writes its model folder.

    Args:
        folder: where to write; only the main process writes.
        network: whose weights are kept whenever a validation is the best so far.
        display: where to show progress.
        seconds: the run's time budget, if it has one, to tell the time left.
        log_every: steps between two lines of the log.
        is_main: whether this process writes and shows.
        unit: what a target is, in the singular; where it is a token, losses are shown as perplexities, too.
        loss_unit: what the loss is counted in.
        watch: looks at the network as it is, and gives what is to be logged beside the losses; None for not.
        watch_every: steps between two looks.
    """

    def __init__(
        self,
        folder: ModelFolder,
        network: nn.Module,
        *,
        display: Display,
        seconds: float | None,
        log_every: int = 10,
        is_main: bool = True,
        unit: str = "token",
        loss_unit: str = "nats",
        watch: Callable[[], Mapping[str, object]] | None = None,
        watch_every: int = 50,
    ) -> None:
        self.folder = folder
        self.network = network
        self.display = display
        self.seconds = seconds
        self.log_every = log_every
        self.is_main = is_main
        self.unit = unit
        self.loss_unit = loss_unit
        self.watch = watch
        self.watch_every = watch_every
        self._begun = time.monotonic()
        self._targets_before: int | None = None
        self._recent_loss: float | None = None
        self._validation = ""

    def resume(self, trainer: Trainer) -> None:
        """Load the checkpoint into the trainer and cut the log back to it."""
        trainer.load_state(load_tree(self.folder.state_file))
        if self.is_main:
            self.folder.sweep()
            keep_metrics_until(self.folder.metrics_file, trainer.position.step)

    def stepped(self, position: Position, report: StepReport) -> None:
        """Note one update: a line in the log every ``log_every`` steps, and the bar."""
        if position.step % self.log_every == 0:
            loss = position.interval_loss / position.interval_steps
            position.interval_loss, position.interval_steps = 0.0, 0
            self._log(
                {
                    "step": position.step,
                    "epoch": position.epoch,
                    "loss": loss,
                    "gradient_norm": report.gradient_norm,
                    "clipped_fraction": position.clipped_steps / position.step,
                    "learning_rate_factor": report.learning_rate_factor,
                    "seconds": round(position.seconds, 2),
                }
            )
        if self.watch is not None and self.is_main and (position.step == 1 or position.step % self.watch_every == 0):
            self._log({"step": position.step, "epoch": position.epoch, **self.watch()})
        self._show(position, report)

    def validated(self, position: Position, found: Validation, *, is_best: bool) -> None:
        """Note a validation, and keep the weights if it is the best."""
        record = {"step": position.step, "epoch": position.epoch, "validation_loss": found.loss}
        figures = {f"validation_{name}": value for name, value in found.figures.items()}
        self._log({**record, **figures, "seconds": round(position.seconds, 2)})
        if not self.is_main:
            return
        if is_best:
            self.folder.save_weights(self.network)
        shown = "".join(f", {name.replace('_', ' ')} {value:.4f}" for name, value in found.figures.items())
        self._validation = f"validation {found.loss:.4f}{shown}"
        clipped = position.clipped_steps / max(position.step, 1)
        train = "" if self._recent_loss is None else f"train {self._recent_loss:.4f}  "
        self.display.line(
            f"step {position.step:,}  epoch {position.epoch}  {duration(position.seconds)}  "
            f"{train}validation {found.loss:.4f} {self.loss_unit}"
            f"{self._perplexity(found.loss, ', ')}{shown}  clipped {clipped:.0%}{'  (best)' if is_best else ''}"
        )

    def _perplexity(self, loss: float, before: str) -> str:
        return f"{before}perplexity {perplexity(loss):.2f}" if self.unit == "token" else ""

    def checkpoint(self, trainer: Trainer) -> None:
        """Write what a resumed run needs."""
        state = trainer.state()
        if self.is_main:
            save_tree(self.folder.state_file, state)

    def finish(self, position: Position) -> None:
        """Draw the loss curve, say why the run ended, and leave weights even if there was no validation yet."""
        if not self.is_main:
            return
        if not self.folder.weights_file.exists():
            self.folder.save_weights(self.network)
        save_loss_curve(
            read_metrics(self.folder.metrics_file), self.folder.figure_file, per=f"{self.loss_unit} per {self.unit}"
        )
        if position.stopped == "interrupted":
            self.display.line(f"interrupted at step {position.step:,} and saved; --resume goes on from there")
        elif position.stopped == "early stopping":
            self.display.line(f"stopped early: no validation was better since step {position.best_step:,}")

    def _log(self, record: dict[str, object]) -> None:
        if self.is_main:
            append_line(self.folder.metrics_file, json.dumps(record))

    def _show(self, position: Position, report: StepReport) -> None:
        if self._targets_before is None:
            # Speed is counted from after the first step, which pays for allocation and warming up.
            self._targets_before, self._begun = position.targets, time.monotonic()
        self._recent_loss = report.loss if self._recent_loss is None else 0.95 * self._recent_loss + 0.05 * report.loss
        elapsed = max(time.monotonic() - self._begun, 1e-9)
        speed = (position.targets - self._targets_before) / elapsed
        done = max(report.fraction, 1e-9)
        left = self.seconds * (1 - done) if self.seconds else position.seconds * (1 - done) / done
        loss = self._recent_loss
        self.display.update(
            "training",
            report.fraction,
            f"loss {loss:.3f}{self._perplexity(loss, '  ')}  {self._validation}  "
            f"{speed:,.0f} {self.unit}s/s  {duration(left)} left",
        )


def describe_hardware(device: torch.device) -> str:
    """The device and the number of threads, for the model card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
