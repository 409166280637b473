"""Claim: word2vec trains faster than its peers on a CPU, at no lower quality and in no more memory.

    python benchmarks/word2vec.py TEXT [--analogies FILE] [--similarities FILE] [--sections peers scaling memory]
        [--architectures skip-gram cbow] [--objectives negative-sampling hierarchical-softmax] [--peers ours ...]
        [--size 100] [--negatives 5] [--window 5] [--epochs 3] [--sample 1e-3] [--min-count 5] [--threads 2]
        [--runs 3] [--gigabytes 2] [--json FILE]

TEXT has a sentence a line; where it ends in .gz, it is raw text, of which the sentences' lower-cased words of letters
a-z are taken. Ours and the peers take turns, each run in a process of its own and with another seed; figures are
medians (fastText's Python package has no seed: its runs differ by their threads' races alone). "Words/s" are raw words
of the text times the epochs, by the seconds of training, and end to end, with the vocabulary pass. Peak memory is the
process's, and beside it what of that came after the imports. All vectors are evaluated by throughtime.word2vec.

    peers    ours beside gensim (a file that its threads read, and an iterable) and fastText with subwords off. The
             learning rate is 0.025; with CBOW ours and fastText's is 0.05, and gensim's both. Ratios are to gensim-file
             at 0.025.
    scaling  ours with one thread and with --threads
    memory   an epoch of ours on --gigabytes of text, TEXT repeated with words of noise, and the resident memory

The limit, on paper. A centre word that subsampling keeps has m words of context (window + 1 on average, less the ends
of sentences), told from n outputs: 1 + negatives, or the log2(1 / share) nodes to the word. Each of the m n pairs takes
a product of d features, and moves both vectors: three multiply-adds a feature, so

    skip-gram  6 m n d operations         CBOW  6 n d + 2 m d (the mean of the context, and its move)

With d = 100, n = 6 and m = 5.5 that is 19,800 and 4,700. A word kept brings n rows of the output, read and written, and
in skip-gram one row of the input that was not there before (those of its neighbours are in the nearest cache), in CBOW
too: 8 (n + 1) d bytes, 5,600, from the cache that holds the model (8 d bytes a word), else from memory. A machine of F
operations and B bytes a second can't keep more than F / operations, or B / bytes, centre words a second: at 100 GFLOP/s
and 50 GB/s, 5 M and 9 M of skip-gram, 21 M and 9 M of CBOW. As measured, CBOW moves its rows at 60 to 90 % of the rate
at which memory is copied, with 300 dimensions at 110 %, so it is bound by them; skip-gram does 20 to 30 % of torch.mm's
operations and 60 % of that rate: its tiles of 5 by 6 products load as much as they multiply. The summary compares F, of
torch.mm, and B, of copying 4 MB (in cache) and 256 MB, with what was done.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import math
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recurrent_measuring import copy_rate, matrix_product_peak
from recurrent_report import conditions, print_conditions
from rich.console import Console
from rich.table import Table
from word2vec_peers import PEERS, Job, is_here

from throughtime.word2vec import (
    WordVectors,
    count_vocabulary,
    evaluate_analogies,
    evaluate_similarities,
    read_analogies,
    read_similarities,
)

SECTIONS = ("peers", "scaling", "memory")
OBJECTIVES = ("negative-sampling", "hierarchical-softmax")
RESTRICT = 30_000
BASE = "gensim-file"
FIELDS = ("words_a_second", "end_to_end", "vocabulary", "peak", "after_imports", "analogies", "similarities")


@dataclass(frozen=True)
class Run:
    """The figures of one run, or the medians of several; NaN where there is none."""

    words_a_second: float
    end_to_end: float
    vocabulary: float
    peak: float
    after_imports: float
    analogies: float
    similarities: float

    @classmethod
    def median(cls, runs: Sequence[Run]) -> Run:
        """The median of each figure."""
        return cls(**{name: statistics.median(getattr(run, name) for run in runs) for name in FIELDS})


@dataclass(frozen=True)
class Row:
    """What one contestant did in one setting."""

    section: str
    architecture: str
    objective: str
    peer: str
    rate: float
    threads: int
    runs: tuple[Run, ...]
    flops: float = math.nan

    @property
    def median(self) -> Run:
        """The medians of the runs."""
        return Run.median(self.runs)


class Bench:
    """The arguments, the text, and what all runs share."""

    def __init__(self, arguments: argparse.Namespace, text: Path, folder: Path, console: Console) -> None:
        self.arguments, self.text, self.folder, self.console = arguments, text, folder, console
        self.analogies = read_analogies(arguments.analogies) if arguments.analogies else None
        self.similarities = read_similarities(arguments.similarities) if arguments.similarities else None

    def job(self, peer: str, architecture: str, objective: str, rate: float) -> Job:
        """What a peer is to train, with the arguments given."""
        given = self.arguments
        return Job(
            peer=peer,
            text=str(self.text),
            folder=str(self.folder),
            cbow=architecture == "cbow",
            negatives=given.negatives if objective == OBJECTIVES[0] else 0,
            rate=rate,
            size=given.size,
            window=given.window,
            epochs=given.epochs,
            sample=given.sample,
            min_count=given.min_count,
            threads=given.threads,
            seed=1,
        )

    def measured(self, job: Job) -> dict[str, Any]:
        """Run a job in a process of its own."""
        command = [sys.executable, str(Path(__file__).with_name("word2vec_peers.py")), json.dumps(asdict(job))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    def run(self, job: Job) -> Run:
        """Run a job, and evaluate what it leaves."""
        facts = self.measured(job)
        words, seconds, before = facts["text_words"], facts["training_seconds"], facts["vocabulary_seconds"]
        apart = not math.isnan(before)
        return Run(
            words_a_second=job.epochs * words / seconds if apart else math.nan,
            end_to_end=job.epochs * words / (seconds + (before if apart else 0)),
            vocabulary=words / before,
            peak=facts["peak_bytes"],
            after_imports=facts["peak_bytes"] - facts["imports_bytes"],
            **self.quality(),
        )

    def quality(self) -> dict[str, float]:
        """Evaluate the vectors that the last run left."""
        words = json.loads((self.folder / "words.json").read_text())
        vectors = WordVectors(words, np.load(self.folder / "vectors.npy"))
        quality = dict.fromkeys(("analogies", "similarities"), math.nan)
        if self.analogies:
            quality["analogies"] = evaluate_analogies(vectors, self.analogies, RESTRICT).total.accuracy
        if self.similarities:
            quality["similarities"] = evaluate_similarities(vectors, self.similarities).spearman
        return quality

    def rows(self, section: str, jobs: Sequence[Job], architecture: str, objective: str) -> list[Row]:
        """Run the jobs in turn, as many rounds as asked for."""
        runs: list[list[Run]] = [[] for _ in jobs]
        for seed in range(1, self.arguments.runs + 1):
            for own, job in zip(runs, jobs, strict=True):
                self.console.print(f"{architecture} {objective}: {job.peer}, seed {seed}", style="dim")
                own.append(self.run(replace(job, seed=seed)))
        return [
            Row(section, architecture, objective, job.peer, job.rate, job.threads, tuple(own))
            for job, own in zip(jobs, runs, strict=True)
        ]


def rates(peer: str, architecture: str) -> tuple[float, ...]:
    if architecture == "skip-gram":
        return (0.025,)
    return (0.025, 0.05) if peer.startswith("gensim") else (0.05,)


def sentences_of(raw: Path, output: Path) -> Path:
    """Cut raw text to letters and sentences."""
    text = gzip.decompress(raw.read_bytes()).decode().lower()
    with output.open("w") as file:
        for sentence in re.split(r"[.!?]+|\n\s*\n", text):
            if words := re.findall(r"[a-z]+", sentence):
                file.write(" ".join(words) + "\n")
    return output


def work_of_text(bench: Bench) -> dict[str, float]:
    """Per raw word: centre words kept, words of context of each, and nodes to each; from a sample of the sentences."""
    given = bench.arguments
    vocabulary = count_vocabulary([bench.text], min_count=given.min_count, threads=given.threads)
    keep = dict(zip(vocabulary.words, vocabulary.keep_probabilities(given.sample).tolist(), strict=True))
    shares = vocabulary.counts / vocabulary.known_words
    nodes = dict(zip(vocabulary.words, (-np.log2(shares)).tolist(), strict=True))
    reaches = [(given.window - d + 1) / given.window for d in range(1, given.window + 1)]
    draw = random.Random(1)
    raw, kept, pairs, steps = 0, 0, 0.0, 0.0
    with bench.text.open() as file:
        for line in itertools.islice(file, 0, None, 8):
            words = line.split()
            raw += len(words)
            chosen = [word for word in words if draw.random() < keep.get(word, 0)]
            if len(chosen) > 1:
                kept += len(chosen)
                pairs += sum(2 * max(len(chosen) - d, 0) * p for d, p in enumerate(reaches, 1))
                steps += sum(nodes[word] for word in chosen)
    return {"kept": kept / raw, "context": pairs / kept, "nodes": steps / kept, "vocabulary": len(vocabulary)}


def operations(bench: Bench, work: dict[str, float], architecture: str, objective: str) -> tuple[float, float]:
    """Floating-point operations and bytes of a raw word, as the docstring works out."""
    outputs = 1 + bench.arguments.negatives if objective == OBJECTIVES[0] else work["nodes"]
    m, d = work["context"], bench.arguments.size
    flops = 6 * m * outputs * d if architecture == "skip-gram" else 6 * outputs * d + 2 * m * d
    return work["kept"] * flops, work["kept"] * 8 * (outputs + 1) * d


def peers_section(bench: Bench) -> list[Row]:
    given = bench.arguments
    for peer in given.peers:
        if not is_here(peer):
            bench.console.print(f"{peer} is left out, as its package is not installed.")
    peers = [peer for peer in given.peers if is_here(peer)]
    rows: list[Row] = []
    for objective, architecture in itertools.product(given.objectives, given.architectures):
        jobs = [bench.job(peer, architecture, objective, rate) for peer in peers for rate in rates(peer, architecture)]
        found = bench.rows("peers", jobs, architecture, objective)
        print_rows(bench.console, found)
        rows += found
    return rows


def scaling_section(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    given = bench.arguments
    for objective, architecture in itertools.product(given.objectives, given.architectures):
        job = bench.job("ours", architecture, objective, rates("ours", architecture)[0])
        found = bench.rows("scaling", [replace(job, threads=1), job], architecture, objective)
        one, more = (row.median.words_a_second for row in found)
        print_rows(bench.console, found)
        bench.console.print(f"{architecture} {objective}: {given.threads} threads are {more / one:.2f} times as fast")
        rows += found
    return rows


def memory_section(bench: Bench) -> list[Row]:
    """Print how the resident memory above the model goes; there are no rows."""
    given = bench.arguments
    large = bench.folder / "large.txt"
    draw = random.Random(1)
    lines = bench.text.read_text().splitlines()
    with large.open("w") as file:
        while file.tell() < given.gigabytes * 1e9:
            for first in range(0, len(lines), 1000):
                noise = f" noise{draw.randrange(1_000_000)}\n"
                file.write(noise.join(lines[first : first + 1000]) + "\n")
    job = replace(bench.job("ours", "skip-gram", OBJECTIVES[0], 0.025), text=str(large), epochs=1, watch=0.1)
    facts = bench.measured(job)
    model, before, seen = facts["model_bytes"], facts["imports_bytes"], facts["resident"]
    above = [(at, resident - before - model) for at, resident in seen]
    bench.console.print(
        f"memory: {large.stat().st_size / 1e9:.2f} GB of text, {facts['text_words'] / 1e6:.0f} M words, "
        f"vocabulary pass {facts['vocabulary_seconds']:.1f} s, training {facts['training_seconds']:.1f} s; "
        f"model {model / 1e6:.0f} MB, imports {before / 1e6:.0f} MB, peak {facts['peak_bytes'] / 1e6:.0f} MB, "
        f"so {(facts['peak_bytes'] - before - model) / 1e6:.0f} MB above both"
        f" and {(facts['peak_bytes'] - model) / 1e6:.0f} MB above the model"
    )
    for at, resident in above[:: max(len(above) // 10, 1)]:
        bench.console.print(f"  after {at:.1f} s: {resident / 1e6:+.0f} MB")
    large.unlink()
    return []


def print_rows(console: Console, rows: Sequence[Row]) -> None:
    first = rows[0]
    names = ("", "rate", "threads", "words/s", "ratio", "end to end", "ratio", "vocabulary", "ratio")
    more = ("peak MB", "after imports", "ratio", "analogies", "least-most", "WS-353", "least-most")
    title = f"{first.section}: {first.architecture}, {first.objective}, medians of {len(first.runs)}"
    table = Table(*names, *more, title=title, title_justify="left")
    base = next((row.median for row in rows if row.peer == BASE), None)
    for row in rows:
        of = row.median

        def ratio(name: str, own: Run = of) -> str:
            return "" if base is None else figure(getattr(own, name) / getattr(base, name), ".2f")

        table.add_row(
            row.peer,
            f"{row.rate:g}",
            str(row.threads),
            figure(of.words_a_second / 1e3, ",.0f", " k"),
            ratio("words_a_second"),
            figure(of.end_to_end / 1e3, ",.0f", " k"),
            ratio("end_to_end"),
            figure(of.vocabulary / 1e6, ".2f", " M"),
            ratio("vocabulary"),
            f"{of.peak / 1e6:.0f}",
            f"{of.after_imports / 1e6:.0f}",
            ratio("after_imports"),
            figure(100 * of.analogies, ".1f", " %"),
            spread([100 * run.analogies for run in row.runs], ".1f"),
            figure(of.similarities, ".3f"),
            spread([run.similarities for run in row.runs], ".3f"),
        )
    console.print(table)


def spread(values: Sequence[float], form: str) -> str:
    return "" if math.isnan(values[0]) else f"{min(values):{form}}-{max(values):{form}}"


def figure(value: float, form: str, unit: str = "") -> str:
    return "" if math.isnan(value) else f"{value:{form}}{unit}"


def print_limits(bench: Bench, rows: Sequence[Row], peak: float) -> None:
    """Compare what ours did with what the machine can."""
    own = [row for row in rows if row.peer == "ours" and row.threads == bench.arguments.threads]
    if not own:
        return
    work = work_of_text(bench)
    cache, memory = copy_rate(4), copy_rate(256)
    bench.console.print(
        f"of raw words, {work['kept']:.1%} are kept as centres; each has {work['context']:.2f} words of context "
        f"and {work['nodes']:.1f} nodes; the model is {8 * work['vocabulary'] * bench.arguments.size / 1e6:.0f} MB. "
        f"torch.mm {peak / 1e9:.0f} GFLOP/s; copying 4 MB {cache / 1e9:.0f} GB/s, 256 MB {memory / 1e9:.0f} GB/s."
    )
    for row in own:
        flops, moved = operations(bench, work, row.architecture, row.objective)
        speed = row.median.words_a_second
        bench.console.print(
            f"{row.section}, {row.architecture}, {row.objective}: {flops * speed / 1e9:.1f} GFLOP/s, "
            f"{flops * speed / peak:.0%} of torch.mm; {moved * speed / 1e9:.1f} GB/s, {moved * speed / cache:.0%} of "
            f"cache and {moved * speed / memory:.0%} of memory; limits of arithmetic, cache and memory: "
            f"{peak / flops / 1e6:.1f} M, {cache / moved / 1e6:.1f} M and {memory / moved / 1e6:.1f} M words/s"
        )


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--analogies", type=Path)
    parser.add_argument("--similarities", type=Path)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--architectures", nargs="+", choices=("skip-gram", "cbow"), default=["skip-gram", "cbow"])
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=[OBJECTIVES[0]])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    for name, default in {"size": 100, "negatives": 5, "window": 5, "epochs": 3, "min-count": 5, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=float, default=1e-3)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    console = Console() if sys.stdout.isatty() else Console(width=220)
    run = {"peers": peers_section, "scaling": scaling_section, "memory": memory_section}
    with tempfile.TemporaryDirectory() as folder:
        text = arguments.text
        if text.suffix == ".gz":
            text = sentences_of(text, Path(folder) / "text.txt")
        bench = Bench(arguments, text, Path(folder), console)
        peak = matrix_product_peak(torch.float32)
        names = ("text", "size", "window", "negatives", "epochs", "sample", "min_count", "threads", "runs")
        facts = conditions({"float32": peak}, {name: getattr(arguments, name) for name in names})
        print_conditions(console, facts)
        rows: list[Row] = []
        try:
            for section in arguments.sections:
                rows += run[section](bench)
        finally:
            if arguments.json:
                record = {"conditions": facts, "rows": [asdict(row) for row in rows]}
                arguments.json.write_text(json.dumps(record, indent=1) + "\n")
        print_limits(bench, rows, peak)


if __name__ == "__main__":
    main()
