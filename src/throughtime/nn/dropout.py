"""Dropout for sequences."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from throughtime.errors import BackendError, check_range
from throughtime.sequence import SequenceBatch


class LockedDropout(nn.Module):
    """Variational dropout: one mask a sequence, the same at each time step.

    Gal and Ghahramani (2016), https://arxiv.org/abs/1512.05287; "locked" in AWD-LSTM (Merity et al., 2018).

    Args:
        p: the probability with which a feature of a sequence is zeroed; the others are scaled by 1 / (1 - p).
        batch_first: whether tensors come as (batch, time, feature) instead of (time, batch, feature).

    Raises:
        ArgumentError: if ``p`` is not in [0, 1].

    >>> dropped = LockedDropout(0.5)(torch.ones(3, 2, 4))
    >>> bool((dropped[0] == dropped[2]).all())
    True
    """

    def __init__(self, p: float = 0.5, *, batch_first: bool = False) -> None:
        super().__init__()
        check_range("p", p, low=0, high=1)
        self.p = p
        self.batch_first = batch_first

    @overload
    def forward(self, input: Tensor) -> Tensor: ...
    @overload
    def forward(self, input: SequenceBatch) -> SequenceBatch: ...
    def forward(self, input: Tensor | SequenceBatch) -> Tensor | SequenceBatch:  # noqa: A002 - torch's name
        """Drop features of ``input``, a tensor or a SequenceBatch; in evaluation return it as it is."""
        if not self.training or self.p == 0:
            return input
        if isinstance(input, SequenceBatch):
            return drop_locked(input, self.p)
        return _locked(input, self.p, time_axis=1 if self.batch_first else 0)

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr."""
        return f"p={self.p}, batch_first={self.batch_first}"


def drop_locked(sequence: SequenceBatch, p: float) -> SequenceBatch:
    """Drop the same features at each time step of a sequence, as ``LockedDropout`` does in training."""
    return SequenceBatch(_locked(sequence.values, p, time_axis=0), sequence.lengths)


def drop_between_layers(sequence: SequenceBatch, p: float, *, locked: bool) -> SequenceBatch:
    """Drop values on the way from one recurrent layer to the next; not locked, with torch.nn's very masks.

    Raises:
        BackendError: on MPS.
    """
    refuse_mps(sequence.values.device)
    if locked:
        return drop_locked(sequence, p)
    mask = sequence.mask()
    if mask is None:
        return SequenceBatch(dropout(sequence.values, p))
    # Row-major order of the valid values is the order of torch's packed data, so the masks fall alike.
    kept = dropout(sequence.values[mask], p)
    values = torch.zeros_like(sequence.values).masked_scatter(mask.unsqueeze(-1), kept)
    return SequenceBatch(values, sequence.lengths)


def refuse_mps(device: torch.device) -> None:
    """Raise BackendError if ``device`` is MPS, where dropout between layers gave wrong gradients."""
    if device.type == "mps":
        raise BackendError(
            "`dropout` between recurrent layers is refused on MPS, where torch's gradients ignored its mask "
            "(pytorch#190056); set it to 0 or train on another device"
        )


def _locked(values: Tensor, p: float, *, time_axis: int) -> Tensor:
    shape = list(values.shape)
    shape[time_axis] = 1
    return values * dropout(values.new_ones(shape), p)
