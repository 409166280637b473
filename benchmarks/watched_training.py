"""What ``watch_gradients`` costs: the same language model trained with it and without, turn about.

    python benchmarks/watched_training.py

Processor time on one thread, which a busy neighbour does not change.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from throughtime import LanguageModel
from throughtime.data import python_language_reference

STEPS, TURNS = 100, 3
SETTINGS: dict[str, Any] = {
    "steps": STEPS,
    "hidden_size": 256,
    "embedding_size": 64,
    "num_layers": 1,
    "batch_size": 32,
    "validations": 1,
}


def seconds(cell: str, *, watch: bool) -> float:
    begun = time.process_time()
    LanguageModel.fit(python_language_reference(), cell=cell, watch_gradients=watch, validation_tokens=2000, **SETTINGS)
    return time.process_time() - begun


def main() -> None:
    torch.set_num_threads(1)
    table = Table(title=f"{STEPS} steps of a language model, 256 units, 32 x 128 tokens, median of {TURNS}")
    for column in ("cell", "without", "with watch_gradients", "cost"):
        table.add_column(column)
    for cell in ("lstm", "gru"):
        seconds(cell, watch=True)  # warms up
        pairs = [(seconds(cell, watch=False), seconds(cell, watch=True)) for _ in range(TURNS)]
        without, watched = (statistics.median(own) for own in zip(*pairs, strict=True))
        table.add_row(cell, f"{without:.1f} s", f"{watched:.1f} s", f"{watched / without - 1:+.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
