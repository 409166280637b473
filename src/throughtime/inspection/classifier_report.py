"""A look inside a text classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from throughtime.data import Ids, LabelledText, SentenceTokenizer, normalised
from throughtime.errors import ArgumentError, check_choice
from throughtime.inspection.coloured_text import coloured_text
from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import Numbers, recurrent_sections
from throughtime.inspection.saliency import giving, gradient_times_input, integrated_gradients
from throughtime.inspection.saliency_figures import plot_contributions
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.sequence import SequenceBatch
from throughtime.tasks.reading import Reading, classifier_reading
from throughtime.tasks.text_classification import encode
from throughtime.tasks.text_classifier import TextClassifier
from throughtime.training import read_metrics

FLOW_TEXTS, SHOWN_TEXTS = 64, 4


@dataclass(frozen=True)
class TextSaliency:
    """What each token of a text adds to the score of a class.

    Attributes:
        label: of the class.
        probability: of the class.
        pieces: the tokens, for people to read.
        gradient_times_input: shape (tokens,), in units of the score.
        integrated_gradients: shape (tokens,); they sum to the score of the text less that of one without words.
        attention: shape (tokens,), where the pooling is by attention; else None.
    """

    label: str
    probability: float
    pieces: tuple[str, ...]
    gradient_times_input: npt.NDArray[np.float64]
    integrated_gradients: npt.NDArray[np.float64]
    attention: npt.NDArray[np.float64] | None


def text_saliency(model: TextClassifier, text: str, label: str | None = None) -> TextSaliency:
    """Which tokens a classifier's score of a text depends on.

    Args:
        model: the classifier.
        text: the text; of a long one the model reads beginning and end.
        label: of the class; the likeliest by default.

    Raises:
        ArgumentError: where there is no such class, or no token in the text.
    """
    tokens = encode([text], model.tokenizer, model.settings)[0]
    if not len(tokens):
        raise ArgumentError("`text` must have a token in it, got none")
    ids = torch.from_numpy(tokens).unsqueeze(1).to(model.device)
    network = model.network
    with torch.no_grad():
        inputs = network.embedding(ids)
        scores = network(SequenceBatch(ids))
        probabilities = model.targets.probabilities(scores.cpu())[0]
        pooling = network.pooling
        weights = None
        if pooling.kind == "attention":
            weights = pooling.weights(network.states(SequenceBatch(ids)))[:, 0].double().cpu().numpy()
    chosen = int(probabilities.argmax()) if label is None else -1
    if label is not None:
        check_choice("label", label, model.targets.classes)
        chosen = model.targets.classes.index(label)

    def score(values: Tensor) -> Tensor:
        with giving(network.embedding, values):
            return network(SequenceBatch(ids))[:, chosen]

    return TextSaliency(
        model.targets.classes[chosen],
        float(probabilities[chosen]),
        tuple(_pieces(model, text, tokens)),
        gradient_times_input(score, inputs)[:, 0].double().cpu().numpy(),
        integrated_gradients(score, inputs)[:, 0].double().cpu().numpy(),
        weights,
    )


def classifier_sections(
    model: TextClassifier, texts: Sequence[str], beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a text classifier.

    Args:
        model: the model.
        texts: to look at; some of its validation texts if there are none.
        beside: gradient flows of other models.
        numbers: gets what was measured.
    """
    sections = [_saliency_section(model, shown_texts(model, texts), numbers)]
    reading = flow_reading(model, texts)
    if reading is None:
        sections[0].say("This model has no recurrent layers to look into.")
        return sections
    shown = _reading(model, shown_texts(model, texts)[:1])
    records = read_metrics(model.folder.metrics_file)
    return [*sections, *recurrent_sections([reading], beside, numbers, records, shown=[shown] if shown else [])]


def flow_reading(model: TextClassifier, texts: Sequence[str]) -> Reading | None:
    """What the recurrent layers read of the texts by which the gradient flow is measured; None without such layers."""
    return _reading(model, list(texts)[:FLOW_TEXTS] or _own_texts(model, FLOW_TEXTS))


def shown_texts(model: TextClassifier, texts: Sequence[str]) -> list[str]:
    """The texts that are shown."""
    return list(texts)[:SHOWN_TEXTS] or _own_texts(model, SHOWN_TEXTS)


def _own_texts(model: TextClassifier, count: int) -> list[str]:
    file = model.folder.tokens / "valid.jsonl"
    if not file.exists():
        raise ArgumentError(f"{model.folder.path} keeps no validation texts to look at; give --text or --file")
    texts = LabelledText.load(file, "valid").texts
    places = np.linspace(0, len(texts) - 1, min(count, len(texts))).astype(int)
    return [texts[place] for place in places]


def _reading(model: TextClassifier, texts: Sequence[str]) -> Reading | None:
    every = zip(texts, encode(texts, model.tokenizer, model.settings), strict=True)
    pairs = [(text, tokens) for text, tokens in every if len(tokens)]
    if not pairs:
        raise ArgumentError("the texts must have a word in them to look at, got none")
    sequences = [tokens for _, tokens in pairs]
    pieces = [_pieces(model, text, tokens) for text, tokens in pairs]
    return classifier_reading(model.network, sequences, pieces)


def _pieces(model: TextClassifier, text: str, tokens: Ids) -> list[str]:
    own = SentenceTokenizer(model.tokenizer, lower=model.settings.lower).pieces(text)
    # Unknown words as they are written, unless the middle of a long text was left out.
    return own if len(own) == len(tokens) else [model.tokenizer.token(token) for token in tokens.tolist()]


def _saliency_section(model: TextClassifier, texts: Sequence[str], numbers: Numbers) -> Section:
    section = Section("Saliency")
    section.say(
        "What each token adds to the score of the likeliest class: blue speaks for it, orange against it. The colours "
        "are integrated gradients from a text without words, which sum to the difference between the scores of the two."
    )
    joint = " " if model.tokenizer.kind == "word" else ""
    found = [text_saliency(model, text) for text in texts if normalised(text, lower=False).strip()]
    for one in found:
        section.parts.append(f"<h3>{escape(one.label)}, {100 * one.probability:.0f} %</h3>")
        section.parts.append(coloured_text([piece + joint for piece in one.pieces], one.integrated_gradients))
        if one.attention is not None:
            section.say("and where its attention lies:", faint=True)
            section.parts.append(coloured_text([piece + joint for piece in one.pieces], one.attention))
    if found:
        first = found[0]
        contributions = {
            "gradient x input": first.gradient_times_input,
            "integrated gradients": first.integrated_gradients,
        }
        section.show(
            "saliency",
            partial(plot_contributions, first.pieces, contributions, label="score"),
            f"What the tokens of the first text add to the score of {first.label!r}.",
        )
    numbers["saliency"] = [
        {
            "label": one.label,
            "probability": one.probability,
            "pieces": one.pieces,
            "integrated_gradients": one.integrated_gradients.tolist(),
            "gradient_times_input": one.gradient_times_input.tolist(),
        }
        for one in found
    ]
    return section
