"""Biases of which the gates' part is fixed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.nn.initialization import Bounds


class FrozenGateBias(nn.Module):
    """A bias vector whose gates are constants and whose candidate is trained; calling it gives the vector.

    An optimizer that never sees the gates' part can't move it, by weight decay and momentum neither. In the
    state_dict the module stands as the one whole tensor that the bias was.

    Args:
        bias: the bias, shape (gates * hidden_size,).
        candidate: the rows that stay trainable.
    """

    gates: Tensor

    def __init__(self, bias: Tensor, candidate: Bounds) -> None:
        super().__init__()
        self.start, self.stop = candidate
        parts = self.split(bias.detach())
        self.register_buffer("gates", parts["gates"])
        self.candidate = nn.Parameter(parts["candidate"])

    def split(self, bias: Tensor) -> dict[str, Tensor]:
        """Cut a whole bias into the fixed and the trained part, by the names that they have here."""
        return {
            "gates": torch.cat([bias[: self.start], bias[self.stop :]]),
            "candidate": bias[self.start : self.stop].clone(),
        }

    def forward(self) -> Tensor:
        """Put the bias together, shape (gates * hidden_size,)."""
        return torch.cat([self.gates[: self.start], self.candidate, self.gates[self.start :]])

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        bias = self()
        destination[prefix.removesuffix(".")] = bias if keep_vars else bias.detach()

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"{self.gates.numel()} fixed, {self.candidate.numel()} trained"


def freeze_biases(module: nn.Module, candidate: Bounds) -> None:
    """Put a FrozenGateBias in the place of each bias of ``module``."""
    for name, parameter in list(module.named_parameters()):
        if name.startswith("bias_"):
            delattr(module, name)
            module.add_module(name, FrozenGateBias(parameter, candidate))
    module.register_load_state_dict_pre_hook(split_frozen_biases)  # pyright: ignore[reportUnknownMemberType]


def split_frozen_biases(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    """Cut the whole biases in ``state_dict``, in place, into the parts that FrozenGateBias children load.

    A hook for ``module.register_load_state_dict_pre_hook``.
    """
    for name, child in module.named_children():
        if isinstance(child, FrozenGateBias) and prefix + name in state_dict:
            for part, value in child.split(state_dict.pop(prefix + name)).items():
                state_dict[f"{prefix}{name}.{part}"] = value
