"""A look inside a classifier of sequences of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.appearance import legend, new_figure, palette, styled
from throughtime.data import LabelledSequences
from throughtime.errors import ArgumentError
from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.saliency import integrated_gradients
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.reading import Reading, classifier_reading
from throughtime.tasks.sequence_classification import SUFFIX
from throughtime.tasks.sequence_classifier import SequenceClassifier
from throughtime.training import read_metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW_SEQUENCES, SHOWN_SEQUENCES, MOST_CHANNELS = 64, 3, 6


def sequence_saliency(model: SequenceClassifier, sequence: npt.ArrayLike) -> tuple[str, npt.NDArray[np.float64]]:
    """Which steps of a sequence the score of its likeliest class depends on, by integrated gradients.

    Args:
        model: the classifier.
        sequence: shape (time, channel), or (time,) of a single channel.

    Returns:
        The class, and shape (time,): what each step adds to its score, beside a sequence of the numbers' means.
    """
    (label,) = model.predict([sequence])[0].labels[:1] or (model.targets.classes[0],)
    place = model.targets.classes.index(label)
    numbers = np.asarray(sequence, dtype=np.float32)
    numbers = numbers[:, None] if numbers.ndim == 1 else numbers
    inputs = torch.from_numpy(numbers).unsqueeze(1).to(model.device)

    def score(values: Tensor) -> Tensor:
        return model.network(SequenceBatch(values))[:, place]

    baseline = model.network.mean.expand_as(inputs)
    found = integrated_gradients(score, inputs, baseline)[:, 0]
    return label, found.double().cpu().numpy()


def plot_sequence_saliency(
    sequence: npt.ArrayLike, contributions: npt.ArrayLike, channels: Sequence[str] = (), *, dark: bool = False
) -> Figure:
    """Draw a sequence of numbers over time, and below it what each step adds to a score.

    Raises:
        ArgumentError: where there are not as many contributions as steps.
    """
    numbers, added = np.asarray(sequence, dtype=np.float64), np.asarray(contributions, dtype=np.float64)
    numbers = numbers[:, None] if numbers.ndim == 1 else numbers
    if added.shape != numbers.shape[:1]:
        raise ArgumentError(f"`contributions` must have shape ({len(numbers)},), got {added.shape}")
    colours = palette(dark=dark)
    figure = new_figure(7.5, 3.9, dark=dark)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    names = list(channels) or [str(place + 1) for place in range(numbers.shape[1])]
    styled(above, dark=dark)
    for place, name in enumerate(names[:MOST_CHANNELS]):
        above.plot(numbers[:, place], linewidth=1.6, label=name)
    legend(above, dark=dark, ncols=min(len(names), MOST_CHANNELS), loc="lower right", bbox_to_anchor=(1, 1))
    styled(below, dark=dark)
    shades = [colours.high if value > 0 else colours.low for value in added]
    below.bar(np.arange(len(added)), added, width=0.9, color=shades)
    below.axhline(0, color=colours.faint, linewidth=1)
    below.set_xlabel("step")
    below.set_ylabel("score")
    return figure


def sequence_sections(
    model: SequenceClassifier, texts: Sequence[str], beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a classifier of sequences, of its own validation sequences.

    Raises:
        ArgumentError: where text is given, which it doesn't read, or the sequences are not there any more.
    """
    reading = flow_reading(model, texts)
    part = _own(model)
    section = Section("Saliency")
    section.say(
        "What each step adds to the score of the likeliest class, by integrated gradients from a sequence of the "
        "numbers' means: blue speaks for the class, orange against it."
    )
    for place, example in enumerate(part.examples[:SHOWN_SEQUENCES]):
        label, added = sequence_saliency(model, example.values)
        section.show(
            f"saliency_{place + 1}",
            partial(plot_sequence_saliency, example.values, added, model.channels),
            f"Taken for {label!r}; labelled {', '.join(example.labels) or 'with nothing'}.",
        )
    if reading is None:
        section.say("This model has no recurrent layers to look into.")
        return [section]
    return [section, *recurrent_sections([reading], beside, numbers, read_metrics(model.folder.metrics_file))]


def flow_reading(model: SequenceClassifier, texts: Sequence[str]) -> Reading | None:
    """What the recurrent layers read of the sequences by which the gradient flow is measured."""
    if texts:
        raise ArgumentError("this model reads numbers; leave out --text and --file, its validation sequences are shown")
    return classifier_reading(model.network, _own(model).sequences, most=FLOW_SEQUENCES)


def _own(model: SequenceClassifier) -> LabelledSequences:
    file = model.folder.tokens / f"valid{SUFFIX}"
    if not file.exists():
        raise ArgumentError(f"{model.folder.path} keeps no validation sequences to look at")
    return LabelledSequences.load(file, "valid")
