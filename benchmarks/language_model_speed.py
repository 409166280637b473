"""Claim: a language model trains faster on these layers than the same model on torch.nn's kernels.

    python benchmarks/language_model_speed.py [--vocabulary 65] [--batch 64] [--time 128] [--repeats 11] [--threads 2]
        [--models lstm:320 lstm:512 gru:320 gru:512] [--bfloat16]

The step is the one that `throughtime lm train` makes: embedding, one recurrent layer, the scores of the next token,
cross-entropy, back through all, the gradient's norm clipped, Muon and AdamW, the state carried to the next window. Ours
and torch's differ in `backend=` alone. They take turns in one process; a time is the median over --repeats rounds.
Tokens are random, which takes the same time as any text.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

import torch
from recurrent_measuring import Call, interleaved
from rich.console import Console
from rich.table import Table

from throughtime.bptt import clip_global_norm, detach
from throughtime.freed_memory import keep_freed_memory
from throughtime.models import RecurrentLanguageModel
from throughtime.training import autocast, build_optimizers, next_token_loss

EMBEDDING_SIZE = 128
LEARNING_RATE, MATRIX_LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.05, 0.1
DROPOUT = 0.35


@dataclass(frozen=True)
class Batch:
    """Windows of text side by side."""

    vocabulary: int
    batch: int
    time: int
    precision: str


def training_step(cell: str, hidden_size: int, backend: str, windows: Batch) -> Call:
    """Make a model and give what makes its next update."""
    torch.manual_seed(0)
    network = RecurrentLanguageModel(
        windows.vocabulary,
        cell=cell,
        embedding_size=EMBEDDING_SIZE,
        hidden_size=hidden_size,
        dropout=DROPOUT,
        locked_dropout=True,
        backend=backend,
    )
    parameters = list(network.parameters())
    optimizers = build_optimizers(
        "muon",
        parameters,
        hidden_matrices=network.hidden_matrices(),
        learning_rate=LEARNING_RATE,
        matrix_learning_rate=MATRIX_LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    tokens = torch.randint(windows.vocabulary, (windows.time + 1, windows.batch))
    state: object = None

    def step() -> None:
        nonlocal state
        with autocast(windows.precision, torch.device("cpu")):
            outputs, state = network.recur(tokens[:-1], state)
            loss = next_token_loss(network.scores(outputs), tokens[1:])
        loss.backward()
        clip_global_norm(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        state = detach(state)

    return step


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=65)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--time", type=int, default=128)
    parser.add_argument("--models", nargs="+", default=["lstm:320", "lstm:512", "gru:320", "gru:512"])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="products of bfloat16, as on processors that have them")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    precision = "bf16" if arguments.bfloat16 else "32"
    windows = Batch(arguments.vocabulary, arguments.batch, arguments.time, precision)
    tokens = windows.batch * windows.time
    table = Table("model", "ours, tokens/s", "torch's kernel, tokens/s", "ratio", title="training a language model")
    for model in arguments.models:
        cell, _, hidden_size = model.partition(":")
        steps = {name: training_step(cell, int(hidden_size), name, windows) for name in ("fused", "torch")}
        times = interleaved(steps, repeats=arguments.repeats, least_seconds=0.5)
        ours, theirs = (statistics.median(times[name]) for name in ("fused", "torch"))
        speeds = (f"{tokens / seconds:,.0f}" for seconds in (ours, theirs))
        table.add_row(f"{cell}, {hidden_size} units", *speeds, f"{theirs / ours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
