"""What the comparison of cells on long-term dependencies shows, in a picture and in words."""

from __future__ import annotations

from pathlib import Path

from throughtime.appearance import save_figure
from throughtime.tasks.long_term_dependencies import SOLVED, CellResult, Comparison

FAMILIES = {"rnn": "Reds", "lstm": "Blues", "gru": "Greens"}
STYLES = ("-", "--", "-.", ":")
BETTER = 0.95
"""The share of a guess's loss below which a cell has begun to learn."""
SMALLEST = 1e-12
"""Gradients below this are drawn at the edge of the picture."""


def verdict(row: CellResult, guess: float) -> str:
    """Whether a cell has learned the task, in words."""
    if row.failure is not None and not row.losses:
        return "not judged"
    if row.loss < SOLVED * guess:
        return "solved"
    if row.loss < BETTER * guess:
        return "begun"
    return "guessing"


def share(value: float) -> str:
    """A share that may be very small, for people to read.

    >>> share(0.42), share(0.0031), share(2.4e-15), share(0.0)
    ('42 %', '0.31 %', '2e-15', '0')
    """
    if value >= 0.1:
        return f"{value:.0%}".replace("%", " %")
    if value >= 1e-4:
        return f"{100 * value:.2g} %"
    return f"{value:.0e}" if value > 0 else "0"


def explain(comparison: Comparison) -> list[str]:
    """What the figure shows, in a few sentences."""
    rows, guess = comparison.rows, comparison.guess
    if not rows:
        return []
    sentences: list[str] = []
    lag = len(rows[0].gradient_before) - 1
    faded = [row for row in rows if row.reach is not None]
    kept = [row for row in rows if row.reach is None]
    if faded:
        worst = min(faded, key=lambda row: row.reach or 0)
        sentences.append(
            f"Before training, less than 1 % of the gradient comes back over {lag} steps in {_names(faded)}: in "
            f"{worst.model} that little is left after {worst.reach}, and {share(worst.gradient_before[-1])} after "
            f"{lag}."
        )
    if kept:
        best = max(kept, key=lambda row: row.gradient_before[-1])
        sentences.append(
            f"In {_names(kept)} more than that comes back all the way"
            + (f", in {best.model} the most" if len(kept) > 1 else "")
            + f": {share(best.gradient_before[-1])}."
        )
    solved = [row for row in rows if row.loss < SOLVED * guess]
    lost = [row for row in rows if row.loss >= BETTER * guess]
    if solved:
        first = min(solved, key=lambda row: row.solved_at or 0)
        who = f", {first.model} first" if len(solved) > 1 else ""
        when = f"{who}, after {first.solved_at:,} updates" if first.solved_at else ""
        sentences.append(f"{_names(solved)} solved the task{when}.")
    if lost:
        sentences.append(f"{_names(lost)} {'is' if len(lost) == 1 else 'are'} no better than a guess ({guess:.4f}).")
    return sentences


def _names(rows: list[CellResult]) -> str:
    names = [row.model for row in rows]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plot_dependencies(comparison: Comparison, path: Path) -> None:
    """Draw loss against updates, and the gradient's norm against the lag, into a PNG file."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(13, 5), dpi=120, layout="constrained")
    learning, gradient = figure.subplots(1, 2)
    seen: dict[str, int] = {}
    for row in comparison.rows:
        family = next(name for name in FAMILIES if row.model.startswith(name))
        place = seen[family] = seen.get(family, -1) + 1
        colour = mpl.colormaps[FAMILIES[family]](0.9 - 0.13 * place)
        look = {"color": colour, "linestyle": STYLES[place % len(STYLES)], "linewidth": 2.0}
        if row.losses:
            learning.plot(*zip(*row.losses, strict=True), label=row.model, **look)
        norms = [max(norm, SMALLEST / 100) for norm in row.gradient_before[1:]]
        gradient.plot(range(1, len(norms) + 1), norms, label=row.model, **look)
    learning.axhline(comparison.guess, color="#555555", linewidth=1, linestyle=(0, (1, 2)))
    learning.annotate("a guess", (0.99, comparison.guess), xycoords=("axes fraction", "data"), xytext=(0, 3),
                      textcoords="offset points", ha="right", color="#555555")  # fmt: skip
    learning.set(yscale="log", xlabel="update", ylabel=f"{comparison.measure} on sequences not seen")
    learning.set_title(f"Learning the {comparison.task} task over {comparison.length} steps", loc="left")
    gradient.set(
        yscale="log", xlabel="lag k: steps back from the answer", ylabel="norm of dL/dh at lag k, relative to lag 1"
    )
    gradient.set_title("How much of the gradient comes back that far, before training", loc="left")
    gradient.set_ylim(bottom=max(SMALLEST, min(min(row.gradient_before) for row in comparison.rows) / 2))
    for axes in (learning, gradient):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*gradient.get_legend_handles_labels(), loc="outside right center", frameon=False)
    save_figure(figure, path)
