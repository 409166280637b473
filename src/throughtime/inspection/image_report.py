"""A look inside an image classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import LabelledImages
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.picture_saliency import picture_saliency, plot_picture_saliency
from throughtime.inspection.pictures import Seen
from throughtime.inspection.recurrent_report import Numbers
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.image_classifier import ImageClassifier
from throughtime.tasks.reading import Reading

SHOWN = 9


@dataclass(frozen=True)
class ImageSaliency:
    """What the places of a picture add to the score of its likeliest class.

    Attributes:
        label: of the class.
        probability: of the class.
        integrated_gradients: shape (rows, columns), of pixels, or of the places of a frozen backbone.
    """

    label: str
    probability: float
    integrated_gradients: npt.NDArray[np.float64]


def image_saliency(model: ImageClassifier, pictures: Tensor) -> list[ImageSaliency]:
    """What the places of pictures add to the scores of their likeliest classes.

    Args:
        model: the classifier.
        pictures: shape (pictures, ...), as its network gets them; ``model.reader.frames`` makes them.
    """
    own = pictures.unsqueeze(0).to(model.device)
    with torch.no_grad():
        probabilities = model.targets.probabilities(model.network(SequenceBatch(own)).cpu())
    chosen = probabilities.argmax(-1)

    def score(values: Tensor) -> Tensor:
        scores = model.network(SequenceBatch(values))
        return scores.gather(1, chosen.to(scores.device).unsqueeze(1))[:, 0]

    maps = picture_saliency(model.network.images, score, own)[0].double().cpu().numpy()
    return [
        ImageSaliency(model.targets.classes[place], float(row[place]), own)
        for place, row, own in zip(chosen.tolist(), probabilities, maps, strict=True)
    ]


def image_sections(
    model: ImageClassifier, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in an image classifier: which pixels speak for its classes.

    Raises:
        ArgumentError: where text is given, or there are no pictures to look at.
        DataError: where a picture can't be read.
    """
    del beside  # of models with recurrent layers
    given.check("pictures", texts=False, files=True)
    labels: list[str] = []
    if given.files:
        seen = Seen.of_files(model.reader, given.files[:SHOWN])
    else:
        seen = Seen.of_model(model.folder, model.reader, SHOWN)
        part = LabelledImages.load(model.folder.tokens / "valid.jsonl", "valid")
        labels = [", ".join(part.labels[row]) for row in seen.rows]
    found = image_saliency(model, torch.from_numpy(seen.frames.array))
    section = Section("Saliency")
    section.say(
        "What each pixel adds to the score of the likeliest class, by integrated gradients from a picture that is all "
        "of the mean colour: blue speaks for the class, orange against it."
    )
    if (remark := seen.remark()) is not None:
        section.say(remark, faint=True)
    titles = [f"{one.label}, {100 * one.probability:.0f} %" for one in found]
    if labels:
        wrong = [label if label != one.label else "" for label, one in zip(labels, found, strict=True)]
        titles = [f"{title} (is {label})" if label else title for title, label in zip(titles, wrong, strict=True)]
    maps = [one.integrated_gradients for one in found]
    section.show(
        "saliency",
        partial(plot_picture_saliency, seen.pixels, maps, titles),
        "Pictures, what they are taken for, and which of their pixels say so.",
    )
    numbers["saliency"] = [
        {"label": one.label, "probability": one.probability, "integrated_gradients": one.integrated_gradients.tolist()}
        for one in found
    ]
    absent = Section("No recurrence")
    absent.say(
        "This network looks at a picture once and keeps no state, so there is no gradient flow through time, there are "
        "no gates and no memory to show."
    )
    return [section, absent]


def flow_reading(model: ImageClassifier, given: Given) -> Reading | None:
    """None: there are no recurrent layers."""
    del model, given
    return None
