from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from throughtime.errors import ArgumentError
from throughtime.training import build_optimizers
from throughtime.training.muon import Muon, orthogonalised


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


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
def test_muon_moves_a_matrix_as_torchs_does(shape: tuple[int, int]) -> None:
    start, gradients = torch.randn(shape), torch.randn(4, *shape)
    moved: list[torch.Tensor] = []
    for kind in (Muon, torch.optim.Muon):
        weight = nn.Parameter(start.clone())
        optimizer = kind([weight], lr=0.1, weight_decay=0.2)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        assert list(optimizer.state[weight]) == ["momentum_buffer"]
        moved.append(weight.detach())
    assert (moved[0] - moved[1]).norm() < 0.01 * (moved[1] - start).norm()  # torch's iterates in bfloat16


def test_an_update_is_nearly_orthogonal() -> None:
    matrix = torch.randn(20, 50)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalised(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    values = torch.linalg.svdvals(found.float())
    assert 0.6 < values.min() < values.max() < 1.3
    cosine = (found * (left @ right)).sum() / found.norm() / (left @ right).norm()
    assert cosine > 0.98
