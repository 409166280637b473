from __future__ import annotations

import copy
import io
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.rnn import pack_padded_sequence

from cells.cell_cases import CELL_CASES, CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.nn.dropout import refuse_mps
from throughtime.recurrence import Direction, run_reference
from throughtime.sequence import SequenceBatch

INPUT, HIDDEN, TIME = 3, 5, 6
LENGTHS = torch.tensor([2, 6, 4, 1])


def layer(cell_name: str = "lstm", **options: Any) -> Any:
    return nn.Recurrent(cell_name, INPUT, HIDDEN, dtype=torch.float64, **options)


def values() -> Tensor:
    return torch.randn(TIME, len(LENGTHS), INPUT, dtype=torch.float64)


def initial(recurrent: nn.Recurrent) -> Any:
    rows = recurrent.num_layers * recurrent.num_directions
    state = tuple(torch.randn(rows, len(LENGTHS), size, dtype=torch.float64) for size in recurrent.state_sizes)
    return state[0] if len(recurrent.state_sizes) == 1 else state


@pytest.mark.parametrize("name", CELL_NAMES)
def test_any_cell_runs_stacked_in_both_directions(name: str) -> None:
    """The layers are the reference loop, once for each layer and direction, on concatenated outputs."""
    recurrent = layer(name, num_layers=2, bidirectional=True)
    state, sequence = initial(recurrent), SequenceBatch(values(), LENGTHS)
    states: tuple[Tensor, ...] = (state,) if isinstance(state, Tensor) else state
    output, final = recurrent(sequence, state)
    expected = sequence
    finals: list[tuple[Tensor, ...]] = []
    for level in range(2):
        halves: list[Tensor] = []
        for direction in range(2):
            given = tuple(part[2 * level + direction] for part in states)
            weights = recurrent.weights(level, direction)
            half, last = run_reference(recurrent.cell, expected, Direction(weights, given, bool(direction)))
            halves.append(half.values)
            finals.append(last)
        expected = SequenceBatch(torch.cat(halves, -1), LENGTHS)
    torch.testing.assert_close(output.values, expected.values, rtol=0, atol=1e-10)
    for part, given in zip((final,) if isinstance(final, Tensor) else final, zip(*finals, strict=True), strict=True):
        torch.testing.assert_close(part, torch.stack(given), rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", CELL_CASES, ids=lambda case: case.name)
def test_last_backend_says_which_one_ran(case: Any) -> None:
    recurrent = layer(case.name)
    assert recurrent.last_backend is None
    recurrent(values())
    assert recurrent.last_backend == "fused"
    recurrent = layer(case.name, backend="reference")
    recurrent(values())
    assert recurrent.last_backend == "reference"
    if not case.torch_has_it:
        with pytest.raises(BackendError, match=f"torch has no kernel for the cell '{case.name}'"):
            layer(case.name, backend="torch")(values())


@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_packed_and_ragged_inputs_are_the_same_batch(name: str, enforce_sorted: bool) -> None:
    recurrent = layer(name, num_layers=2, bidirectional=True)
    lengths = LENGTHS.sort(descending=True).values if enforce_sorted else LENGTHS
    x, state = values(), initial(recurrent)
    ragged, final = recurrent(SequenceBatch(x, lengths), state)
    packed, last = recurrent(pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted), state)
    assert torch.equal(SequenceBatch.from_packed(packed).values, ragged.values)
    torch.testing.assert_close(last, final, rtol=0, atol=0)


def test_states_carry_a_sequence_across_chunks() -> None:
    recurrent, x = layer(num_layers=2), values()
    whole, final = recurrent(x)
    first, state = recurrent(x[:4])
    second, last = recurrent(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, final, rtol=0, atol=1e-12)


def test_locked_dropout_has_one_mask_for_all_steps() -> None:
    recurrent = layer("rnn_relu", num_layers=2, dropout=0.5, locked_dropout=True, bias=False)
    with torch.no_grad():
        for parameter in recurrent.parameters():
            parameter.fill_(0.1)
        recurrent.weight_hh_l1.zero_()
        recurrent.weight_ih_l1.copy_(torch.eye(HIDDEN))
    torch.manual_seed(3)
    output, _ = recurrent(values().abs())
    dropped = output == 0
    assert (dropped == dropped[0]).all()
    assert 0 < dropped[0].double().mean() < 1
    recurrent.eval()
    assert (recurrent(values().abs())[0] > 0).all()


