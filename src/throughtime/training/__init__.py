"""The training loop, what it optimises, and what it leaves behind."""

from throughtime.training.answer_objective import AnswerObjective, answer_loss
from throughtime.training.averaging import Checkpoints
from throughtime.training.checkpoint import load_tree, save_tree
from throughtime.training.figures import save_loss_curve
from throughtime.training.frame_objective import NextFrameObjective, next_frame_losses
from throughtime.training.interrupts import interrupts
from throughtime.training.model_folder import ModelFolder, keep_metrics_until, read_metrics
from throughtime.training.objectives import (
    ClassificationObjective,
    NextTokenObjective,
    Objective,
    classification_loss,
    next_token_loss,
)
from throughtime.training.optimizers import OPTIMIZERS, build_optimizers
from throughtime.training.processes import Processes, autocast, choose_device, choose_precision
from throughtime.training.progress import Display, duration, perplexity
from throughtime.training.recorder import Recorder, describe_hardware
from throughtime.training.reinforced_objective import ReinforcedObjective
from throughtime.training.schedules import SCHEDULES, Moment, Schedule
from throughtime.training.trainer import Batches, Limits, Position, StepReport, Trainer, Validation
from throughtime.training.translation_objective import TranslationObjective, target_loss, valid_targets

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "AnswerObjective",
    "Batches",
    "Checkpoints",
    "ClassificationObjective",
    "Display",
    "Limits",
    "ModelFolder",
    "Moment",
    "NextFrameObjective",
    "NextTokenObjective",
    "Objective",
    "Position",
    "Processes",
    "Recorder",
    "ReinforcedObjective",
    "Schedule",
    "StepReport",
    "Trainer",
    "TranslationObjective",
    "Validation",
    "answer_loss",
    "autocast",
    "build_optimizers",
    "choose_device",
    "choose_precision",
    "classification_loss",
    "describe_hardware",
    "duration",
    "interrupts",
    "keep_metrics_until",
    "load_tree",
    "next_frame_losses",
    "next_token_loss",
    "perplexity",
    "read_metrics",
    "save_loss_curve",
    "save_tree",
    "target_loss",
    "valid_targets",
]
