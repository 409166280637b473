"""The README.md of a model folder: what was learned from, how, and how well. What the cards of all tasks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from throughtime.data import Splits
from throughtime.files import write_text
from throughtime.models import (
    ClassifyingNetwork,
)
from throughtime.tasks.class_targets import ClassTargets
from throughtime.tasks.classification import LabelSettings
from throughtime.tasks.settings import TaskSettings
from throughtime.training import ModelFolder, describe_hardware, duration, read_metrics
from throughtime.version import __version__


def classifier_card(
    folder: ModelFolder,
    title: str,
    settings: LabelSettings,
    splits: Splits[Any],
    targets: ClassTargets,
    network: ClassifyingNetwork,
    *,
    reads: str,
    example: str,
    command: str = "classify",
) -> None:
    """Write the model card of a classifier into its folder.

    Args:
        folder: the model's.
        title: what the model is.
        settings: that it was trained with.
        splits: that it was trained on.
        targets: its classes.
        network: whose weights are counted.
        reads: what it reads, for people to read.
        example: what a user would give it.
        command: that trains it.
    """
    unit = splits.train.UNIT

    def reached(best: dict[str, Any]) -> str:
        return (
            f"**accuracy {best['validation_accuracy']:.2%}**, macro F1 {best['validation_macro_f1']:.4f}, "
            f"{best['validation_loss']:.4f} nats per {unit}"
        )

    parts = splits.parts()
    rows = [
        f"| {label} | {' | '.join(f'{part.counts().get(label, 0):,}' for part in parts.values())} |"
        for label in targets.classes
    ]
    write_card(
        folder,
        title,
        f"{settings.name[0].upper()}{settings.name[1:]}; {weights_of(network)}, {reads}.",
        training_figures(folder, network, "Best validation", reached, decisive=settings.decisive),
        data=[f"| class | {' | '.join(parts)} |", f"|---|{'---:|' * len(parts)}", *rows],
        settings=settings,
        use=[
            f"throughtime {command} predict {folder.path.name} {example}",
            f"throughtime {command} evaluate {folder.path.name} DATA",
        ],
    )


def write_card(
    folder: ModelFolder,
    title: str,
    model: str,
    training: str,
    *,
    data: Sequence[str] = (),
    settings: TaskSettings,
    use: Sequence[str],
) -> None:
    """Write a model card, and the name and version of what trained the model.

    Args:
        folder: the model's.
        title: what the model is.
        model: its network, a line.
        training: how far it came; see ``training_figures``.
        data: lines about what it was trained on.
        settings: that it was trained with.
        use: commands that use it.
    """
    chosen = [f"| `{name}` | {value} |" for name, value in settings.model_dump(exclude_none=True).items()]
    sections = [
        f"# {title}",
        f"{model} Trained by throughtime {__version__}.",
        training,
        "![loss](loss.png)",
        *(["## Data", "\n".join(data)] if data else []),
        "## Settings",
        "\n".join(["| setting | value |", "|---|---|", *chosen]),
        "## Use",
        "\n".join(["```", *use, "```"]),
    ]
    write_text(folder.card_file, "\n\n".join(sections) + "\n")


def weights_of(network: nn.Module) -> str:
    """How many weights a network has, for people to read."""
    return f"{sum(weight.numel() for weight in network.parameters()):,} weights"


def training_figures(
    folder: ModelFolder,
    network: nn.Module,
    title: str,
    reached: Callable[[dict[str, Any]], str],
    *,
    decisive: str = "loss",
) -> str:
    """How far the validations came, of which the best has the lowest loss or the highest other figure; and how long."""
    records = read_metrics(folder.metrics_file)
    validations = [record for record in records if "validation_loss" in record]
    told = "There was no validation yet."
    if validations:
        name, sign = f"validation_{decisive}", -1 if decisive == "loss" else 1
        best = max(validations, key=lambda record: sign * record[name])
        told = f"{title}: {reached(best)}, at step {best['step']:,} (epoch {best['epoch']})."
    seconds = records[-1]["seconds"] if records else 0.0
    return f"{told} Trained for {duration(seconds)} on {describe_hardware(next(network.parameters()).device)}."
