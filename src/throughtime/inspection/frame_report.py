"""A look inside a network that predicts frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from throughtime.data import Pixels
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.pictures import spread
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.videos import SeenVideos, plot_frames
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.reading import Reading
from throughtime.tasks.video_predictor import VideoPredictor
from throughtime.tasks.video_readings import frame_reading
from throughtime.training import read_metrics

FLOW_VIDEOS = 8


def frame_sections(
    model: VideoPredictor, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a network that predicts frames.

    Raises:
        ArgumentError: where text is given, or there are no videos to look at.
        DataError: where a video can't be read.
    """
    seen = SeenVideos.read(model.folder, model.reader, given, model.settings.window)
    longest = int(seen.sequences.lengths.argmax())
    section = _predictions_section(model, seen, longest, numbers)
    reading, shown = flow_reading(model, given), _reading(model, seen, [longest])
    records = read_metrics(model.folder.metrics_file)
    frames = seen.pixels(longest)
    return [section, *recurrent_sections([reading], beside, numbers, records, shown=[shown], frames=frames)]


def flow_reading(model: VideoPredictor, given: Given) -> Reading:
    """What the recurrent layers read of the videos by which the gradient flow is measured."""
    seen = SeenVideos.read(model.folder, model.reader, given, model.settings.window)
    return _reading(model, seen, spread(len(seen.sequences), FLOW_VIDEOS))


def _reading(model: VideoPredictor, seen: SeenVideos, rows: Sequence[int]) -> Reading:
    batch = seen.sequences.batch(rows)
    return frame_reading(model.network, SequenceBatch(batch.values.to(model.device), batch.lengths))


def _predictions_section(model: VideoPredictor, seen: SeenVideos, row: int, numbers: Numbers) -> Section:
    """Each frame as it is, as it was predicted from those before it, and as it goes on without seeing any more."""
    own = seen.sequences.batch([row]).values
    observed = max(1, len(own) // 2)
    with torch.no_grad():
        videos = own.to(model.device)
        next_ones = model.network(SequenceBatch(videos[:-1])).sigmoid()[:, 0].cpu()
        freely = model.network.continued(SequenceBatch(videos[:observed]), len(own) - observed)[:, 0].cpu()
    section = Section("Predicted frames")
    section.say(
        "A video; each of its frames as the network predicts it from all frames before it; and, after the first "
        f"{observed}, as it goes on by itself, each predicted frame being the next one that it reads."
    )
    strips: dict[str, list[Pixels | None]] = {
        "frame": list(seen.pixels(row)),
        "predicted": [None, *_pixels(next_ones)],
        "by itself": [*[None] * observed, *_pixels(freely)],
    }
    section.show("predicted", partial(plot_frames, strips), "What is there, and what the network predicts.")
    wanted = own[:, 0].float() / 255
    numbers["squared_error"] = {
        "predicted": (next_ones - wanted[1:]).square().sum((1, 2, 3)).tolist(),
        "nothing moves": (wanted[:-1] - wanted[1:]).square().sum((1, 2, 3)).tolist(),
        "by itself": (freely - wanted[observed:]).square().sum((1, 2, 3)).tolist(),
    }
    return section


def _pixels(frames: torch.Tensor) -> list[Pixels]:
    return list((frames * 255).round().to(torch.uint8).numpy().astype(np.uint8))
