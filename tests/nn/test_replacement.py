"""A model of torch's modules before and after: the same numbers, the same parameters, the same hooks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_padded_sequence

import throughtime
from throughtime import nn
from throughtime.errors import ArgumentError
from throughtime.nn import from_torch, replace_recurrent

LAYERS = {
    "RNN tanh": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu", "bias": False}),
    "LSTM": ("LSTM", {"num_layers": 2, "bidirectional": True, "dropout": 0.3}),
    "LSTM projected": ("LSTM", {"proj_size": 2, "batch_first": True}),
    "GRU": ("GRU", {"num_layers": 2, "batch_first": True}),
}
CELLS = {
    "RNNCell": ("RNNCell", {"nonlinearity": "relu"}),
    "LSTMCell": ("LSTMCell", {}),
    "GRUCell": ("GRUCell", {"bias": False}),
}


def theirs(kind: str, options: dict[str, Any]) -> Any:
    return getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **options)


def flat(outcome: Any) -> list[Tensor]:
    if isinstance(outcome, Tensor):
        return [outcome]
    return [tensor for part in outcome for tensor in flat(part)]


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_the_numbers_and_the_parameters_are_the_same(name: str) -> None:
    old = theirs(*(LAYERS | CELLS)[name]).eval()
    model = torch.nn.ModuleDict({"inner": old})
    before, keys = torch.get_rng_state(), list(model.state_dict())
    result = replace_recurrent(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(result.replaced) == ["inner"]
    assert not result.left
    assert list(model.state_dict()) == keys
    new: Any = model["inner"]
    assert type(new).__module__.startswith("throughtime")
    assert not new.training
    parameters = list(new.parameters())
    assert all(a is b for a, b in zip(parameters, old.parameters(), strict=True))
    x = torch.randn(4, 3, dtype=torch.float64) if name in CELLS else torch.randn(6, 4, 3, dtype=torch.float64)
    results = [flat(module(x)) for module in (new, old)]
    gradients = [torch.autograd.grad(torch.cat([p.flatten() for p in r]).square().sum(), parameters) for r in results]
    torch.testing.assert_close([*results[0], *gradients[0]], [*results[1], *gradients[1]], rtol=0, atol=1e-12)


def test_packed_sequences_and_training_with_dropout() -> None:
    old = theirs("LSTM", {"num_layers": 2, "dropout": 0.5})
    new = from_torch(old)
    assert new.training
    packed = pack_padded_sequence(torch.randn(6, 3, 3, dtype=torch.float64), torch.tensor([6, 2, 1]))
    outputs: list[Tensor] = []
    for module in (old, new):
        torch.manual_seed(1)
        outputs.append(module(packed)[0].data)
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-12)


class Model(torch.nn.Module):
    """An encoder that stands at two places, a decoder with a tied weight, and a list."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(3, 3)
        self.again = self.encoder
        self.stack = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ModuleList([torch.nn.LSTMCell(3, 3)]))
        self.decoder = torch.nn.GRU(3, 3)
        self.decoder.weight_hh_l0 = self.encoder.weight_hh_l0
        self.decoder.weight_ih_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.encoder.flatten_parameters()
        return self.decoder(self.again(x)[0])[0]


def test_sharing_ties_and_frozen_weights_stay() -> None:
    model, x = Model(), torch.randn(5, 2, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    want = model(x)
    result = replace_recurrent(model)
    assert sorted(result.replaced) == ["again", "decoder", "encoder", "stack.1.0"]
    assert model.encoder is model.again
    assert model.decoder.weight_hh_l0 is model.encoder.weight_hh_l0
    assert not model.decoder.weight_ih_l0.requires_grad
    torch.testing.assert_close(model(x), want)
    torch.testing.assert_close(copy.deepcopy(model)(x), want)
    model(x).sum().backward()
    optimizer.step()
    assert not torch.allclose(model(x), want)
    assert replace_recurrent(model).replaced == {}


def test_hooks_go_on_and_can_be_removed() -> None:
    model, seen = torch.nn.Sequential(torch.nn.GRU(3, 5)), list[str]()
    handle = model[0].register_forward_hook(lambda module, _input, _output: seen.append(type(module).__module__))
    replace_recurrent(model)
    model(torch.randn(2, 1, 3))
    handle.remove()
    model(torch.randn(2, 1, 3))
    assert seen == ["throughtime.nn.rnn"]


class OwnLSTM(torch.nn.LSTM):
    """Somebody's subclass."""


def changed(kind: str) -> torch.nn.Module:
    module = torch.nn.LSTM(3, 5)
    if kind == "subclass":
        return OwnLSTM(3, 5)
    if kind == "parametrized":
        return parametrizations.weight_norm(module, "weight_hh_l0")
    if kind == "pruned":
        return prune.l1_unstructured(module, "weight_hh_l0", 0.5)
    vars(module)["forward"] = module.forward
    return module


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("subclass", "OwnLSTM is not one of torch.nn's own"),
        ("parametrized", "its weights are parametrized"),
        ("pruned", "it has submodules or buffers of its own"),
        ("forward", "its forward method was changed"),
    ],
)
def test_what_was_changed_is_left_with_the_reason(kind: str, reason: str) -> None:
    module = changed(kind)
    model = torch.nn.ModuleDict({"inner": module})
    result = replace_recurrent(model)
    assert model["inner"] is module
    assert reason in result.left["inner"]
    assert not result.replaced
    with pytest.raises(ArgumentError, match="`module` cannot be replaced: "):
        from_torch(module)


def test_a_model_that_is_a_layer_is_sent_to_from_torch() -> None:
    with pytest.raises(ArgumentError, match=r"`model` is itself a GRU; use what `from_torch\(model\)` returns"):
        throughtime.replace_recurrent(torch.nn.GRU(3, 5))


def test_from_torch_takes_recurrent_modules_only() -> None:
    with pytest.raises(ArgumentError, match=r"Linear is not one of torch\.nn's own recurrent modules"):
        from_torch(torch.nn.Linear(3, 5))
    assert isinstance(from_torch(torch.nn.GRU(3, 5)), nn.GRU)
