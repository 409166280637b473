"""A look inside a captioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import CaptionedImages, Ids, with_ends
from throughtime.inspection.given import Given
from throughtime.inspection.page import Section
from throughtime.inspection.picture_saliency import picture_saliency, plot_picture_saliency
from throughtime.inspection.pictures import Seen
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.attention_overlays import plot_overlays
from throughtime.tasks.captioner import Captioner
from throughtime.tasks.captioning_model import Caption
from throughtime.tasks.reading import Reading, decoder_reading
from throughtime.tasks.video_captioner import VideoCaptioner
from throughtime.training import read_metrics

FLOW_PICTURES, SHOWN = 32, 4


def caption_saliency(model: Captioner | VideoCaptioner, frames: Tensor, caption: Ids) -> Tensor:
    """What each place of a picture or a video adds to the log-probability of a caption of it, (time, rows, columns).

    Args:
        model: the captioner.
        frames: shape (time, ...), as its network gets them; a picture is one frame.
        caption: its tokens, without their ends.
    """
    network = model.network
    target = torch.from_numpy(with_ends(caption, network.end)).to(model.device)

    def score(values: Tensor) -> Tensor:
        scores = network(SequenceBatch(values), target[:-1].unsqueeze(1))[:, 0].log_softmax(-1)
        return scores.gather(1, target[1:].unsqueeze(1)).sum().unsqueeze(0)

    return picture_saliency(network.images, score, frames.unsqueeze(1).to(model.device))[:, 0]


def caption_sections(
    model: Captioner, given: Given, beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a captioner: where it looks, which pixels a caption rests on, and inside its decoder.

    Raises:
        ArgumentError: where text is given, or there are no pictures to look at.
        DataError: where a picture can't be read.
    """
    seen = _seen(model, given, SHOWN)
    has_attention = model.network.decoder.attention is not None
    captions = model.captions_of(seen.frames, attention=has_attention)
    tokens = model.tokenizer.encode_all(one.text for one in captions)
    reading, shown = flow_reading(model, given), _reading(model, seen.frames.array[:1], tokens[:1])
    return [
        _attention_section(seen, captions, has_attention=has_attention),
        _saliency_section(model, seen, captions, tokens, numbers),
        *recurrent_sections([reading], beside, numbers, read_metrics(model.folder.metrics_file), shown=[shown]),
    ]


def flow_reading(model: Captioner, given: Given) -> Reading:
    """What the decoder reads of the captions by which the gradient flow is measured."""
    seen = _seen(model, given, FLOW_PICTURES)
    if seen.rows:
        part = CaptionedImages.load(model.folder.tokens / "valid.jsonl", "valid")
        tokens = model.tokenizer.encode_all(part.captions[row][0] for row in seen.rows)
    else:
        tokens = model.tokenizer.encode_all(one.text for one in model.captions_of(seen.frames))
    return _reading(model, seen.frames.array, tokens)


def _reading(model: Captioner, pictures: npt.NDArray[Any], captions: Sequence[Ids]) -> Reading:
    with torch.no_grad():
        state = model.network.encode(SequenceBatch(torch.from_numpy(pictures).unsqueeze(0).to(model.device)))
    pieces = [[model.tokenizer.tokenizer.token(token) for token in own.tolist()] for own in captions]
    return decoder_reading(model.network, state, captions, pieces)


def _seen(model: Captioner, given: Given, most: int) -> Seen:
    given.check("pictures", texts=False, files=True)
    if given.files:
        return Seen.of_files(model.reader, given.files[:most])
    return Seen.of_model(model.folder, model.reader, most)


def _attention_section(seen: Seen, captions: Sequence[Caption], *, has_attention: bool) -> Section:
    section = Section("Attention")
    if not has_attention:
        section.say("This captioner has no attention: its decoder starts from one vector of the whole picture.")
        return section
    section.say("Where the decoder looked for each word: the picture is bright there.")
    if (remark := seen.remark()) is not None:
        section.say(remark, faint=True)
    section.show(
        "attention",
        partial(plot_overlays, seen.pixels, captions),
        "Pictures with their captions, and once more for each word, bright where the decoder looked.",
    )
    return section


def _saliency_section(
    model: Captioner, seen: Seen, captions: Sequence[Caption], tokens: Sequence[Ids], numbers: Numbers
) -> Section:
    section = Section("Saliency")
    section.say(
        "What each pixel adds to the log-probability of the whole caption, by integrated gradients from a picture that "
        "is all of the mean colour: blue makes it likelier, orange less likely."
    )
    pictures = torch.from_numpy(seen.frames.array)
    found = [caption_saliency(model, one.unsqueeze(0), own)[0] for one, own in zip(pictures, tokens, strict=True)]
    maps = [own.double().cpu().numpy() for own in found]
    section.show(
        "saliency",
        partial(plot_picture_saliency, seen.pixels, maps, [one.text for one in captions]),
        "Pictures, their captions, and the pixels that these rest on.",
    )
    numbers["saliency"] = [
        {"caption": one.text, "integrated_gradients": own.tolist()} for one, own in zip(captions, maps, strict=True)
    ]
    return section
