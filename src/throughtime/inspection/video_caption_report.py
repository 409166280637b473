"""A look inside a captioner of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from throughtime.appearance import new_figure, palette, styled
from throughtime.data import Ids, Pixels
from throughtime.errors import ArgumentError
from throughtime.inspection.caption_report import caption_saliency
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.pictures import spread
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.video_report import plot_video_saliency
from throughtime.inspection.videos import MOST_FRAMES, SeenVideos
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.tasks.attention_overlays import END
from throughtime.tasks.captioning_model import Caption
from throughtime.tasks.reading import Reading, both_readings
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.training import read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW_VIDEOS, SHOWN = 32, 3


def plot_frame_attention(
    frames: Sequence[Pixels], pieces: Sequence[str], attention: npt.ArrayLike, *, dark: bool = False
) -> Figure:
    """Draw how much a captioner looked at each frame for each word: a row a word, a column a frame.

    Args:
        frames: of the video, shape (height, width, channel) each; some of them stand above their columns.
        pieces: the words, without the end.
        attention: shape (pieces + 1, frames).
        dark: whether for dark paper.

    Raises:
        ArgumentError: where there is not a row for each word and the end, and a column for each frame.
    """
    weights = np.asarray(attention, dtype=np.float64)
    if weights.shape != (len(pieces) + 1, len(frames)):
        wanted = len(pieces) + 1, len(frames)
        raise ArgumentError(f"`attention` must have a row for each word and the end, {wanted}, got {weights.shape}")
    colours = palette(dark=dark)
    count = len(frames)
    shown = min(MOST_FRAMES, count)
    width = count / shown
    heights = 0.85, 0.28 * len(weights)
    figure = new_figure(1.6 + 0.85 * max(shown, 4), sum(heights) + 0.6, dark=dark)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    above.set_axis_off()
    for place in range(shown):
        pixels = frames[int((place + 0.5) * width)]
        begin = 0.5 + place * width
        extent = begin + 0.03 * width, begin + 0.97 * width, 0.0, 1.0
        picture = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        above.imshow(picture, extent=extent, aspect="auto", interpolation="nearest")
    axes = styled(below, dark=dark, grid=False)
    extent = 0.5, count + 0.5, len(weights) - 0.5, -0.5
    axes.imshow(weights, cmap=colours.one_sided(), vmin=0, vmax=1, aspect="auto", extent=extent)
    axes.set_yticks(range(len(weights)), [*(piece.strip() or "␣" for piece in pieces), END], parse_math=False)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.set_xlabel("frame")
    axes.tick_params(length=0)
    above.set(xlim=(0.5, count + 0.5), ylim=(0, 1))
    return figure


def video_caption_sections(
    model: VideoCaptioner, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a captioner of videos: where it looks, what a caption rests on, and inside both sides.

    Raises:
        ArgumentError: where text is given, or there are no videos to look at.
        DataError: where a video can't be read.
    """
    seen = SeenVideos.read(model.folder, model.reader, given)
    rows = spread(len(seen.sequences), SHOWN)
    has_attention = model.network.decoder.attention is not None
    captions = model.captions_of(seen.sequences.chosen(rows), attention=has_attention)
    tokens = model.tokenizer.encode_all(one.text for one in captions)
    return [
        _attention_section(seen, rows, captions),
        _saliency_section(model, seen, rows, captions, numbers),
        *recurrent_sections(
            flow_readings(model, given),
            beside,
            numbers,
            read_metrics(model.folder.metrics_file),
            shown=_readings(model, seen, rows[:1], tokens[:1]),
        ),
    ]


def flow_readings(model: VideoCaptioner, given: Given) -> tuple[Reading, Reading]:
    """What encoder and decoder read of the videos by which the gradient flow is measured."""
    seen = SeenVideos.read(model.folder, model.reader, given)
    rows = spread(len(seen.sequences), FLOW_VIDEOS)
    said = [seen.said[row] for row in rows]
    if all(said):
        captions = [own[0] for own in said]
    else:
        captions = [one.text for one in model.captions_of(seen.sequences.chosen(rows))]
    return _readings(model, seen, rows, model.tokenizer.encode_all(captions))


def _readings(
    model: VideoCaptioner, seen: SeenVideos, rows: Sequence[int], captions: Sequence[Ids]
) -> tuple[Reading, Reading]:
    pieces = [[model.tokenizer.tokenizer.token(token) for token in own.tolist()] for own in captions]
    videos = seen.sequences.batch(rows)
    return both_readings(model.network, model.network.recurrent, videos, captions, target_pieces=pieces)


def _attention_section(seen: SeenVideos, rows: Sequence[int], captions: Sequence[Caption]) -> Section:
    section = Section("Attention")
    weights = [one.attention for one in captions if one.attention is not None]
    if not weights:
        section.say("This captioner has no attention: its decoder starts from one vector of the whole video.")
        return section
    section.say("How much the decoder looked at each frame for each word, ■ being the caption's end.")
    for place, (row, one, looked) in enumerate(zip(rows, captions, weights, strict=True)):
        known = "; ".join(seen.said[row])
        section.show(
            f"attention_{place + 1}",
            partial(plot_frame_attention, seen.pixels(row), one.pieces, looked),
            f"“{one.text}”" + (f"; captioned “{known}”." if known else "."),
        )
    return section


def _saliency_section(
    model: VideoCaptioner, seen: SeenVideos, rows: Sequence[int], captions: Sequence[Caption], numbers: Numbers
) -> Section:
    section = Section("Saliency")
    section.say(
        "What each pixel and each frame adds to the log-probability of the whole caption, by integrated gradients from "
        "a video that is all of the mean colour: blue makes it likelier, orange less likely."
    )
    found: list[dict[str, Any]] = []
    for place, (row, one) in enumerate(zip(rows, captions, strict=True)):
        (tokens,) = model.tokenizer.encode_all([one.text])
        maps = caption_saliency(model, seen.sequences.batch([row]).values[:, 0], tokens).double().cpu().numpy()
        section.show(f"saliency_{place + 1}", partial(plot_video_saliency, seen.pixels(row), maps), f"“{one.text}”.")
        found.append({"caption": one.text, "by_frame": maps.sum((1, 2)).tolist()})
    numbers["saliency"] = found
    return section
