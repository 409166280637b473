"""Lengths against torch.nn's packed sequences, and resets against runs of torch.nn over the pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime import nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.sequence import SequenceBatch

INPUT, HIDDEN, TIME, LENGTHS = 3, 5, 6, [2, 6, 4, 1]
BATCH = len(LENGTHS)
KINDS = ["RNN", "LSTM", "GRU"]
BACKENDS = ["fused", "reference"]


def pair(kind: str, **options: Any) -> tuple[Any, Any]:
    """Our layer and torch's, with the same weights."""
    backend = options.pop("backend", "auto")
    ours = getattr(nn, kind)(INPUT, HIDDEN, dtype=torch.float64, backend=backend, **options)
    theirs = getattr(torch.nn, kind)(INPUT, HIDDEN, dtype=torch.float64, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def values() -> Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)


def flat(outcome: Any) -> list[Tensor]:
    output, final = outcome
    return [output, *([final] if isinstance(final, Tensor) else final)]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", [*BACKENDS, "torch"])
def test_lengths_are_a_packed_sequence(kind: str, backend: str, batch_first: bool) -> None:
    ours, theirs = pair(kind, num_layers=2, bidirectional=True, batch_first=batch_first, backend=backend)
    x = values().transpose(0, 1) if batch_first else values()
    packed, final = theirs(pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first, enforce_sorted=False))
    want = flat((pad_packed_sequence(packed, batch_first)[0], final))
    for lengths in (LENGTHS, torch.tensor(LENGTHS)):
        torch.testing.assert_close(flat(ours(x, lengths=lengths)), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_padding_influences_nothing(backend: str) -> None:
    ours, _ = pair("LSTM", num_layers=2, bidirectional=True, backend=backend)
    results: list[list[Tensor]] = []
    padding = ~SequenceBatch(values(), torch.tensor(LENGTHS)).mask()  # pyright: ignore[reportOptionalOperand]
    x, reset = values(), torch.rand(TIME, BATCH) < 0.3
    for filling, noise in ((0.0, False), (float("nan"), True)):
        given = x.masked_fill(padding.unsqueeze(-1), filling).requires_grad_()
        outcome = flat(ours(given, lengths=LENGTHS, reset=reset ^ (padding & noise)))
        loss = torch.stack([part.square().sum() for part in outcome]).sum()
        results.append([*outcome, *torch.autograd.grad(loss, [given, *ours.parameters()])])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_an_empty_batch_has_no_lengths() -> None:
    output, _ = nn.GRU(INPUT, HIDDEN)(torch.zeros(TIME, 0, INPUT), lengths=[], reset=torch.zeros(TIME, 0).bool())
    assert output.shape == (TIME, 0, HIDDEN)


def in_pieces(theirs: Any, x: Tensor, reset: Tensor, hx: Any) -> tuple[Tensor, Any]:
    """Run torch's layer over one sequence piece by piece, each piece that begins with a reset from zeros."""
    cuts = [0, *(t for t in range(1, len(x)) if reset[t]), len(x)]
    outputs: list[Tensor] = []
    for start, stop in pairwise(cuts):
        output, hx = theirs(x[start:stop], None if reset[start] else hx)
        outputs.append(output)
    return torch.cat(outputs), hx


def rows_in_pieces(theirs: Any, x: Tensor, reset: Tensor, hx: Any) -> list[Tensor]:
    """Run each row over its own length; give padded outputs and the final states."""
    results: list[list[Tensor]] = []
    for row, length in enumerate(LENGTHS):
        state = hx[:, row] if isinstance(hx, Tensor) else tuple(part[:, row] for part in hx)
        output, final = in_pieces(theirs, x[:length, row], reset[:length, row], state)
        padded = torch.cat([output, output.new_zeros(TIME - length, output.shape[1])])
        results.append([padded, *([final] if isinstance(final, Tensor) else final)])
    return [torch.stack(part, 1) for part in zip(*results, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_reset_begins_anew(kind: str, backend: str) -> None:
    ours, theirs = pair(kind, num_layers=2, backend=backend)
    x, reset = values().requires_grad_(), torch.rand(TIME, BATCH) < 0.4
    reset[0, 0] = True  # a reset before the first step forgets the given state
    parts = [torch.randn(2, BATCH, HIDDEN, dtype=torch.float64) for _ in range(1 + (kind == "LSTM"))]
    hx: Any = tuple(parts) if len(parts) > 1 else parts[0]
    have, want = flat(ours(x, hx, lengths=LENGTHS, reset=reset)), rows_in_pieces(theirs, x, reset, hx)
    gradients: list[tuple[Tensor, ...]] = []
    for results, layer in ((have, ours), (want, theirs)):
        loss = torch.stack([result.square().sum() for result in results]).sum()
        gradients.append(torch.autograd.grad(loss, [x, *layer.parameters()]))
    torch.testing.assert_close([*have, *gradients[0]], [*want, *gradients[1]], rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_reverse_direction_resets_before_the_step_in_its_own_order(backend: str) -> None:
    ours, _ = pair("GRU", bidirectional=True, backend=backend)
    x, reset = values(), torch.rand(TIME, BATCH) < 0.4
    output, final = ours(x, reset=reset)
    for direction, suffix in enumerate(("", "_reverse")):
        theirs = torch.nn.GRU(INPUT, HIDDEN, dtype=torch.float64)
        theirs.load_state_dict({name: getattr(ours, name + suffix) for name in theirs.state_dict()})
        turned = [tensor.flip(0) if direction else tensor for tensor in (x, reset)]
        for row in range(BATCH):
            want, last = in_pieces(theirs, turned[0][:, row], turned[1][:, row], None)
            have = output[:, row].chunk(2, -1)[direction]
            torch.testing.assert_close(have.flip(0) if direction else have, want, rtol=0, atol=1e-10)
            torch.testing.assert_close(final[direction, row], last[0], rtol=0, atol=1e-10)


def test_resets_come_in_the_form_of_the_input() -> None:
    ours, _ = pair("LSTM", bidirectional=True)
    first, _ = pair("LSTM", bidirectional=True, batch_first=True)
    first.load_state_dict(ours.state_dict())
    x, reset = values(), torch.rand(TIME, BATCH) < 0.4
    want = ours(x, reset=reset)[0]
    torch.testing.assert_close(first(x.transpose(0, 1), reset=reset.T)[0].transpose(0, 1), want, rtol=0, atol=0)
    torch.testing.assert_close(ours(SequenceBatch(x), reset=reset)[0].values, want, rtol=0, atol=0)
    torch.testing.assert_close(ours(x[:, 1], reset=reset[:, 1])[0], want[:, 1], rtol=0, atol=1e-12)


def test_torchs_kernels_refuse_resets() -> None:
    ours, _ = pair("GRU", backend="torch")
    with pytest.raises(BackendError, match="torch's kernels know neither resets nor"):
        ours(values(), reset=torch.zeros(TIME, BATCH, dtype=torch.bool))


X = torch.zeros(TIME, BATCH, INPUT)
PACKED = pack_padded_sequence(X, torch.tensor(LENGTHS), enforce_sorted=False)
RESET = torch.zeros(TIME, BATCH, dtype=torch.bool)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (PACKED, {"lengths": LENGTHS}, "`lengths` go with a padded tensor; a PackedSequence has its own"),
        (SequenceBatch(X), {"lengths": LENGTHS}, "`lengths` go with a padded tensor; a SequenceBatch has its own"),
        (X[:, 0], {"lengths": [6]}, "`lengths` go with a batch, and `input` is one sequence"),
        (X, {"lengths": [1, 2]}, r"`lengths` must have shape \(4,\), got \(2,\)"),
        (X, {"lengths": [1, 2, 3, 7]}, r"`lengths` must lie between 1 and 6, got \[1, 2, 3, 7\]"),
        (X, {"lengths": [1, 2, 3, 0]}, r"`lengths` must lie between 1 and 6, got \[1, 2, 3, 0\]"),
        (X, {"lengths": [1, 2, 3, 4.5]}, r"`lengths` must be an int64 tensor or a list of integers, got \[1, 2, 3,"),
        (X, {"lengths": 6}, "`lengths` must be an int64 tensor or a list of integers, got 6"),
        (X, {"lengths": torch.ones(4)}, "`lengths` must be an int64 tensor on the CPU"),
        (PACKED, {"reset": RESET}, "`reset` does not go with a PackedSequence; give a padded tensor and `lengths`"),
        (X, {"reset": RESET.T}, r"`reset` must have shape \(6, 4\), got \(4, 6\)"),
        (X[:, 0], {"reset": RESET}, r"`reset` must have shape \(6,\), got \(6, 4\)"),
        (X, {"reset": RESET.float()}, "`reset` must be a tensor of torch.bool, got torch.float32"),
        (X, {"reset": RESET.tolist()}, "`reset` must be a tensor of torch.bool, got list"),
        (X, {"reset": RESET.to("meta")}, "`reset` must be on the input's device, cpu, got meta"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        nn.GRU(INPUT, HIDDEN)(given, **options)


def test_a_reset_of_a_batch_first_layer_is_batch_first() -> None:
    with pytest.raises(ArgumentError, match=r"`reset` must have shape \(4, 6\), got \(6, 4\)"):
        nn.GRU(INPUT, HIDDEN, batch_first=True)(X.transpose(0, 1), reset=RESET)
