from __future__ import annotations

from typing import Any

import pytest
import torch

from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.models import RecurrentLanguageModel

SIZES: dict[str, Any] = {"embedding_size": 3, "hidden_size": 5}


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("tied", [False, True])
def test_a_carried_state_makes_two_windows_one(cell: str, tied: bool) -> None:
    model = RecurrentLanguageModel(7, cell=cell, num_layers=2, tied=tied, **SIZES).double().eval()
    tokens = torch.randint(7, (9, 4))
    whole, last = model(tokens)
    first, state = model(tokens[:4])
    second, end = model(tokens[4:], state)
    assert whole.shape == (9, 4, 7)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(end, last, rtol=1e-10, atol=1e-10)


def test_tied_weights_are_one_parameter() -> None:
    model = RecurrentLanguageModel(7, tied=True, **SIZES)
    names = [name for name, _ in model.named_parameters()]
    assert "output.weight" not in names
    assert model.output.weight is model.embedding.weight


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"embedding_dropout": 0.5}, {"dropout": 0.5, "locked_dropout": True}]
)
def test_dropout_acts_in_training_alone(options: dict[str, Any]) -> None:
    model = RecurrentLanguageModel(7, num_layers=2, **options, **SIZES)
    tokens = torch.randint(7, (6, 2))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


def test_locked_dropout_keeps_its_mask_through_time() -> None:
    model = RecurrentLanguageModel(7, dropout=0.5, locked_dropout=True, **SIZES)
    outputs, _ = model.recur(torch.randint(7, (20, 3)))
    dropped = outputs == 0
    assert dropped.any()
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))


def test_a_grown_vocabulary_keeps_the_scores_of_what_was_known() -> None:
    parent = RecurrentLanguageModel(7, **SIZES).eval()
    child = RecurrentLanguageModel(10, **SIZES).eval()
    child.inherit(parent)
    tokens = torch.randint(7, (6, 2))
    torch.testing.assert_close(child(tokens)[0][..., :7], parent(tokens)[0])


def test_muon_gets_the_recurrent_matrices_alone() -> None:
    model = RecurrentLanguageModel(7, num_layers=2, **SIZES)
    assert [tuple(weight.shape) for weight in model.hidden_matrices()] == [(20, 3), (20, 5), (20, 5), (20, 5)]


def test_sizes_that_make_no_model_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`vocabulary_size` must be at least 2, got 1"):
        RecurrentLanguageModel(1)
    with pytest.raises(ArgumentError, match="`dropout` must be a number in"):
        RecurrentLanguageModel(5, dropout=1.0)
