"""A look inside an anomaly detector: what a score is made of, and what the network makes of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.inspection.anomaly_figures import plot_latent_map, plot_reconstruction_lags, plot_score_parts
from throughtime.inspection.given import Given
from throughtime.inspection.page import Draw, Section
from throughtime.inspection.pictures import spread
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.models import RecurrentAutoencoder
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.tasks.anomaly_detector import AnomalyDetector, Detected, Detection
from throughtime.tasks.anomaly_scores import window_begins
from throughtime.tasks.reading import Reading, autoencoder_readings
from throughtime.training import read_metrics

FLOW_WINDOWS, LAG_WINDOWS, LAG_STEPS, SHOWN_SPANS, LISTED_SPANS = 32, 16, 24, 2, 10
PARTS = ("own error", "errors around too large", "errors around too small", "errors around too rough or smooth")


def reconstruction_lags(network: RecurrentAutoencoder, windows: Tensor) -> Tensor:
    """Decompose what the network tells of a step by lag: the derivative with respect to each step of the window.

    Args:
        network: in evaluation mode.
        windows: shape (time, batch, channel), scaled.

    Returns:
        Shape (channels, 2 * time - 1), float64: by how much what is told of a channel at a step rises when the same
        channel k steps before rises by 1, for k from -(time - 1) to time - 1, the mean over steps and windows.
    """
    values = windows.clone().detach().requires_grad_()
    time, _, channels = values.shape
    total = torch.zeros(channels, 2 * time - 1, dtype=torch.float64)
    count = torch.zeros(2 * time - 1)
    with torch.enable_grad():
        told = network(values)
        for step in spread(time, LAG_STEPS):
            places = time - 1 + step - torch.arange(time)  # lag k stands at time - 1 + k
            count[places] += 1
            for channel in range(channels):
                gradient = torch.autograd.grad(told[step, :, channel].sum(), values, retain_graph=True)[0]
                total[channel, places] += gradient[..., channel].mean(1).double().cpu()
    return total / count


def anomaly_sections(
    model: AnomalyDetector, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in an anomaly detector.

    Raises:
        ArgumentError: where text is given, or there are no series to look at.
        DataError: where a series can't be read.
    """
    detection = _detected(model, given)
    readings = _readings(model, detection, FLOW_WINDOWS)
    peak = max(detection.found, key=lambda one: float(one.scores.max()))
    begin = max(0, min(int(peak.scores.argmax()) - model.window // 2, len(peak.scores) - model.window))
    window = model.scaled(peak.recording)[begin : begin + model.window]
    shown = autoencoder_readings(model.network, torch.from_numpy(window[:, None].astype(np.float32)))
    return [
        _score_section(model, detection, numbers),
        _lags_section(model, detection, numbers),
        _latent_section(model, detection, numbers),
        *recurrent_sections(readings, beside, numbers, read_metrics(model.folder.metrics_file), shown=shown),
    ]


def flow_reading(model: AnomalyDetector, given: Given) -> Reading:
    """What the decoder, which has a loss at each step, reads of the windows by which the gradient flow is measured."""
    return _readings(model, _detected(model, given), FLOW_WINDOWS)[1]


def _detected(model: AnomalyDetector, given: Given) -> Detection:
    given.check("series", texts=False, files=True)
    if len(given.files) > 1:
        raise ArgumentError(f"this model reads one file of series, got {len(given.files)} by --input")
    if not given.files and not (model.folder.tokens / "series.json").exists():
        raise ArgumentError(f"{model.folder.path} keeps no series to look at; give some by --input")
    return model.detect(given.files[0] if given.files else None, baselines=False)


def _windows(model: AnomalyDetector, detection: Detection, most: int) -> npt.NDArray[np.float32]:
    """Windows at equal distances, shape (time, windows, channel), scaled."""
    found: list[npt.NDArray[np.float64]] = []
    for one in detection.found:
        values = model.scaled(one.recording)
        found += [
            values[begin : begin + model.window] for begin in window_begins(len(values), model.window, model.window)
        ]
    return np.stack([found[place] for place in spread(len(found), most)], axis=1).astype(np.float32)


def _readings(model: AnomalyDetector, detection: Detection, most: int) -> tuple[Reading, Reading]:
    return autoencoder_readings(model.network, torch.from_numpy(_windows(model, detection, most)))


def _score_section(model: AnomalyDetector, detection: Detection, numbers: Numbers) -> Section:
    section = Section("Score")
    section.say(
        "A step's score is the largest of four numbers: how large its own error is, how large the errors of the steps "
        "around it are together, how small, and how rough or smooth these are; each divided by what 99 of 100 normal "
        f"steps are below. Above {detection.threshold:.2f} a step is odd. The errors of the channels say which of them "
        "it is."
    )
    spans = detection.spans
    if spans:
        section.table(
            ("series", "from", "to", "steps", "score", "channel"),
            [(one.recording, one.first, one.last, one.steps, one.peak, one.channel) for one in spans[:LISTED_SPANS]],
        )
        if len(spans) > LISTED_SPANS:
            section.say(f"These are the oddest {LISTED_SPANS} of {len(spans)} spans.", faint=True)
    else:
        section.say("Nothing here is odd; the step with the highest score is shown.")
    by_name = {one.recording.name: one for one in detection.found}
    shown = [(by_name[one.recording], (one.begin + one.end) // 2) for one in spans[:SHOWN_SPANS]]
    if not shown:
        highest = max(detection.found, key=lambda one: float(one.scores.max()))
        shown = [(highest, int(highest.scores.argmax()))]
    for place, (found, middle) in enumerate(shown):
        section.show(f"score_{place + 1}", *_score_figure(model, detection, found, middle))
    numbers["spans"] = [
        {"recording": one.recording, "from": one.first, "to": one.last, "peak": one.peak, "channel": one.channel}
        for one in spans
    ]
    return section


def _score_figure(model: AnomalyDetector, detection: Detection, found: Detected, middle: int) -> tuple[Draw, str]:
    around = 2 * model.window
    part = slice(max(0, middle - around), min(len(found.scores), middle + around))
    values = model.scaled(found.recording)
    errors = model.errors_of(values)
    parts = {name: own[part] for name, own in zip(PARTS, model.normal.parts(errors), strict=True)}
    draw = partial(
        plot_score_parts,
        values[part],
        (errors / np.array(model.normal.error))[part],
        parts,
        model.channels,
        threshold=detection.threshold,
        first=part.start,
    )
    stamps = [detection.table.stamp(found.recording.first + step) for step in (part.start, part.stop - 1)]
    return (
        draw,
        f"{found.recording.name}, {stamps[0]} to {stamps[1]}: its channels, their errors, and the score's parts.",
    )


def _lags_section(model: AnomalyDetector, detection: Detection, numbers: Numbers) -> Section:
    section = Section("Decomposition by lag")
    section.say(
        "By how much what the network tells of a step rises when the value k steps before it rises by 1, the mean over "
        "steps and windows. A narrow peak at lag 0 says that it copies, and would tell what is odd as well; a wide "
        "one, or one that comes again with a season, that it goes by the shape of the whole window."
    )
    windows = torch.from_numpy(_windows(model, detection, LAG_WINDOWS)).to(model.device)
    found = reconstruction_lags(model.network, windows)
    section.show(
        "lags",
        partial(plot_reconstruction_lags, found, model.channels),
        "Derivatives of what is told with respect to the values around.",
    )
    numbers["reconstruction_lags"] = dict(zip(model.channels, found.tolist(), strict=True))
    return section


def _latent_section(model: AnomalyDetector, detection: Detection, numbers: Numbers) -> Section:
    section = Section("Map of windows")
    places, vectors, scores = _latent(model, detection)
    if len(vectors) < 3:
        section.say("There are fewer than three windows, too few for a map.")
        return section
    section.say(
        f"Each window is a vector of {vectors.shape[1]} numbers, from which all of its steps are told again. Here they "
        "stand at the first two principal components of these vectors."
    )
    section.show(
        "latent",
        partial(plot_latent_map, vectors, scores, places, threshold=detection.threshold),
        f"The vectors of {len(vectors)} windows.",
    )
    numbers["latent"] = {"places": places, "vectors": vectors.tolist(), "scores": scores}
    return section


def _latent(model: AnomalyDetector, detection: Detection) -> tuple[list[str], npt.NDArray[np.float32], list[float]]:
    """Where windows begin, their vectors, and the largest score in each."""
    places, vectors = model.encode(detection.table)
    scores: list[float] = []
    for one in detection.found:
        begins: Sequence[int] = window_begins(len(one.scores), model.window, model.window).tolist()
        scores += [float(one.scores[begin : begin + model.window].max()) for begin in begins]
    return places, vectors, scores
