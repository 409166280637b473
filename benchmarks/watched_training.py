"""What ``watch_gradients`` costs a language model: a look at the gradients beside 50 of its training steps.

    python benchmarks/watched_training.py

Processor time on one thread, which a busy neighbour does not change; medians of looks and steps that take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from throughtime.bptt import clip_global_norm
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.network_training import watch_gradients
from throughtime.tasks.reading import language_reading
from throughtime.training import build_optimizers, next_token_loss

VOCABULARY, TIME, BATCH, LOOKED_AT, TURNS, EVERY = 96, 128, 32, 8, 9, 50


def seconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def measure(cell: str, hidden_size: int) -> tuple[float, float]:
    """Seconds of a training step, and of a look."""
    network = RecurrentLanguageModel(VOCABULARY, cell=cell, embedding_size=64, hidden_size=hidden_size)
    optimizers = build_optimizers(
        "muon",
        list(network.parameters()),
        hidden_matrices=network.hidden_matrices(),
        learning_rate=3e-3,
        matrix_learning_rate=0.05,
        weight_decay=0.1,
        momentum=0.0,
    )
    tokens = torch.randint(VOCABULARY, (TIME + 1, BATCH))

    def step() -> None:
        scores, _ = network(tokens[:-1])
        next_token_loss(scores, tokens[1:]).backward()
        clip_global_norm(list(network.parameters()), max_norm=1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def look() -> None:
        watch_gradients(network, lambda: [language_reading(network, tokens[:, :LOOKED_AT])])

    pairs = [(seconds(step), seconds(look)) for _ in range(TURNS)][1:]
    of_step, of_look = (statistics.median(own) for own in zip(*pairs, strict=True))
    return of_step, of_look


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = Table(title=f"windows of {BATCH} x {TIME} characters, a look every {EVERY} steps")
    for column in ("model", "a step", "a look", "cost"):
        table.add_column(column)
    for cell, hidden_size in (("lstm", 256), ("gru", 256), ("rnn_tanh", 256), ("lstm", 512)):
        step, look = measure(cell, hidden_size)
        row = f"{1000 * step:.0f} ms", f"{1000 * look:.0f} ms", f"{look / (EVERY * step):+.2%}"
        table.add_row(f"{cell} {hidden_size}", *row)
    Console().print(table)


if __name__ == "__main__":
    main()
