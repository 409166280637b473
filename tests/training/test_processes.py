from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from throughtime.errors import ArgumentError
from throughtime.training import Processes, choose_device, choose_precision, read_metrics


def test_two_processes_train_as_one_with_twice_the_batch(rhyme: Path, tmp_path: Path) -> None:
    options = [
        "--hidden-size",
        "16",
        "--embedding-size",
        "8",
        "--bptt",
        "16",
        "--steps",
        "20",
        "--precision",
        "32",
        "--device",
        "cpu",
    ]
    options += ["--dropout", "0", "--write", "0", "--validations", "2", "--quiet", "--threads", "1"]
    train = ["-m", "throughtime", "lm", "train", str(rhyme), *options]
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *train, "--batch-size", "4"]
    for arguments, folder in (([*train, "--batch-size", "8"], "one"), (together, "two")):
        run = subprocess.run(
            [sys.executable, *arguments, "-o", str(tmp_path / folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    one, two = (read_metrics(tmp_path / folder / "metrics.jsonl") for folder in ("one", "two"))
    assert len(one) == 4
    for alone, shared in zip(one, two, strict=True):
        for figure in alone.keys() & {"step", "loss", "gradient_norm", "validation_loss"}:
            # The order in which float32 sums are taken is all that differs.
            assert shared[figure] == pytest.approx(alone[figure], rel=1e-4)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("auto").type in {"cpu", "cuda"}
    if not torch.cuda.is_available():
        with pytest.raises(ArgumentError, match="`device` 'cuda:1' is not on this machine; use 'auto' or 'cpu'"):
            choose_device("cuda:1")
    with pytest.raises(ArgumentError, match="`device` must be one of 'auto', 'cpu', 'cuda', 'mps', got 'gpu'"):
        choose_device("gpu")


def test_more_processes_than_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ArgumentError, match="2 processes need a CUDA device each, and this machine has 1"):
        Processes.join("cuda")


def test_precision_is_resolved_to_what_the_hardware_has() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("32", cpu) == "32"
    resolved = choose_precision("auto", cpu)
    if resolved == "32":
        with pytest.raises(ArgumentError, match="needs bfloat16 instructions"):
            choose_precision("bf16", cpu)
    else:
        assert choose_precision("bf16", cpu) == "bf16"
    with pytest.raises(ArgumentError, match="`precision` must be one of"):
        choose_precision("16", cpu)
