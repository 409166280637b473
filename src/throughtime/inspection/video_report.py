"""A look inside a video classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.appearance import new_figure, palette, styled
from throughtime.data import Pixels
from throughtime.errors import ArgumentError
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.picture_saliency import fitted, picture_saliency, reach_of
from throughtime.inspection.pictures import spread
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.videos import MOST_FRAMES, SeenVideos
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.reading import Reading
from throughtime.tasks.video_classifier import VideoClassifier
from throughtime.tasks.video_readings import video_reading
from throughtime.training import read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW_VIDEOS, SHOWN = 32, 3


@dataclass(frozen=True)
class VideoSaliency:
    """What the frames of a video add to the score of its likeliest class.

    Attributes:
        label: of the class.
        probability: of the class.
        integrated_gradients: shape (time, rows, columns), of pixels, or of the places of a frozen backbone.
    """

    label: str
    probability: float
    integrated_gradients: npt.NDArray[np.float64]

    @property
    def by_frame(self) -> npt.NDArray[np.float64]:
        """What each frame adds, shape (time,)."""
        return self.integrated_gradients.sum((1, 2))


def video_saliency(model: VideoClassifier, frames: Tensor) -> VideoSaliency:
    """What the frames of a video, shape (time, ...), as the network gets them, add to the likeliest class's score."""
    own = frames.unsqueeze(1).to(model.device)
    with torch.no_grad():
        probabilities = model.targets.probabilities(model.network(SequenceBatch(own)).cpu())[0]
    chosen = int(probabilities.argmax())

    def score(values: Tensor) -> Tensor:
        return model.network(SequenceBatch(values))[:, chosen]

    found = picture_saliency(model.network.images, score, own)[:, 0]
    return VideoSaliency(model.targets.classes[chosen], float(probabilities[chosen]), found.double().cpu().numpy())


def plot_video_saliency(frames: Sequence[Pixels], maps: npt.ArrayLike, *, dark: bool = False) -> Figure:
    """Draw some frames, what their pixels add to a score, and below what each of all frames adds.

    Args:
        frames: shape (height, width, channel) each.
        maps: shape (time, rows, columns).
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there are not as many maps as frames.
    """
    values = np.asarray(maps, dtype=np.float64)
    if not len(frames) or len(values) != len(frames):
        raise ArgumentError(f"`maps` must be as many as the frames, {len(frames)}, got {len(values)}")
    colours = palette(dark=dark)
    steps = spread(len(frames), MOST_FRAMES)
    figure = new_figure(1.0 + 0.95 * max(len(steps), 5), 4.0, dark=dark)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.1, 1))
    above, below = parts
    for part in parts:
        part.set_facecolor(colours.paper)
    grid = above.subplots(2, len(steps), squeeze=False)
    reach = reach_of(values)
    for column, step in enumerate(steps):
        pixels = frames[step]
        grid[0, column].imshow(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), interpolation="nearest")
        grid[0, column].set_title(str(step + 1), fontsize=9, color=colours.faint, pad=3)
        shown = fitted(values[step], pixels.shape[:2])
        grid[1, column].imshow(shown, cmap=colours.two_sided(), vmin=-reach, vmax=reach, interpolation="nearest")
    for axes in grid.flat:
        axes.set_axis_off()
    axes = styled(below.subplots(), dark=dark)
    added = values.sum((1, 2))
    axes.bar(np.arange(1, len(added) + 1), added, color=[colours.high if one > 0 else colours.low for one in added])
    axes.axhline(0, color=colours.faint, linewidth=1)
    axes.set_xlabel("frame")
    axes.set_ylabel("score")
    return figure


def video_sections(
    model: VideoClassifier, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a video classifier.

    Raises:
        ArgumentError: where text is given, or there are no videos to look at.
        DataError: where a video can't be read.
    """
    seen = SeenVideos.read(model.folder, model.reader, given)
    rows = spread(len(seen.sequences), SHOWN)
    section = Section("Saliency")
    section.say(
        "What each pixel and each frame adds to the score of the likeliest class, by integrated gradients from a video "
        "that is all of the mean colour: blue speaks for the class, orange against it."
    )
    found: list[VideoSaliency] = []
    for place, row in enumerate(rows):
        one = video_saliency(model, seen.sequences.batch([row]).values[:, 0])
        labels = ", ".join(seen.said[row])
        section.show(
            f"saliency_{place + 1}",
            partial(plot_video_saliency, seen.pixels(row), one.integrated_gradients),
            f"Taken for {one.label!r}, {100 * one.probability:.0f} %" + (f"; labelled {labels!r}." if labels else "."),
        )
        found.append(one)
    numbers["saliency"] = [
        {"label": one.label, "probability": one.probability, "by_frame": one.by_frame.tolist()} for one in found
    ]
    reading = flow_reading(model, given)
    records = read_metrics(model.folder.metrics_file)
    shown = _reading(model, seen, rows[:1])
    frames = seen.pixels(rows[0])
    return [section, *recurrent_sections([reading], beside, numbers, records, shown=[shown], frames=frames)]


def flow_reading(model: VideoClassifier, given: Given) -> Reading:
    """What the recurrent layers read of the videos by which the gradient flow is measured."""
    seen = SeenVideos.read(model.folder, model.reader, given)
    return _reading(model, seen, spread(len(seen.sequences), FLOW_VIDEOS))


def _reading(model: VideoClassifier, seen: SeenVideos, rows: Sequence[int]) -> Reading:
    batch = seen.sequences.batch(rows)
    return video_reading(model.network, SequenceBatch(batch.values.to(model.device), batch.lengths))
