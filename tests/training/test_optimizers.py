from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Muon

from throughtime.errors import ArgumentError
from throughtime.training import build_optimizers


def network() -> nn.Sequential:
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.Linear(3, 5))


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest() -> None:
    model = network()
    hidden = [model[1].weight]
    adamw, muon = build_optimizers("muon", model.parameters(), hidden_matrices=hidden, learning_rate=1.0)  # type: ignore[arg-type]
    assert isinstance(adamw, AdamW)
    assert isinstance(muon, Muon)
    assert [p is hidden[0] for group in muon.param_groups for p in group["params"]] == [True]
    taken = [id(p) for optimizer in (adamw, muon) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(taken) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("sgd", SGD)])
def test_weight_decay_is_for_matrices_alone(name: str, kind: type) -> None:
    model = network()
    (optimizer,) = build_optimizers(name, model.parameters(), learning_rate=0.5, weight_decay=0.1)
    assert isinstance(optimizer, kind)
    for group in optimizer.param_groups:
        assert group["initial_lr"] == 0.5
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.1) for p in group["params"])


def test_parameters_that_are_held_fixed_are_left_out() -> None:
    model = network()
    next(model[0].parameters()).requires_grad_(False)
    (optimizer,) = build_optimizers("adamw", model.parameters(), learning_rate=0.5)
    assert all(p.requires_grad for group in optimizer.param_groups for p in group["params"])


def test_a_step_lowers_the_loss() -> None:
    for name in ("muon", "adamw", "sgd"):
        torch.manual_seed(1)
        model = nn.Linear(4, 4, bias=False)
        optimizers = build_optimizers(
            name,
            model.parameters(),
            hidden_matrices=list(model.parameters()),
            learning_rate=0.01,
            matrix_learning_rate=0.01,
        )
        inputs = torch.randn(8, 4)
        before = model(inputs).square().mean()
        before.backward()
        for optimizer in optimizers:
            optimizer.step()
        assert model(inputs).square().mean() < before


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`optimizer` must be one of 'muon', 'adamw', 'sgd', got 'adam'"):
        build_optimizers("adam", [], learning_rate=0.1)
