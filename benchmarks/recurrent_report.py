"""What `recurrent.py` prints and writes: rows of figures with the verdict on each, and the conditions."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from recurrent_measuring import Errors
from recurrent_targets import Shape, Target
from rich.console import Console
from rich.table import Table

from throughtime.configuration import configuration


class Findings(TypedDict, total=False):
    """What a row may hold beside the times."""

    seconds_at_peak: float
    our_errors: Errors
    peer_errors: Errors
    error_limit: float
    backend: str | None


class Case(NamedTuple):
    """What is compared: in ``work``, what a layer does ("train" and "inference"), or how one of its kinds does it."""

    section: str
    layer: str
    work: str
    shape: Shape


@dataclass(frozen=True)
class Row:
    """One comparison; the ratio is the peer's time over ours, or ours over the peer's where the target is ``at_most``.

    ``quartiles`` are those of the ratios of the rounds.
    """

    case: Case
    peer: str
    our_seconds: float
    peer_seconds: float
    ratio: float
    quartiles: tuple[float, float]
    target: Target | None = None
    seconds_at_peak: float | None = None
    our_errors: Errors | None = None
    peer_errors: Errors | None = None
    error_limit: float | None = None
    backend: str | None = None

    @classmethod
    def of(
        cls,
        case: Case,
        ours: Sequence[float],
        peer_name: str,
        peer: Sequence[float],
        target: Target | None,
        *,
        scale: float = 1.0,
        **more: Unpack[Findings],
    ) -> Row:
        """Make a row of the seconds of all rounds; the ratio is that of the medians, times ``scale``."""
        over, under = (ours, peer) if target and target.at_most else (peer, ours)
        ratio = scale * statistics.median(over) / statistics.median(under)
        rounds = [scale * above / below for above, below in zip(over, under, strict=True)]
        low, _, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else [ratio] * 3
        medians = statistics.median(ours), statistics.median(peer)
        return cls(case, peer_name, *medians, ratio, (low, high), target, **more)

    @property
    def share_of_peak(self) -> float | None:
        """The speed of the layer's products, were they all that it did, as a share of that of torch.mm."""
        return None if self.seconds_at_peak is None else self.seconds_at_peak / self.our_seconds

    @property
    def verdict(self) -> str:
        """How the ratio stands to the target; without a target, "slower" where the peer is faster."""
        if self.target is None:
            return "no target" if self.ratio >= 1 else "slower"
        if not self.target.reached_by(self.ratio):
            return "missed"
        if self.target.aim is not None and Target(self.target.aim, at_most=self.target.at_most).reached_by(self.ratio):
            return "aim reached"
        return "reached"

    @property
    def large_errors(self) -> list[str] | None:
        """What has an error of more than ``error_limit`` times the peer's; None if that is not judged."""
        if self.our_errors is None or self.peer_errors is None or self.error_limit is None:
            return None
        return self.our_errors.beyond(self.error_limit, self.peer_errors)


def conditions(peaks: Mapping[str, float], settings: Mapping[str, Any]) -> dict[str, str]:
    """Collect what the figures depend on."""
    return {
        "date": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        "processor": processor(),
        **configuration(),
        **{f"torch.mm {name}, 2048³": f"{flops / 1e9:.0f} GFLOP/s" for name, flops in peaks.items()},
        "load before": load(),
        **{name: str(value) for name, value in settings.items()},
    }


