"""Pictures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from throughtime.files import replacing


def save_loss_curve(records: Sequence[Mapping[str, Any]], path: Path, *, per: str = "nats per token") -> None:
    """Draw training and validation loss against steps, from the records of a metrics.jsonl, into a PNG file.

    Args:
        records: what was logged.
        path: the file.
        per: what the loss is counted in and the mean over, for the axis.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and needed once, at the end

    train = [(record["step"], record["loss"]) for record in records if "loss" in record]
    validation = [(record["step"], record["validation_loss"]) for record in records if "validation_loss" in record]
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    if train:
        axes.plot(*zip(*train, strict=True), color="#9db4c8", linewidth=1, label="training")
    if validation:
        axes.plot(
            *zip(*validation, strict=True),
            color="#c0392b",
            linewidth=2,
            marker="o",
            markersize=4,
            label="validation",
        )
        best_step, best = min(validation, key=lambda point: point[1])
        axes.annotate(
            f"best {best:.3f}",
            (best_step, best),
            xytext=(0, 12),
            textcoords="offset points",
            ha="right",
            color="#c0392b",
        )
    # The first steps stand far above the rest and would flatten what matters.
    losses = sorted(loss for _, loss in [*train, *validation])
    if losses:
        bottom, top = losses[0], losses[int(0.97 * (len(losses) - 1))]
        margin = 0.05 * (top - bottom) or 0.1
        axes.set_ylim(bottom - margin, top + margin)
    axes.set_xlabel("step")
    axes.set_ylabel(f"loss ({per})")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if train or validation:
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
