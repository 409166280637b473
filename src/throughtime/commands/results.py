"""What all commands do with paths and with results as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from throughtime.commands import STANDARD_INPUT
from throughtime.training import ModelFolder, read_metrics


def given_path(path: Path) -> Path:
    """The path that was meant: "-" for what stands for a bare hyphen."""
    return Path("-") if str(path) == STANDARD_INPUT else path


def given_paths(paths: Iterable[Path]) -> list[Path]:
    """``given_path`` of each."""
    return [given_path(path) for path in paths]


def print_json(result: object) -> None:
    """Print a result, indented, in its own letters."""
    print(json.dumps(result, indent=2, ensure_ascii=False))


def training_result(folder: ModelFolder, evaluation: Mapping[str, object]) -> dict[str, object]:
    """What ``train --json`` prints: the folder, how far the run came, and its evaluation."""
    records = read_metrics(folder.metrics_file)
    last = records[-1] if records else {"step": 0, "seconds": 0.0}
    return {"folder": str(folder.path), "steps": last["step"], "seconds": last["seconds"], **evaluation}
