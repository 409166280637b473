"""A look inside a language model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape

import numpy as np
import torch
from torch import Tensor

from throughtime.data import Ids, TokenFile, Tokenizer
from throughtime.errors import ArgumentError
from throughtime.inspection.coloured_text import coloured_text
from throughtime.inspection.gates import Activations
from throughtime.inspection.neurons import RankedNeuron, Values, most_varied, rank_neurons, values_of
from throughtime.inspection.page import Section
from throughtime.inspection.recurrent_report import (
    Numbers,
    flow_section,
    gates_section,
    matrices_section,
    memory_section,
)
from throughtime.inspection.saliency import giving, gradient_times_input, integrated_gradients
from throughtime.inspection.saliency_figures import plot_contributions
from throughtime.inspection.text_features import FEATURES, feature_of_pieces
from throughtime.nn.gradient_flow import GradientFlow
from throughtime.tasks.language_model import LanguageModel
from throughtime.tasks.reading import Reading, language_reading
from throughtime.training import next_token_loss, read_metrics

WINDOW, WINDOWS = 129, 16
SHOWN_TOKENS = 1500
SALIENCY_TOKENS = 40
VARIED_NEURONS, RANKED_NEURONS = 12, 3
HELD_OUT = 0.4


def language_sections(
    model: LanguageModel, texts: Sequence[str], beside: Mapping[str, GradientFlow], numbers: Numbers
) -> list[Section]:
    """What is to be seen in a language model.

    Args:
        model: the model.
        texts: to look at, joined; the beginning of its validation text if there are none.
        beside: gradient flows of other models.
        numbers: gets what was measured.

    Raises:
        ArgumentError: where there is too little text.
    """
    windows = flow_reading(model, texts)
    tokens = _tokens(model, texts)[: SHOWN_TOKENS + 1]
    pieces = pieces_of(model.tokenizer, tokens[:-1])
    reading = language_reading(model.network, torch.from_numpy(tokens).unsqueeze(1), [pieces])
    gates, activations = gates_section([reading])
    own = activations[reading.name]
    sections = [
        flow_section([windows], beside, numbers, read_metrics(model.folder.metrics_file)),
        gates,
        memory_section(activations, numbers),
        _neurons_section(model, tokens, pieces, own, numbers),
        _saliency_section(model, tokens[: SALIENCY_TOKENS + 1], pieces[:SALIENCY_TOKENS]),
        matrices_section([windows], numbers),
    ]
    return [section for section in sections if section is not None]


def flow_reading(model: LanguageModel, texts: Sequence[str]) -> Reading:
    """Windows of a text, side by side, by which the gradient flow is measured."""
    tokens = _tokens(model, texts)
    length = min(WINDOW, len(tokens))
    count = min(WINDOWS, len(tokens) // length)
    starts = np.linspace(0, len(tokens) - length, count).astype(int)
    rows = np.stack([tokens[start : start + length] for start in starts], axis=1)
    pieces = [pieces_of(model.tokenizer, row[:-1]) for row in rows.T]
    return language_reading(model.network, torch.from_numpy(rows), pieces)


def pieces_of(tokenizer: Tokenizer, tokens: Ids) -> list[str]:
    """The text of each token, which joined are the whole text."""
    decoder = tokenizer.decoder()
    pieces = [decoder.push(token) for token in tokens.tolist()]
    return [*pieces[:-1], pieces[-1] + decoder.finish()]


def surprises(model: LanguageModel, tokens: Ids) -> Tensor:
    """The nats by which each token after the first surprises the model, shape (tokens - 1,)."""
    ids = torch.from_numpy(tokens).unsqueeze(1).to(model.device)
    with torch.inference_mode():
        scores, _ = model.network(ids[:-1])
        return next_token_loss(scores[:, 0], ids[1:, 0], reduction="none").cpu()


def _tokens(model: LanguageModel, texts: Sequence[str]) -> Ids:
    if texts:
        tokens = model.tokenizer.encode("\n".join(texts))
    else:
        file = model.folder.tokens / "valid.npy"
        if not file.exists():
            raise ArgumentError(f"{model.folder.path} keeps no validation text to look at; give --text or --file")
        tokens = TokenFile(file).ids[: WINDOW * WINDOWS * 4].astype(np.int64)
    if len(tokens) < 3:
        raise ArgumentError(f"the text must have at least 3 tokens to look at, got {len(tokens)}")
    return tokens


def _neurons_section(
    model: LanguageModel, tokens: Ids, pieces: list[str], activations: Sequence[Activations], numbers: Numbers
) -> Section:
    section = Section("Neurons")
    section.say(
        "The text in the colours of a neuron: blue where it is above the middle of its values, orange below. Choose "
        "one that follows something in the text, or one of those that vary most, or how much each token surprised the "
        "model."
    )
    ranked = rank_by_features(pieces, activations)
    choices: dict[str, Values] = {}
    for feature, best in ranked.items():
        for one in best[:RANKED_NEURONS]:
            choices[f"{feature}: {one.neuron}"] = _centred(values_of(activations, one.neuron))
    for neuron in most_varied(activations, VARIED_NEURONS):
        choices[f"varies most: {neuron}"] = _centred(values_of(activations, neuron))
    # What surprises is the next token, which stands one further on.
    surprise = np.concatenate([[0.0], surprises(model, tokens).numpy()[:-1]])
    choices["surprise of the token (nats)"] = surprise
    section.parts.append(neuron_chooser(pieces, choices))
    rows: list[tuple[object, ...]] = []
    for feature, best in ranked.items():
        for one in best[:RANKED_NEURONS]:
            kind = "AUROC" if feature in _BINARY else "correlation"
            rows.append((feature, str(one.neuron), kind, one.score, "" if one.held_out is None else one.held_out))
    if rows:
        section.say(
            "The neurons that follow each feature best, chosen by the first part of the text and "
            "measured again on the rest of it. AUROC is the probability that the neuron is higher where the feature is "
            "there than where it isn't: 0.5 says nothing, 1 and 0 tell it with certainty."
        )
        section.table(("feature", "neuron", "measure", f"first {100 - 100 * HELD_OUT:.0f} %", "the rest"), rows)
        numbers["neurons"] = [
            {"feature": feature, "neuron": neuron, "measure": kind, "score": score, "held_out": held_out or None}
            for feature, neuron, kind, score, held_out in rows
        ]
    return section


def _centred(values: Values) -> Values:
    return values - np.median(values)


_BINARY = frozenset({"inside quotes", "inside brackets", "digit", "capital letter", "white space"})


def rank_by_features(pieces: Sequence[str], activations: Sequence[Activations]) -> dict[str, list[RankedNeuron]]:
    """``rank_neurons`` by each feature of the text that varies, in both of its parts."""
    text = "".join(pieces)
    found: dict[str, list[RankedNeuron]] = {}
    border = len(pieces) - round(len(pieces) * HELD_OUT)
    for name, feature in FEATURES.items():
        values = feature_of_pieces(feature(text), pieces)
        if len(set(values[:border].tolist())) > 1 and len(set(values[border:].tolist())) > 1:
            found[name] = rank_neurons(activations, values, held_out=HELD_OUT)
    return found


def neuron_chooser(pieces: Sequence[str], choices: Mapping[str, Values]) -> str:
    """A text, and a list to choose from by what it is to be coloured; the first without any script.

    Args:
        pieces: of the text.
        choices: by their names, a number for each piece.
    """
    scaled: dict[str, list[int]] = {}
    for name, values in choices.items():
        most = float(np.abs(values).max()) or 1.0
        scaled[name] = np.round(100 * values / most).astype(int).tolist()
    options = "".join(f"<option>{escape(name)}</option>" for name in scaled)
    first = next(iter(choices.values()))
    letters = coloured_text(pieces, first).replace('class="coloured"', 'class="coloured letters" id="neuron-text"', 1)
    data = json.dumps(list(scaled.values()), separators=(",", ":"))
    return (
        f'<label>Neuron <select id="neuron">{options}</select></label>{letters}'
        f"<script>const neurons = {data};{_SCRIPT}</script>"
    )


_SCRIPT = """
const chooser = document.getElementById("neuron"), spans = document.getElementById("neuron-text").children;
chooser.addEventListener("change", () => {
  neurons[chooser.selectedIndex].forEach((value, place) => {
    const span = spans[place];
    span.className = Math.abs(value) < 2 ? "" : value > 0 ? "a" : "b";
    span.style.setProperty("--o", (0.008 * Math.abs(value)).toFixed(2));
    span.title = (value / 100).toFixed(2) + " of the largest";
  });
});
"""


def _saliency_section(model: LanguageModel, tokens: Ids, pieces: list[str]) -> Section:
    section = Section("Saliency")
    next_piece = model.tokenizer.token(int(tokens[-1]))
    section.say(
        "What each token adds to the log-probability of the one that comes next, by gradient times input and by "
        "integrated gradients from a text of zero vectors, whose bars sum to the difference between the two."
    )
    ids = torch.from_numpy(tokens).unsqueeze(1).to(model.device)
    inputs = model.network.embedding(ids[:-1]).detach()

    def score(values: Tensor) -> Tensor:
        with giving(model.network.embedding, values):
            scores, _ = model.network(ids[:-1])
        return scores[-1].log_softmax(-1)[:, ids[-1, 0]]

    contributions = {
        "gradient x input": gradient_times_input(score, inputs)[:, 0].cpu().numpy(),
        "integrated gradients": integrated_gradients(score, inputs)[:, 0].cpu().numpy(),
    }
    section.show(
        "saliency",
        partial(plot_contributions, pieces, contributions, label="nats"),
        f"What the {len(pieces)} tokens before it add to the log-probability of {next_piece!r}.",
    )
    return section
