"""Claim: a run that is killed at random instants and resumed ends with the very losses of one that never stopped.

    python benchmarks/kill_and_resume.py TEXT [--kills 12] [--epochs 1] [--seed 0]

Trains once without interruption, then again, killing the process (SIGKILL) that many times after random waits, some of
them while it writes a checkpoint, and resuming it each time. Prints where each kill struck and compares the logs.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from throughtime.training import read_metrics


def losses(folder: Path) -> list[tuple[int, str, float]]:
    return [
        (record["step"], name, record[name])
        for record in read_metrics(folder / "metrics.jsonl")
        for name in ("loss", "validation_loss", "gradient_norm")
        if name in record
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole", Path(scratch) / "killed"
        train = [sys.executable, "-m", "throughtime", "lm", "train", "--quiet", "--write", "0", "--hidden-size", "128"]
        train += ["--epochs", str(arguments.epochs), "--dropout", "0.2", "--batch-size", "16", "--threads", "1"]
        train += ["--checkpoint-every", "0.5"]
        begun = time.monotonic()
        subprocess.run([*train, str(arguments.text), "-o", str(whole)], check=True, stdout=subprocess.DEVNULL)
        alone = time.monotonic() - begun
        print(f"uninterrupted: {alone:.0f} s, {losses(whole)[-1][0]} steps")
        strikes = 0
        while True:
            has_begun = (killed / "config.json").exists()
            source = [] if has_begun else [str(arguments.text)]
            process = subprocess.Popen([*train, *source, "-o", str(killed), "--resume"], stdout=subprocess.DEVNULL)
            if strikes == arguments.kills:
                process.wait()
                break
            try:
                process.wait(draw.uniform(0.5, 2.5 * alone / arguments.kills + 3))
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            strikes += 1
            unfinished = [file.name for file in killed.rglob(".*.tmp")] if killed.exists() else []
            reached = losses(killed)[-1][0] if losses(killed) else 0
            print(f"kill {strikes}: log at step {reached}{', while writing ' + unfinished[0] if unfinished else ''}")
        same = losses(whole) == losses(killed)
        final = [
            record["validation_loss"] for record in read_metrics(whole / "metrics.jsonl") if "validation_loss" in record
        ]
        ours = [
            record["validation_loss"]
            for record in read_metrics(killed / "metrics.jsonl")
            if "validation_loss" in record
        ]
        print(f"{strikes} kills; {len(losses(whole))} figures logged; all equal to the last bit: {same}")
        print(f"final validation loss: {final[-1]!r} uninterrupted, {ours[-1]!r} killed")
        sys.exit(not same)


if __name__ == "__main__":
    main()
