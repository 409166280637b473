from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from throughtime import nn
from throughtime.errors import ArgumentError
from throughtime.inspection import (
    FEATURES,
    Activations,
    Neuron,
    bracket_depth,
    coloured_text,
    feature_of_pieces,
    most_varied,
    neuron_values,
    rank_neurons,
    record_gates,
    save_coloured_text,
    values_of,
)

TIME, HIDDEN = 40, 6


@pytest.fixture
def activations() -> list[Activations]:
    return record_gates(nn.LSTM(3, HIDDEN, 2), torch.randn(TIME, 2, 3))


def test_neurons_are_ranked_by_the_auroc_that_scikit_learn_computes(activations: list[Activations]) -> None:
    mask = torch.rand(TIME) < 0.3
    ranked = rank_neurons(activations, mask.numpy(), row=1)
    neurons, values = neuron_values([one.row(1) for one in activations])
    expected = {neuron: roc_auc_score(mask, values[:, place]) for place, neuron in enumerate(neurons)}
    assert len(ranked) == 4 * HIDDEN
    assert [one.score for one in ranked] == pytest.approx([expected[one.neuron] for one in ranked])
    strengths = [one.strength for one in ranked]
    assert strengths == sorted(strengths, reverse=True)
    assert ranked[0].strength == pytest.approx(max(2 * abs(score - 0.5) for score in expected.values()))


def test_a_mask_of_numbers_is_followed_by_correlation(activations: list[Activations]) -> None:
    target = Neuron(1, False, "cell", 4)
    mask = 3 - 2 * values_of(activations, target)
    best = rank_neurons(activations, mask)[0]
    assert best.neuron == target
    assert best.score == pytest.approx(-1.0)
    neurons, values = neuron_values([one.row(0) for one in activations])
    for one in rank_neurons(activations, mask):
        assert one.score == pytest.approx(np.corrcoef(values[:, neurons.index(one.neuron)], mask)[0, 1])


def test_what_is_held_out_has_no_part_in_the_ranking(activations: list[Activations]) -> None:
    mask = (torch.rand(TIME) < 0.5).numpy()
    changed = mask.copy()
    changed[30:] = ~changed[30:]
    ranked, other = (rank_neurons(activations, own, held_out=0.25) for own in (mask, changed))
    assert [one.neuron for one in ranked] == [one.neuron for one in other]
    for one, two in zip(ranked, other, strict=True):
        assert one.held_out == pytest.approx(1 - (two.held_out or 0))
    assert rank_neurons(activations, mask)[0].held_out is None


def test_a_mask_that_tells_nothing_apart_is_refused(activations: list[Activations]) -> None:
    with pytest.raises(ArgumentError, match="is the same at all steps"):
        rank_neurons(activations, np.ones(TIME))
    with pytest.raises(ArgumentError, match=r"`mask` must have shape \(40,\).*got \(39,\)"):
        rank_neurons(activations, np.ones(TIME - 1))
    with pytest.raises(ArgumentError, match="must be one of the layer's"):
        values_of(activations, Neuron(0, False, "cell", HIDDEN))


def test_neurons_that_vary_most_come_first(activations: list[Activations]) -> None:
    spreads = [values_of(activations, neuron).std() for neuron in most_varied(activations, 2 * HIDDEN)]
    assert spreads == sorted(spreads, reverse=True)
    assert len(spreads) == 2 * HIDDEN


@given(st.text(alphabet="ab (){}[]\"'\n1A", max_size=60))
def test_every_feature_has_a_value_for_each_character(text: str) -> None:
    for feature in FEATURES.values():
        assert feature(text).shape == (len(text),)
    cuts = [text[start : start + 3] for start in range(0, len(text), 3)]
    depth = feature_of_pieces(bracket_depth(text), cuts)
    assert depth.tolist() == [bracket_depth("".join(cuts[: place + 1]))[-1] for place in range(len(cuts))]


def test_typographic_quotes_open_and_close() -> None:
    found = FEATURES["inside quotes"]("„a“ “b” c")
    assert found[[1, 5, 8]].tolist() == [1, 1, 0]


def test_a_coloured_text_is_the_text_and_nothing_that_it_says_is_executed(tmp_path: object) -> None:
    pieces = ["<script>", "&", "b\n"]
    html = coloured_text(pieces, [1.0, -0.5, 0.0])
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert html.count("<span") == 3
    assert 'class="a" style="--o:0.80"' in html
    assert 'class="b" style="--o:0.40"' in html
    with pytest.raises(ArgumentError, match="one for each piece"):
        coloured_text(pieces, [1.0])


def test_a_page_of_coloured_text_stands_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("page") / "text.html"
    save_coloured_text(["a", "b"], [1, 2], path, title="x < y")
    page = path.read_text(encoding="utf-8")
    assert "<h1>x &lt; y</h1>" in page
    assert "http" not in page
