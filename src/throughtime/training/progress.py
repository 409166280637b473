"""What a run shows on standard error: a bar with loss, perplexity, speed and time left, a line a validation."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn


class Display:
    """The progress of one run on standard error; ``quiet`` shows nothing.

    Where standard error is not a terminal there is no bar, only the lines.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, description: str, fraction: float, figures: str = "") -> None:
        """Move the bar to ``fraction`` (0 to 1) with a text before and after it."""
        self._bar.update(self._task, description=description, completed=fraction, figures=figures)

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, markup=False, soft_wrap=True)

    def part(self, name: str, begin: float, share: float) -> Display:
        """The display of one of several runs that are shown as one.

        Its bar moves this one's from ``begin`` on over ``share`` of its length, and its lines aren't printed.
        """
        return _Part(self, name, begin, share)


class _Part(Display):
    def __init__(self, whole: Display, name: str, begin: float, share: float) -> None:
        super().__init__(quiet=True)
        self._whole = whole
        self._name = name
        self._begin = begin
        self._share = share

    def update(self, description: str, fraction: float, figures: str = "") -> None:
        self._whole.update(f"{self._name}: {description}", self._begin + fraction * self._share, figures)


def duration(seconds: float) -> str:
    """Seconds as people write them.

    >>> duration(7.2), duration(187), duration(7380)
    ('7 s', '3 min 07 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def perplexity(nats: float) -> float:
    """Exp of the mean cross-entropy in nats; infinite where that overflows."""
    return math.exp(nats) if nats < 700 else math.inf
