"""A look inside a translator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import Ids, ParallelText, with_ends
from throughtime.errors import ArgumentError
from throughtime.inspection.coloured_text import coloured_text
from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.saliency import giving, gradient_times_input
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.alignment_figures import plot_alignments
from throughtime.tasks.reading import Reading, translation_readings
from throughtime.tasks.translator import Translation, Translator
from throughtime.training import read_metrics

FLOW_SENTENCES, SHOWN_SENTENCES, MOST_ROWS = 32, 4, 40


@dataclass(frozen=True)
class TranslationSaliency:
    """What each token of a source adds to the log-probability of its translation, in nats.

    Attributes:
        source_pieces: the source's tokens, for people to read.
        text: the translation.
        gradient_times_input: shape (source tokens,).
    """

    source_pieces: tuple[str, ...]
    text: str
    gradient_times_input: npt.NDArray[np.float64]


def translation_saliency(model: Translator, source: str, translation: str) -> TranslationSaliency:
    """Which words of a source a translation depends on, its words given (teacher forcing).

    Raises:
        ArgumentError: where the source has no token.
    """
    tokens = model.source.encode(source)
    if not len(tokens):
        raise ArgumentError("`source` must have a token in it, got none")
    ids = torch.from_numpy(tokens).unsqueeze(1).to(model.device)
    target = torch.from_numpy(with_ends(model.target.encode(translation), model.network.end)).to(model.device)
    network = model.network
    inputs = network.encoder.embedding(ids).detach()

    def score(values: Tensor) -> Tensor:
        with giving(network.encoder.embedding, values):
            state = network.encode(SequenceBatch(ids))
        scores = network.scores(network.decode(target[:-1].unsqueeze(1), state).readouts)[:, 0]
        return scores.log_softmax(-1).gather(1, target[1:].unsqueeze(1)).sum().unsqueeze(0)

    contributions = gradient_times_input(score, inputs)[:, 0].double().cpu().numpy()
    return TranslationSaliency(tuple(model.source.pieces(source)), translation, contributions)


def translation_sections(
    model: Translator, texts: Sequence[str], beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a translator.

    Args:
        model: the model.
        texts: sentences of the source; some of its validation sentences if there are none.
        beside: gradient flows of the encoders of other models.
        numbers: gets what was measured.
    """
    sentences = list(texts)[:SHOWN_SENTENCES] or _own(model, SHOWN_SENTENCES).sources
    has_attention = model.network.decoder.attention is not None
    found = [one for one in model.translate(sentences, alignment=has_attention) if one.text]
    readings = flow_readings(model, texts)
    shown = _readings(model, sentences[:1], [model.translate(sentences[:1])[0].text])
    return [
        *([_attention_section(found)] if found and has_attention else []),
        _saliency_section(model, sentences),
        *recurrent_sections(readings, beside, numbers, read_metrics(model.folder.metrics_file), shown=shown),
    ]


def flow_readings(model: Translator, texts: Sequence[str]) -> tuple[Reading, Reading]:
    """What encoder and decoder read of the sentences by which the gradient flow is measured."""
    if texts:
        sources = list(texts)[:FLOW_SENTENCES]
        return _readings(model, sources, [one.text for one in model.translate(sources)])
    pairs = _own(model, FLOW_SENTENCES)
    return _readings(model, pairs.sources, pairs.targets)


def _own(model: Translator, count: int) -> ParallelText:
    file = model.folder.tokens / "valid.jsonl"
    if not file.exists():
        raise ArgumentError(f"{model.folder.path} keeps no validation sentences to look at; give --text or --file")
    pairs = ParallelText.load(file, "valid")
    places = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int)
    return ParallelText(tuple(pairs.examples[place] for place in places), pairs.name)


def _readings(model: Translator, sources: Sequence[str], targets: Sequence[str]) -> tuple[Reading, Reading]:
    source, target = model.source.encode_all(sources), model.target.encode_all(targets)
    kept = [row for row, own in enumerate(source) if len(own)]
    if not kept:
        raise ArgumentError("the sentences must have a word in them to look at, got none")

    def those(rows: Sequence[Ids]) -> list[Ids]:
        return [rows[row] for row in kept]

    return translation_readings(
        model.network,
        those(source),
        those(target),
        [model.source.pieces(sources[row]) for row in kept],
        [[model.target.tokenizer.token(token) for token in target[row].tolist()] for row in kept],
    )


def _attention_section(found: Sequence[Translation]) -> Section:
    section = Section("Attention")
    section.say("Where the decoder looked for each word of its translation: a row a word, ■ being the sentence's end.")
    section.list([f"{' '.join(one.source_pieces)} → {one.text}" for one in found])
    shown = [one for one in found if len(one.pieces) <= MOST_ROWS] or list(found[:1])
    section.show("attention", partial(plot_alignments, shown), "Attention of the translation's words on the source's.")
    return section


def _saliency_section(model: Translator, sentences: Sequence[str]) -> Section:
    section = Section("Saliency")
    section.say(
        "What each word of the source adds to the log-probability of the translation, by gradient times input: blue "
        "makes it likelier, orange less likely."
    )
    joint = " " if model.source.tokenizer.kind == "word" else ""
    for sentence, one in zip(sentences, model.translate(sentences), strict=True):
        if not one.text:
            continue
        found = translation_saliency(model, sentence, one.text)
        pieces = [piece + joint for piece in found.source_pieces]
        section.parts.append(coloured_text(pieces, found.gradient_times_input))
        section.say(f"→ {one.text}", faint=True)
    return section
