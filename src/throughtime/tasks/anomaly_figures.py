"""A picture of what is odd: the channels, the score below them, and the spans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from throughtime.appearance import save_figure
from throughtime.tasks.anomaly_detector import Detected, Detection

MOST_CHANNELS = 4
ODD, LINE = "#c0392b", "#2c5f8a"


def plot_detection(detection: Detection, path: Path, recording: int | None = None) -> None:
    """Draw one recording into a PNG file: the one with the oddest step by default, and of it four channels at most.

    Args:
        detection: what was found.
        path: the file.
        recording: which; from 0.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    peaks = [float(one.scores.max()) for one in detection.found]
    chosen = detection.found[int(np.argmax(peaks)) if recording is None else recording]
    channels = _shown_channels(chosen)
    stamps = detection.table.stamps(chosen.recording.first + np.arange(len(chosen.recording)))
    heights = [2.0] * len(channels) + [1.2]
    figure = Figure(figsize=(12, sum(heights) + 1.0), dpi=120, layout="constrained")
    panels: Any = figure.subplots(len(channels) + 1, 1, sharex=True, height_ratios=heights)
    for axes, channel in zip(panels, channels, strict=False):
        values = np.where(chosen.recording.present[:, channel], chosen.recording.values[:, channel], np.nan)
        axes.plot(stamps, values, color=LINE, linewidth=0.9)
        axes.set_ylabel(chosen.recording.channels[channel])
    scores = panels[-1]
    scores.plot(stamps, chosen.scores, color="#555555", linewidth=0.9)
    scores.axhline(detection.threshold, color=ODD, linewidth=1, linestyle="--")
    scores.annotate("threshold", (1, detection.threshold), xycoords=("axes fraction", "data"), xytext=(-2, 3),
                    textcoords="offset points", ha="right", color=ODD, fontsize=8)  # fmt: skip
    scores.set_ylabel("score")
    half = (stamps[1] - stamps[0]) / 2 if len(stamps) > 1 else 0
    for axes in panels:
        for span in chosen.spans:
            axes.axvspan(stamps[span.begin] - half, stamps[span.end - 1] + half, color=ODD, alpha=0.22, linewidth=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if chosen.recording.labels is not None and chosen.recording.labels.any():
        bottom, top = scores.get_ylim()
        scores.fill_between(stamps, bottom, bottom + 0.06 * (top - bottom), where=chosen.recording.labels, step="mid",
                            color="#e08e0b", label="known to be odd")  # fmt: skip
        scores.legend(frameon=False, loc="upper left", fontsize=8)
    count = len(chosen.spans)
    panels[0].set_title(f"{chosen.recording.name}: {count} odd span{'' if count == 1 else 's'}", loc="left")
    save_figure(figure, path)


def _shown_channels(found: Detected) -> list[int]:
    """The channels that are furthest off in the spans, in their own order."""
    count = len(found.recording.channels)
    if count <= MOST_CHANNELS:
        return list(range(count))
    blamed = [found.recording.channels.index(span.channel) for span in found.spans]
    often = sorted(range(count), key=lambda channel: (-blamed.count(channel), channel))
    return sorted(often[:MOST_CHANNELS])
