"""Torch's recurrent modules inside somebody's model, replaced by ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from throughtime.errors import ArgumentError
from throughtime.nn.recurrent import Recurrent
from throughtime.nn.recurrent_cells import GRUCell, LSTMCell, RecurrentCell, RNNCell
from throughtime.nn.rnn import GRU, LSTM, RNN

Replaced = Recurrent | RecurrentCell

NONLINEARITIES: dict[str, Any] = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}
LAYER_ARGUMENTS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
CELL_ARGUMENTS = ("input_size", "hidden_size", "bias")
HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
)


def _same(module: nn.Module, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


MAKERS: dict[type[nn.Module], Callable[[Any], Replaced]] = {
    nn.RNN: lambda old: RNN(**_same(old, LAYER_ARGUMENTS), nonlinearity=NONLINEARITIES[old.mode], device="meta"),
    nn.LSTM: lambda old: LSTM(**_same(old, (*LAYER_ARGUMENTS, "proj_size")), device="meta"),
    nn.GRU: lambda old: GRU(**_same(old, LAYER_ARGUMENTS), device="meta"),
    nn.RNNCell: lambda old: RNNCell(**_same(old, (*CELL_ARGUMENTS, "nonlinearity")), device="meta"),
    nn.LSTMCell: lambda old: LSTMCell(**_same(old, CELL_ARGUMENTS), device="meta"),
    nn.GRUCell: lambda old: GRUCell(**_same(old, CELL_ARGUMENTS), device="meta"),
}
"""How ours is made, still without weights, for each of torch's modules."""


@dataclass(frozen=True)
class Replacements:
    """What ``replace_recurrent`` did, by the modules' names in the model.

    Attributes:
        replaced: the new modules.
        left: why a recurrent module stayed as it was.
    """

    replaced: dict[str, Replaced] = field(default_factory=dict[str, Replaced])
    left: dict[str, str] = field(default_factory=dict[str, str])


def from_torch(module: nn.Module) -> Replaced:
    """Make our module of one of torch.nn's RNN, LSTM, GRU, RNNCell, LSTMCell or GRUCell.

    It has the very same Parameters, so that an optimizer or a tied weight goes on as before, the same mode (training
    or evaluation), the same names in its state_dict, and the same forward and backward hooks.

    Raises:
        ArgumentError: if it is another module, or one whose weights are computed or whose code was changed.
    """
    if reason := _refusal(module):
        raise ArgumentError(f"`module` cannot be replaced: {reason}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a dropout without effect, torch has told already
        new = MAKERS[type(module)](module)
    for name, parameter in module.named_parameters():
        new.register_parameter(name, parameter)
    for hooks in HOOKS:
        setattr(new, hooks, getattr(module, hooks))
    return new.train(module.training)


def replace_recurrent(model: nn.Module) -> Replacements:
    """Replace every recurrent module of torch.nn inside ``model`` by ours, in place, with ``from_torch``.

    The outputs stay the same to rounding, and come faster. A module that stands in the model at several places is
    replaced by one. Modules that are kept elsewhere than as submodules, as in a plain list, are not seen.

    Returns:
        The names of the modules that were replaced, and those that were left, with the reason.

    Raises:
        ArgumentError: if ``model`` is itself such a module, which can't be replaced in place.

    >>> model = nn.ModuleDict({"encoder": nn.GRU(3, 5), "head": nn.Linear(5, 1)})
    >>> list(replace_recurrent(model).replaced)
    ['encoder']
    """
    if isinstance(model, (nn.RNNBase, nn.RNNCellBase)):
        raise ArgumentError(f"`model` is itself a {type(model).__name__}; use what `from_torch(model)` returns")
    result = Replacements()
    made: dict[nn.Module, Replaced] = {}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            continue
        if reason := _refusal(module):
            result.left[name] = reason
            continue
        new = made.get(module) or made.setdefault(module, from_torch(module))
        parent, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(parent), own_name, new)
        result.replaced[name] = new
    return result


def _refusal(module: nn.Module) -> str | None:
    kind = type(module)
    if is_parametrized(module):
        return "its weights are parametrized"
    if kind not in MAKERS:
        return f"{kind.__module__}.{kind.__qualname__} is not one of torch.nn's own recurrent modules"
    if "forward" in vars(module):
        return "its forward method was changed"
    if list(module.children()) or list(module.buffers()):
        return "it has submodules or buffers of its own"
    names = {name for name, _ in MAKERS[kind](module).named_parameters()}
    if {name for name, _ in module.named_parameters()} != names:
        return "its parameters are not those that torch.nn gave it, as after weight_norm or pruning"
    return None