def load() -> str:
    """Say how busy the machine was in the last minute, and what follows for the times."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    busy = os.getloadavg()[0]
    warning = "; not idle, so the times may not be trusted" if busy > 0.5 else ""
    return f"{busy:.2f} on {os.cpu_count()} processors{warning}"


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in named.get("flags", "").split()]
    return f"{named.get('model name', platform.machine())} ({', '.join(units) or 'no vector units known'})"


def print_conditions(console: Console, facts: dict[str, str]) -> None:
    table = Table("condition", "value", show_header=False, box=None)
    for fact in facts.items():
        table.add_row(*fact)
    console.print(table)


def print_rows(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print the rows of one section; columns in which nothing stands are left out."""
    columns = {
        "layer": [row.case.layer for row in rows],
        "work": [row.case.work for row in rows],
        "batch,input,hidden": [str(row.case.shape) for row in rows],
        "ours": [duration(row.our_seconds) for row in rows],
        "beside": [row.peer for row in rows],
        "its time": [duration(row.peer_seconds) for row in rows],
        "ratio": [coloured(f"{row.ratio:.2f}", row.verdict) for row in rows],
        "quartiles": [f"{row.quartiles[0]:.2f}-{row.quartiles[1]:.2f}" for row in rows],
        "target (aim)": [str(row.target or "") for row in rows],
        "verdict": [coloured("" if row.verdict == "no target" else row.verdict, row.verdict) for row in rows],
        "of peak": ["" if row.share_of_peak is None else f"{row.share_of_peak:.0%}" for row in rows],
        "error of outputs: ours, its": [error_pair(row, "outputs") for row in rows],
        "of gradients": [error_pair(row, "gradients") for row in rows],
        "errors": [errors_verdict(row) for row in rows],
        "not fused": [row.backend if row.backend not in {None, "fused"} else "" for row in rows],
    }
    table = Table(title=title, title_justify="left", title_style="bold")
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    for name in filled:
        words = name in {"layer", "work", "beside", "verdict", "errors", "not fused"}
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    for cells in zip(*filled.values(), strict=True):
        table.add_row(*cells)
    console.print(table)


def error_pair(row: Row, name: str) -> str:
    pair = [getattr(errors, name, 0.0) for errors in (row.our_errors, row.peer_errors)]
    return ", ".join(f"{error:.1e}" for error in pair) if any(pair) else ""


def errors_verdict(row: Row) -> str:
    if row.large_errors is None:
        return ""
    return f"[red]TOO LARGE: {', '.join(row.large_errors)}[/]" if row.large_errors else "[green]within[/]"


def duration(seconds: float) -> str:
    if seconds < 1e-4:
        return f"{1e6 * seconds:.1f} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def coloured(text: str, verdict: str) -> str:
    colour = {"missed": "red", "slower": "red", "reached": "green", "aim reached": "bold green"}.get(verdict)
    return f"[{colour}]{text}[/]" if text and colour else text


def print_summary(console: Console, rows: Iterable[Row]) -> None:
    """Say for each section how many targets are reached, and where errors are too large."""
    sections: dict[str, list[Row]] = {}
    for row in rows:
        sections.setdefault(row.case.section, []).append(row)
    for section, own in sections.items():
        verdicts = Counter(row.verdict for row in own)
        aims, slower = verdicts["aim reached"], verdicts["slower"]
        reached = verdicts["reached"] + aims
        judged, large = reached + verdicts["missed"], sum(bool(row.large_errors) for row in own)
        parts = [f"{section}: {reached} of {judged} targets reached" if judged else f"{section}: no targets"]
        parts += [f"{aims} with the aim"] if aims else []
        parts += [f"{slower} without a target slower than the peer"] if slower else []
        parts += [f"[red]{large} with too large errors[/]"] if large else []
        console.print(", ".join(parts), highlight=False)


def write_json(file: Path, facts: dict[str, str], rows: Iterable[Row]) -> None:
    records = [
        {
            **row.case._asdict(),
            **{name: value for name, value in asdict(row).items() if name != "case"},
            "shape": row.case.shape._asdict(),
            "target": row.target and row.target._asdict(),
            "share_of_peak": row.share_of_peak,
            "verdict": row.verdict,
            "large_errors": row.large_errors,
        }
        for row in rows
    ]
    file.write_text(json.dumps({"conditions": facts, "rows": records}, indent=1) + "\n")
