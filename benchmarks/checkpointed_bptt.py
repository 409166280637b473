"""Claim: exact gradients over 100,000 steps in a tenth of the memory of plain backpropagation, in 1.4 times the time.

    python benchmarks/checkpointed_bptt.py [--time 100000] [--batch 8] [--features 16] [--hidden 256]
        [--budgets default 64MB] [--no-plain] [--repeats 1] [--threads 0] [--backend auto] [--double]

An LSTM with a linear layer on top, and the squared error summed over all steps. Each variant runs in a process of its
own, after a short sequence as a warm-up: the time is the best of the repeats, forwards and back, and the memory is by
how much the process's peak (ru_maxrss) grew. "default" is `checkpointed_loss` without a budget. Where plain
backpropagation ran, the largest difference of a gradient is given, relative to the largest element of that weight's.

A million steps: --time 1000000 --no-plain
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime import nn
from throughtime.bptt import checkpointed_loss


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(arguments: argparse.Namespace) -> None:
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    dtype = torch.float64 if arguments.double else torch.float32
    layer = nn.LSTM(arguments.features, arguments.hidden, backend=arguments.backend).to(dtype)
    head = torch.nn.Linear(arguments.hidden, 1).to(dtype)
    weights = [*layer.parameters(), *head.parameters()]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (head(outputs).squeeze(-1) - targets).square().sum()

    def backpropagate(inputs: Tensor, targets: Tensor) -> float:
        for weight in weights:
            weight.grad = None
        if arguments.variant == "plain":
            total = loss(layer(inputs)[0], targets)
        else:
            budget = None if arguments.variant == "default" else arguments.variant
            total, _ = checkpointed_loss(layer, inputs, targets, loss, memory_budget=budget)
        total.backward()
        return total.item()

    inputs = torch.randn(arguments.time, arguments.batch, arguments.features, dtype=dtype)
    targets = torch.randn(arguments.time, arguments.batch, dtype=dtype)
    backpropagate(inputs[:64], targets[:64])
    before, seconds, value = peak_bytes(), [], 0.0
    for _ in range(arguments.repeats):
        begun = time.perf_counter()
        value = backpropagate(inputs, targets)
        seconds.append(time.perf_counter() - begun)
    torch.save([weight.grad for weight in weights], arguments.gradients)
    print(json.dumps({"seconds": min(seconds), "grown": peak_bytes() - before, "peak": peak_bytes(), "loss": value}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--budgets", nargs="*", default=["default", "64MB"])
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0 for torch's default")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--gradients", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        measure(arguments)
        return
    print(f"LSTM {arguments.hidden}, batch {arguments.batch}, {arguments.time:,} steps, torch {torch.__version__}")
    print(
        f"{'variant':12} {'seconds':>9} {'times plain':>12} {'MB more':>9} {'of plain':>9} {'MB peak':>8}  difference"
    )
    plain: dict[str, Any] | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for variant in [*([] if arguments.no_plain else ["plain"]), *arguments.budgets]:
            file = Path(scratch) / f"{len(list(Path(scratch).iterdir()))}.pt"
            command = [sys.executable, __file__, *sys.argv[1:], "--variant", variant, "--gradients", str(file)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            found["gradients"] = torch.load(file)
            plain = found if variant == "plain" else plain
            line = f"{variant:12} {found['seconds']:9.2f}"
            line += f" {found['seconds'] / plain['seconds']:12.2f}" if plain else " " * 13
            line += f" {found['grown'] / 1e6:9.1f}"
            line += f" {found['grown'] / plain['grown']:9.4f}" if plain else " " * 10
            line += f" {found['peak'] / 1e6:8.0f}"
            if plain:
                pairs = zip(found["gradients"], plain["gradients"], strict=True)
                line += f"  {max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs):.1e}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
