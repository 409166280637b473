"""The studio under load: texts that are written at once, the first token of each, and memory over many requests.

    python benchmarks/studio.py MODEL                           # a folder of `throughtime lm train`
    python benchmarks/studio.py MODEL MORE... --requests 10000  # of any tasks: also requests of all kinds, and memory

The server runs as a process of its own, as `throughtime studio` starts it; this one asks, over TCP. Beside the server's
tokens a second stands the network alone: as many rows in the same process, each step fed with what is likeliest.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from studio_requests import Request, requests_for

from throughtime import LanguageModel

TOGETHER, LENGTH, ALONE, ROUNDS = 50, 400, 5, 5
NEWCOMERS, BETWEEN, WARM = 40, 0.1, 50
ASKING, LOOKED = 8, 250


@dataclass
class Answer:
    """What came of a request; times in seconds."""

    status: int
    first: float
    whole: float
    body: bytes

    @property
    def tokens(self) -> int:
        """How many pieces a stream has; a character model's are its tokens."""
        return self.body.count(b"event: piece\n")

    @property
    def text(self) -> str:
        """What a stream's pieces make together."""
        return "".join(json.loads(line[6:])["text"] for line in self.body.splitlines() if line.startswith(b'data: {"t'))


@contextmanager
def served(folders: list[Path]) -> Generator[tuple[int, int]]:
    """A studio's port and process."""
    command = [sys.executable, "-m", "throughtime", "studio", *map(str, folders), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = re.search(r":(\d+)/", process.stdout.readline())
        assert told is not None
        try:
            yield int(told[1]), process.pid
        finally:
            process.terminate()


async def ask(port: int, path: str, body: bytes, kind: str = "application/json", *, method: str = "POST") -> Answer:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    length = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n" if method == "POST" else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{length}connection: close\r\n\r\n".encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    parts: list[bytes] = []
    first = 0.0
    while part := await reader.read(1 << 16):
        first = first or time.perf_counter() - begun
        parts.append(part)
    writer.close()
    status, whole = int(head.split(None, 2)[1]), b"".join(parts)
    if b"transfer-encoding: chunked" in head.lower():
        whole = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", b"\r\n" + whole)
    return Answer(status, first, time.perf_counter() - begun, whole)


async def write(port: int, model: str, seed: int, length: int = LENGTH) -> Answer:
    asked = {"model": model, "prompt": "The ", "length": length, "seed": seed, "stream": True}
    return await ask(port, "/v1/generate", json.dumps(asked).encode())


async def alone(port: int, model: str) -> list[Answer]:
    return [await write(port, model, seed) for seed in range(ALONE)]


async def together(port: int, model: str) -> list[Answer]:
    return list(await asyncio.gather(*(write(port, model, seed) for seed in range(TOGETHER))))


async def joining(port: int, model: str) -> list[Answer]:
    """Texts that are asked for one after the other while as many as before are being written."""
    others = [asyncio.create_task(write(port, model, seed, 3000)) for seed in range(TOGETHER)]
    await asyncio.sleep(1)
    found: list[Answer] = []
    for seed in range(NEWCOMERS):
        found.append(await write(port, model, seed, 1))
        await asyncio.sleep(BETWEEN)
    assert not all(task.done() for task in others)
    await asyncio.gather(*others)
    return found


def network_alone(folder: Path, rows: int) -> float:
    """Tokens a second of the network's steps and nothing else."""
    model = LanguageModel.load(folder, device="cpu")
    tokens = torch.zeros(1, rows, dtype=torch.int64)
    with torch.inference_mode():
        scores, state = model.network(tokens)
        begun = time.perf_counter()
        for step in range(-WARM, LENGTH):
            if step == 0:
                begun = time.perf_counter()
            scores, state = model.network(scores.argmax(-1), state)
    return rows * LENGTH / (time.perf_counter() - begun)


def rate(answers: list[Answer], seconds: float) -> float:
    assert all(one.status == 200 for one in answers)
    return sum(one.tokens for one in answers) / seconds


def quantiles(answers: list[Answer]) -> str:
    firsts = [1000 * one.first for one in answers]
    return f"{np.quantile(firsts, 0.5):.0f} / {np.quantile(firsts, 0.99):.0f} ms"


def measure_writing(folder: Path) -> None:
    table = Table(title=f"{folder.name}: {LanguageModel.load(folder, device='cpu').name}, {LENGTH} tokens a text")
    for column in ("", "tokens a second", "the network alone", "share", "first token, p50 / p99"):
        table.add_column(column)
    runs = (("one after the other", 1, alone), (f"{TOGETHER} together", TOGETHER, together))
    lost = different = 0
    with served([folder]) as (port, _):
        asyncio.run(alone(port, folder.name))
        texts: dict[str, list[Answer]] = {}
        for name, rows, run in runs:
            rates, bare, answers = [], [], []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                found = asyncio.run(run(port, folder.name))
                rates.append(rate(found, time.perf_counter() - begun))
                bare.append(network_alone(folder, rows))
                answers += found
            own, network = statistics.median(rates), statistics.median(bare)
            table.add_row(name, f"{own:,.0f}", f"{network:,.0f}", f"{own / network:.0%}", quantiles(answers))
            lost += sum(b"event: end\n" not in one.body or one.tokens != LENGTH for one in answers)
            texts[name] = answers
        both = list(zip(texts[runs[0][0]][:ALONE], texts[runs[1][0]][:ALONE], strict=True))
        different = sum(one.text != other.text for one, other in both)
        newcomers = asyncio.run(joining(port, folder.name))
        table.add_row(f"one more beside {TOGETHER}", "", "", "", quantiles(newcomers))
    table.caption = (
        f"medians of {ROUNDS}; {lost} texts not whole; {different} of {len(both)} texts differ from those written alone"
    )
    Console().print(table)


async def ask_all(port: int, process: int, models: list[dict[str, Any]], count: int) -> list[tuple[int, float]]:
    """Memory of the server, in MiB, after so many requests."""
    draw = np.random.default_rng(0)
    requests = itertools.chain.from_iterable(requests_for(models, draw) for _ in itertools.count())
    found: list[tuple[int, float]] = []
    statuses: Counter[int] = Counter()

    async def work(some: Iterator[Request]) -> None:
        for request in some:
            answer = await ask(port, *request.arguments, method=request.method)
            statuses[answer.status] += 1
            assert (answer.status == 200) == request.is_right, (request.arguments[0], answer.body[:500])

    for start in range(0, count, LOOKED):
        some = itertools.islice(requests, min(LOOKED, count - start))
        await asyncio.gather(*(work(some) for _ in range(ASKING)))
        found.append((statuses.total(), resident(process)))
        print(*found[-1], flush=True)
    print("answers by status:", dict(statuses))
    return found


def resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # pyright: ignore[reportOptionalSubscript]


def measure_memory(folders: list[Path], count: int) -> None:
    with served(folders) as (port, process):
        models = json.loads(asyncio.run(ask(port, "/v1/models", b"", method="GET")).body)["models"]
        begun = time.perf_counter()
        found = asyncio.run(ask_all(port, process, models, count))
        seconds = time.perf_counter() - begun
    table = Table(title=f"{count:,} requests to {len(folders)} models, {ASKING} at a time")
    for column in ("requests", "memory"):
        table.add_column(column, justify="right")
    for number, size in found:
        table.add_row(f"{number:,}", f"{size:,.0f} MiB")
    table.caption = f"{count / seconds:.0f} requests a second"
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--requests", type=int, default=0)
    arguments = parser.parse_args()
    gc.freeze()  # a look through all that is loaded would be taken for the server's
    if arguments.requests:
        measure_memory(arguments.models, arguments.requests)
    else:
        measure_writing(arguments.models[0])


if __name__ == "__main__":
    main()
