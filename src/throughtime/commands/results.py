"""What all commands do with paths and with results as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from throughtime.commands import STANDARD_INPUT
from throughtime.errors import ArgumentError
from throughtime.training import ModelFolder, read_metrics


def given_path(path: Path) -> Path:
    """The path that was meant: "-" for what stands for a bare hyphen."""
    return Path("-") if str(path) == STANDARD_INPUT else path


def given_paths(paths: Iterable[Path]) -> list[Path]:
    """``given_path`` of each."""
    return [given_path(path) for path in paths]


def check_columns_have_data(data: Sequence[Path], **columns: object) -> None:
    """Raise ArgumentError where it is said where other data has something, and there is none: it would be ignored."""
    for name, value in columns.items():
        if value is not None and not data:
            raise ArgumentError(f"`{name}` says where other data has what it needs; give files or folders with it")


def print_json(result: object) -> None:
    """Print a result, indented, in its own letters; what is not finite as null, since JSON has no NaN."""
    print(json.dumps(_finite(result), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in cast("Sequence[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def training_result(folder: ModelFolder, evaluation: Mapping[str, object]) -> dict[str, object]:
    """What ``train --json`` prints: the folder, how far the run came, and its evaluation."""
    records = read_metrics(folder.metrics_file)
    last = records[-1] if records else {"step": 0, "seconds": 0.0}
    return {"folder": str(folder.path), "steps": last["step"], "seconds": last["seconds"], **evaluation}
