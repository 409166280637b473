"""How figures look: on white paper and on dark, in colours that can be told apart by everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughtime.errors import ArgumentError, check_choice
from throughtime.files import check_output_file, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


FIGURE_ENDINGS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Palette:
    """The colours of figures, as hexadecimal RGB.

    Attributes:
        paper: behind everything.
        ink: of what is read.
        faint: of what is read last.
        grid: of lines that only guide the eye.
        lines: of curves, in this order; Okabe and Ito's (2008), which people without red or green tell apart.
        low, high: where a colour map ends that is ``paper`` in its middle.
    """

    paper: str
    ink: str
    faint: str
    grid: str
    lines: tuple[str, ...]
    low: str
    high: str

    def one_sided(self) -> Colormap:
        """A colour map from ``paper`` for 0 to ``high`` for 1."""
        return _colour_map("one-sided", [self.paper, self.high])

    def two_sided(self) -> Colormap:
        """A colour map from ``low`` for the least over ``paper`` to ``high`` for the most."""
        return _colour_map("two-sided", [self.low, self.paper, self.high])


LIGHT = Palette(
    paper="#ffffff",
    ink="#1c2430",
    faint="#667080",
    grid="#e3e7ed",
    lines=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9"),
    low="#c2570c",
    high="#0b5a9c",
)
DARK = Palette(
    paper="#1a212b",
    ink="#e8edf4",
    faint="#93a0b2",
    grid="#2f3946",
    lines=("#5cb3f0", "#ff9c57", "#3fcf9f", "#e6a3c8", "#f0e442", "#a9d8f5"),
    low="#f08a3c",
    high="#5cb3f0",
)


def palette(*, dark: bool) -> Palette:
    """The colours for dark paper or for white."""
    return DARK if dark else LIGHT


def new_figure(width: float, height: float, *, dark: bool = False) -> Figure:
    """Make an empty figure of a size in inches, whose axes ``styled`` makes."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and needed once, at the end

    return Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor=palette(dark=dark).paper)


def styled(axes: Axes, *, dark: bool = False, grid: bool = True) -> Axes:
    """Give axes their colours: no box, faint ticks, and lines that guide the eye if there is to be a ``grid``."""
    colours = palette(dark=dark)
    axes.set_facecolor(colours.paper)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(colours.faint)
    axes.tick_params(colors=colours.faint, labelcolor=colours.ink, labelsize=9, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
        label.set_color(colours.ink)
    axes.set_prop_cycle(color=colours.lines)
    if grid:
        axes.grid(color=colours.grid, linewidth=0.8)
        axes.set_axisbelow(True)
    return axes


def legend(axes: Axes, *, dark: bool = False, **options: Any) -> None:
    """Name the curves, without a box."""
    axes.legend(frameon=False, labelcolor=palette(dark=dark).ink, fontsize=9, **options)


def level_line(axes: Axes, value: float, name: str, *, dark: bool = False) -> None:
    """Draw a dashed line at a value of the y axis, its name to the right of the axes."""
    faint = palette(dark=dark).faint
    axes.axhline(value, color=faint, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        name,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=faint,
    )


def check_figure_file(path: Path) -> None:
    """Raise ArgumentError, before the work that is to be drawn, unless ``save_figure`` can write such a file."""
    check_output_file("figure", path, FIGURE_ENDINGS)


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure whole or not at all, in the format that the file's ending names; PNG without an ending.

    Raises:
        ArgumentError: for a format that matplotlib can't write, or a folder that isn't there.
    """
    path = Path(path)
    format = path.suffix.removeprefix(".").lower() or "png"  # noqa: A001 - matplotlib's own word
    check_choice("format", format, sorted(figure.canvas.get_supported_filetypes()))
    if not path.parent.is_dir():
        raise ArgumentError(f"{path}: there is no folder {str(path.parent)!r}; make it, or give another")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=format)


def as_svg(figure: Figure) -> bytes:
    """A figure as SVG, the same bytes for the same figure."""
    import matplotlib as mpl  # noqa: PLC0415 - as above

    buffer = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "throughtime"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _colour_map(name: str, colours: Sequence[str]) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 - as above

    return LinearSegmentedColormap.from_list(name, list(colours))