def test_dropout_between_layers_is_refused_on_mps() -> None:
    with pytest.raises(BackendError, match=r"`dropout` between recurrent layers is refused on MPS.*pytorch#190056"):
        refuse_mps(torch.device("mps"))


def total_bias(recurrent: nn.Recurrent, gate: str, suffix: str) -> Tensor:
    start = recurrent.cell.gates.index(gate) * HIDDEN
    state = recurrent.state_dict()
    return (state[f"bias_ih{suffix}"] + state[f"bias_hh{suffix}"])[start : start + HIDDEN]


@pytest.mark.parametrize("freeze", [False, True])
def test_gate_biases_are_totals(freeze: bool) -> None:
    lstm = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True, forget_bias=1.0, gate_biases={"input": -2.0},
                   freeze_gate_biases=freeze)  # fmt: skip
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        assert (total_bias(lstm, "forget", suffix) == 1).all()
        assert (total_bias(lstm, "input", suffix) == -2).all()
        assert total_bias(lstm, "output", suffix).unique().numel() == HIDDEN


def frozen(kind: str) -> Any:
    options: dict[str, Any] = {"dtype": torch.float64, "bidirectional": True, "freeze_gate_biases": True}
    return getattr(nn, kind)(INPUT, HIDDEN, 2, gate_biases={"forget" if kind == "LSTM" else "update": 1.5}, **options)


@pytest.mark.parametrize("make", [
    partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5),
    partial(torch.optim.SGD, lr=0.1, weight_decay=0.5, momentum=0.9, nesterov=True),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_frozen_gate_biases_stay_and_all_else_moves(kind: str, make: Any) -> None:
    recurrent = frozen(kind)
    before = copy.deepcopy(recurrent.state_dict())
    optimizer = make(recurrent.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        recurrent(values())[0].square().mean().backward()
        optimizer.step()
    candidate = recurrent.cell.gates.index("candidate")
    for name, after in recurrent.state_dict().items():
        if not name.startswith("bias"):
            assert (after != before[name]).all()
            continue
        for index, (now, then) in enumerate(zip(after.split(HIDDEN), before[name].split(HIDDEN), strict=True)):
            assert (now != then).all() if index == candidate else torch.equal(now, then)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_frozen_layer_exchanges_state_dicts_with_torch(kind: str) -> None:
    ours = frozen(kind)
    theirs: torch.nn.Module = getattr(torch.nn, kind)(INPUT, HIDDEN, 2, bidirectional=True, dtype=torch.float64)
    x = values()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)
    other = frozen(kind)
    theirs.load_state_dict(other.state_dict(), strict=True)
    torch.testing.assert_close(other(x), theirs(x), rtol=0, atol=1e-10)
    model = torch.nn.ModuleDict({"recurrent": frozen(kind)})
    model.load_state_dict({f"recurrent.{name}": value for name, value in theirs.state_dict().items()}, strict=True)
    torch.testing.assert_close(model["recurrent"](x), theirs(x), rtol=0, atol=1e-10)
    with pytest.raises(RuntimeError, match="Missing key"):
        ours.load_state_dict({name: value for name, value in theirs.state_dict().items() if "bias" not in name})


def test_orthogonal_blocks_keep_norms() -> None:
    gru = nn.GRU(INPUT, HIDDEN, 2, recurrent_init="orthogonal", dtype=torch.float64)
    for weights in gru.all_weights:
        for block in weights[1].chunk(3):
            torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: layer("gru_reset_before", num_layers=2), lambda: frozen("LSTM")])
def test_layers_are_copied_saved_and_run_without_gradients(make: Any) -> None:
    recurrent, x = make(), values()
    expected = recurrent(x)
    stream = io.BytesIO()
    torch.save(recurrent, stream)
    stream.seek(0)
    for twin in (copy.deepcopy(recurrent), torch.load(stream, weights_only=False)):
        torch.testing.assert_close(twin(x), expected, rtol=0, atol=0)
        twin.load_state_dict({name: torch.zeros_like(value) for name, value in twin.state_dict().items()})
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(recurrent(x), expected, rtol=0, atol=0)


def test_layers_train_under_distributed_data_parallel() -> None:
    store = dist.HashStore()  # pyright: ignore[reportPrivateImportUsage]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        recurrent, x = frozen("LSTM"), values()
        parallel = DistributedDataParallel(recurrent)
        parallel(x)[0].sum().backward()
        gradients = [parameter.grad for parameter in recurrent.parameters()]
        expected = torch.autograd.grad(recurrent(x)[0].sum(), list(recurrent.parameters()))
        torch.testing.assert_close(gradients, list(expected), rtol=0, atol=1e-12)
    finally:
        dist.destroy_process_group()


def test_functional_call_replaces_weights() -> None:
    recurrent, x = layer(), values()
    zeros = {name: torch.zeros_like(value) for name, value in recurrent.named_parameters()}
    output, _ = torch.func.functional_call(recurrent, zeros, (x,))
    assert not output.any()


def test_an_empty_batch_gives_an_empty_output() -> None:
    output, (hidden, cell) = layer()(torch.zeros(TIME, 0, INPUT, dtype=torch.float64))
    assert [tensor.shape for tensor in (output, hidden, cell)] == [
        (TIME, 0, HIDDEN),
        (1, 0, HIDDEN),
        (1, 0, HIDDEN),
    ]


X = torch.zeros(TIME, 4, INPUT, dtype=torch.float64)
H = torch.zeros(1, 4, HIDDEN, dtype=torch.float64)
PACKED = pack_padded_sequence(X[..., :2], LENGTHS, enforce_sorted=False)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, (X[..., :2],), r"`input` must have shape \(time, batch, 3\), got \(6, 4, 2\)"),
        ({"batch_first": True}, (X[..., :2],), r"`input` must have shape \(batch, time, 3\), got"),
        ({}, (X[:, 0, :2],), r"`input` must have shape \(time, 3\), got \(6, 2\)"),
        ({}, (X[0, 0],), r"`input` must have shape \(time, batch, 3\), got \(3,\)"),
        ({}, (X[:0],), "`input` must have at least one time step, got none"),
        ({}, (X.float(),), "`input` must have the dtype of the weights, torch.float64, got torch.float32"),
        ({}, ([[1.0]],), "`input` must be a Tensor, a PackedSequence or a SequenceBatch, got a list"),
        ({}, (SequenceBatch(X[..., :2]),), r"`input.values` must have shape \(time, batch, 3\)"),
        ({}, (PACKED,), r"`input.data` must have shape \(values, 3\), got \(13, 2\)"),
        ({}, (X, (H, H[:, :3])), r"`hx\[1\]` must have shape \(1, 4, 5\), got \(1, 3, 5\)"),
        ({}, (X, H), r"`hx` must hold 2 tensors \(hidden, cell\), got 1"),
        ({}, (X, (H, H.float())), r"`hx\[1\]` must have the dtype of the weights, torch.float64, got"),
        ({"proj_size": 2}, (X, (H, H)), r"`hx\[0\]` must have shape \(1, 4, 2\), got \(1, 4, 5\)"),
        ({"cell_name": "gru"}, (X, H[0]), r"`hx` must have shape \(1, 4, 5\), got \(4, 5\)"),
        ({"cell_name": "gru"}, (X[:, 0], H), r"`hx` must have shape \(1, 5\), got \(1, 4, 5\)"),
    ],
)  # fmt: skip
def test_an_input_that_does_not_fit_is_named(options: dict[str, Any], arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        layer(**options)(*arguments)


def test_an_unknown_cell_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ArgumentError, match=r"`cell_name` must be one of .*, got 'lstn'; did you mean 'lstm'"):
        layer("lstn")


def test_the_repr_names_what_is_not_default() -> None:
    text = repr(nn.LSTM(3, 5, 2, peephole="full", forget_bias=1.0, backend="reference"))
    assert text == "LSTM(3, 5, num_layers=2, gate_biases={'forget': 1.0}, backend='reference')"


def test_deeper_layers_train() -> None:
    """Gradient descent on one batch lowers the loss of every cell at each step."""
    for name in CELL_NAMES:
        recurrent, x, target = (
            layer(name, num_layers=2),
            values(),
            torch.rand(TIME, 4, HIDDEN, dtype=torch.float64),
        )
        optimizer = torch.optim.SGD(recurrent.parameters(), lr=0.05)
        losses: list[float] = []
        for _ in range(4):
            loss = (recurrent(x)[0] - target).square().mean()
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert all(after < before for before, after in pairwise(losses)), name


def test_autocast_does_not_bring_float64_to_other_dtypes() -> None:
    double, single = nn.LSTM(3, 5, dtype=torch.float64), nn.LSTM(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        for layer, dtype in ((double, torch.float32), (single, torch.float64)):
            with pytest.raises(ArgumentError, match="`input` must have the dtype of the weights"):
                layer(torch.zeros(2, 1, 3, dtype=dtype))
