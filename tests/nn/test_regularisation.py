"""Every option against its definition: one row of the batch at a time, step by step, with the masks drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence

from cells.cell_cases import CELL_NAMES
from throughtime import nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.nn.regularisation import dropout_mask, zoneout_share
from throughtime.sequence import SequenceBatch

INPUT, HIDDEN, TIME, LENGTHS = 3, 5, 6, [2, 6, 4, 1]
BATCH = len(LENGTHS)
CELLS = {
    "rnn_tanh": {},
    "lstm": {},
    "lstm_projected": {"proj_size": 2},
    "gru": {},
    "gru_reset_before": {},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "input_dropout": {"input_dropout": 0.3},
    "output_dropout": {"output_dropout": 0.3},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "candidate_dropout": {"candidate_dropout": 0.4},
    "zoneout": {"zoneout": 0.3},
    "weight_dropout": {"weight_dropout": 0.5},
}
ALL: dict[str, Any] = {name: value for option in OPTIONS.values() for name, value in option.items()} | {
    "dropout": 0.2,
    "locked_dropout": True,
}


def layer(name: str, **options: Any) -> Any:
    """Make a layer of two levels and both directions, the same weights each time."""
    torch.manual_seed(5)
    cell = name.removesuffix("_projected")
    if cell.startswith("rnn"):
        options.pop("candidate_dropout", None)
    return nn.Recurrent(
        cell, INPUT, HIDDEN, 2, bidirectional=True, dtype=torch.float64, **CELLS.get(name, {}), **options
    )


def values() -> Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def resets() -> Tensor:
    return torch.rand(TIME, BATCH, generator=torch.Generator().manual_seed(2)) < 0.3


def drawn(shape: tuple[int, ...], p: float) -> Tensor:
    """A mask as the layer draws it: 0 with probability p, else 1 / (1 - p); nothing is drawn for p = 0."""
    return (torch.rand(shape, dtype=torch.float64) < 1 - p).double() / (1 - p) if p else torch.ones(shape).double()


def locked(x: Tensor, p: float) -> Tensor:
    return x * torch.dropout(torch.ones(1, *x.shape[1:], dtype=torch.float64), p, p > 0)


def plain_step(cell: str, w: dict[str, Tensor], x: Tensor, state: list[Tensor], dropped: Tensor, kept: Tensor) -> Any:
    """One step of one row by the cell's equations; ``dropped`` is the masked h, ``kept`` the candidate's mask."""
    a, b = linear(x, w["weight_ih"], w["bias_ih"]), linear(dropped, w["weight_hh"], w["bias_hh"])
    if cell == "rnn_tanh":
        return [torch.tanh(a + b)]
    if cell.startswith("lstm"):
        i, f, g, o = (a + b).chunk(4)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * kept * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return [w["weight_hr"] @ h if "weight_hr" in w else h, c]
    (a_r, a_z, a_n), (b_r, b_z, b_n) = a.chunk(3), b.chunk(3)
    r, z = torch.sigmoid(a_r + b_r), torch.sigmoid(a_z + b_z)
    if cell == "gru_reset_before":
        n = torch.tanh(a_n + linear(r * dropped, w["weight_hh"].chunk(3)[2], w["bias_hh"].chunk(3)[2]))
    else:
        n = torch.tanh(a_n + r * b_n)
    return [(1 - z) * kept * n + z * state[0]]


def plain_direction(
    recurrent: nn.Recurrent, number: tuple[int, int], x: Tensor, reset: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """One direction of one level: outputs, and for each state the one after each row's last step."""
    w, sizes = recurrent.weights(*number), recurrent.state_sizes
    p = recurrent.zoneout if isinstance(recurrent.zoneout, tuple) else [recurrent.zoneout] * len(sizes)
    training = recurrent.training
    recurrent_mask = drawn((BATCH, sizes[0]), recurrent.recurrent_dropout * training)
    candidate_mask = drawn((TIME, BATCH, HIDDEN), recurrent.candidate_dropout * training)
    zones = [
        torch.rand(TIME, BATCH, size, dtype=torch.float64) < share if share and training
        else torch.full((TIME, BATCH, size), share, dtype=torch.float64)
        for share, size in zip(p, sizes, strict=True)
    ]  # fmt: skip
    w["weight_hh"] = w["weight_hh"] * drawn(tuple(w["weight_hh"].shape), recurrent.weight_dropout * training)
    outputs: list[Tensor] = []
    finals: list[list[Tensor]] = []
    for row, length in enumerate(LENGTHS):
        state = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        output = [torch.zeros(sizes[0], dtype=torch.float64)] * TIME
        for t in reversed(range(length)) if number[1] else range(length):
            if reset[t, row]:
                state = [torch.zeros_like(part) for part in state]
            dropped = recurrent_mask[row] * state[0]
            new = plain_step(recurrent.cell.name, w, x[t, row], state, dropped, candidate_mask[t, row])
            shares = [zone[t, row].double() for zone in zones]
            state = [s * old + (1 - s) * after for s, old, after in zip(shares, state, new, strict=True)]
            output[t] = state[0]
        outputs.append(torch.stack(output))
        finals.append(state)
    return torch.stack(outputs, 1), [torch.stack(part) for part in zip(*finals, strict=True)]


def plain(recurrent: nn.Recurrent, x: Tensor, reset: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The whole layer by the plain definition: outputs, then the final states."""
    x = locked(x, recurrent.input_dropout * recurrent.training)
    finals: list[list[Tensor]] = []
    for level in range(recurrent.num_layers):
        if level:
            x = locked(x, recurrent.dropout * recurrent.training)
        halves: list[Tensor] = []
        for direction in range(2):
            half, final = plain_direction(recurrent, (level, direction), x, reset)
            halves.append(half)
            finals.append(final)
        x = torch.cat(halves, -1)
    final = tuple(torch.stack(part) for part in zip(*finals, strict=True))
    return locked(x, recurrent.output_dropout * recurrent.training), final


def flat(outcome: Any) -> list[Tensor]:
    output, final = outcome
    return [output, *([final] if isinstance(final, Tensor) else final)]


def with_gradients(recurrent: nn.Recurrent, run: Any) -> list[Tensor]:
    """What ``run`` gives under a seed of its own, and all gradients."""
    x = values().requires_grad_()
    torch.manual_seed(11)
    results = flat(run(x))
    loss = torch.stack([(result.square() * (1 + index)).sum() for index, result in enumerate(results)]).sum()
    return [*results, *torch.autograd.grad(loss, [x, *recurrent.parameters()])]


def cases() -> Iterator[Any]:
    for cell in CELLS:
        for name, options in OPTIONS.items():
            if (cell, name) != ("rnn_tanh", "candidate_dropout"):
                yield pytest.param(cell, options, id=f"{cell}-{name}")
        yield pytest.param(cell, ALL, id=f"{cell}-all")
    yield pytest.param("lstm", {"zoneout": (0.1, 0.6)}, id="lstm-zoneouts")
    yield pytest.param("lstm", {"zoneout": (0.0, 0.6)}, id="lstm-zoneout-of-the-cell")


@pytest.mark.parametrize(("cell", "options"), list(cases()))
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_an_option_is_its_definition(cell: str, options: dict[str, Any], backend: str) -> None:
    recurrent = layer(cell, backend=backend, **options)
    reset = resets()
    have = with_gradients(recurrent, partial(recurrent, lengths=LENGTHS, reset=reset))
    want = with_gradients(recurrent, partial(plain, recurrent, reset=reset))
    torch.testing.assert_close(have, want, rtol=0, atol=1e-10)
    assert recurrent.last_backend == backend


@pytest.mark.parametrize("name", CELL_NAMES)
def test_backends_draw_the_same_masks(name: str) -> None:
    without_zoneout = "peephole" in name or name == "lstm_layer_norm"  # in the native core
    options = ALL | ({"zoneout": 0.0} if without_zoneout else {})
    results: list[list[Tensor]] = []
    for backend in ("fused", "reference", "auto"):
        recurrent = layer(name, backend=backend, **options)
        results.append(with_gradients(recurrent, partial(recurrent, reset=resets())))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-10)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=0)


def test_zoneout_with_peepholes_runs_on_the_reference() -> None:
    recurrent = nn.LSTM(INPUT, HIDDEN, peephole="diagonal", zoneout=0.5)
    recurrent(torch.randn(TIME, BATCH, INPUT))
    assert recurrent.last_backend == "reference"


@pytest.mark.parametrize("cell", CELLS)
def test_evaluation_draws_nothing_and_zones_out_by_expectation(cell: str) -> None:
    recurrent, reset = layer(cell, **ALL).eval(), resets()
    before = torch.get_rng_state()
    have = flat(recurrent(values(), lengths=LENGTHS, reset=reset))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(have, flat(plain(recurrent, values(), reset)), rtol=0, atol=1e-10)
    torch.testing.assert_close(flat(recurrent(values(), lengths=LENGTHS, reset=reset)), have, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {**ALL, "zoneout": 0.0}])
def test_evaluation_without_zoneout_is_the_plain_layer(options: dict[str, Any]) -> None:
    have, want = layer("lstm", **options).eval()(values()), layer("lstm")(values())
    torch.testing.assert_close(have, want, rtol=0, atol=0)


def test_a_layer_without_options_draws_nothing_in_training() -> None:
    recurrent = layer("lstm", dropout=0.0)
    before = torch.get_rng_state()
    recurrent(values())
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_do_not_depend_on_the_options() -> None:
    have, want = layer("gru", **ALL), layer("gru")
    assert list(have.state_dict()) == list(want.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(have.parameters(), want.parameters(), strict=True))


@pytest.mark.parametrize("name", [*OPTIONS, "dropout"])
def test_a_seed_makes_the_masks_and_each_call_has_its_own(name: str) -> None:
    recurrent = layer("lstm", **OPTIONS.get(name, {"dropout": 0.5}))
    outputs: list[Tensor] = []
    for seed in (3, 3, None):
        if seed:
            torch.manual_seed(seed)
        outputs.append(recurrent(values())[0])
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[1], outputs[2])


def test_weight_dropout_leaves_the_parameter_whole_and_its_gradient_masked() -> None:
    recurrent: Any = nn.RNN(INPUT, HIDDEN, weight_dropout=0.5, dtype=torch.float64)
    before = recurrent.weight_hh_l0.clone()
    torch.manual_seed(4)
    recurrent(values())[0].sum().backward()
    torch.manual_seed(4)
    kept = drawn((HIDDEN, HIDDEN), 0.5) > 0
    gradient = recurrent.weight_hh_l0.grad
    assert gradient is not None
    assert torch.equal(gradient != 0, kept)
    assert torch.equal(recurrent.weight_hh_l0, before)


@pytest.mark.parametrize("form", ["packed", "SequenceBatch", "batch_first"])
def test_the_form_of_the_input_changes_nothing(form: str) -> None:
    lengths = sorted(LENGTHS, reverse=True)  # the order in which a PackedSequence has its rows
    results: list[list[Tensor]] = []
    recurrent, x = layer("lstm", **ALL, batch_first=form == "batch_first"), values()
    for given in (form, "SequenceBatch"):
        torch.manual_seed(8)
        if given == "packed":
            output, final = recurrent(pack_padded_sequence(x, torch.tensor(lengths)))
            output = SequenceBatch.from_packed(output).values
        elif given == "batch_first":
            output, final = recurrent(x.transpose(0, 1), lengths=lengths)
            output = output.transpose(0, 1)
        else:
            output, final = recurrent(SequenceBatch(x, torch.tensor(lengths)))
            output = output.values
        results.append([output, *final])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_autocast_uses_the_same_masks() -> None:
    outputs: list[Tensor] = []
    for autocast in (False, True):
        torch.manual_seed(6)
        recurrent = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True, dropout=0.2, **OPTIONS["weight_dropout"],
                            recurrent_dropout=0.4, candidate_dropout=0.4, zoneout=(0.1, 0.3))  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            outputs.append(recurrent(values().float(), reset=resets())[0].float())
        assert recurrent.last_backend == "fused"
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=2**-6)  # two layers of bfloat16's 2^-8


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.0, 0.003, 0.3, 1.0])
def test_masks_have_the_expected_mean(dtype: torch.dtype, p: float) -> None:
    like, count = torch.empty(0, dtype=dtype), 40_000
    mask, share = dropout_mask(like, (count,), p), zoneout_share(like, (count,), p, training=True)
    assert mask.dtype == share.dtype == dtype
    scale = torch.tensor(1 / (1 - p) if p < 1 else 0, dtype=dtype)
    assert ((mask == 0) | (mask == scale)).all()
    assert ((share == 0) | (share == 1)).all()
    error = 4 * (p * (1 - p) / count) ** 0.5  # four standard errors
    assert abs((mask == 0).double().mean() - p) <= error
    assert abs(share.double().mean() - p) <= error
    assert (zoneout_share(like, (2, 3), p, training=False) == torch.tensor(p, dtype=dtype)).all()


@pytest.mark.parametrize("name", ["recurrent_dropout", "candidate_dropout", "zoneout", "weight_dropout"])
def test_the_mean_over_masks_is_evaluation(name: str) -> None:
    """One step from a state: what each option acts on is linear in its mask, if only the right part is looked at."""
    count = 400
    gated = name == "candidate_dropout"
    recurrent: Any = nn.LSTM(1, count) if gated else nn.RNN(1, count, nonlinearity="relu")
    setattr(recurrent, name, 0.3)
    with torch.no_grad():
        for parameter in recurrent.parameters():
            parameter.fill_(0.5 / count)  # units are alike, so the mean over them is one over masks
    state = torch.ones(1, 20, count)
    hx = (state, state) if gated else state
    means: list[Tensor] = []
    for training in (True, False):
        final = recurrent.train(training)(torch.ones(1, 20, 1), hx)[1]
        means.append((final[1] if gated else final).mean())
    spread = {"zoneout": 0.5 * 0.46 / 8000**0.5, "candidate_dropout": 0.3 * 0.66 / 8000**0.5}
    # A recurrent product has one sum for all units of a row, DropConnect one for each unit of the layer.
    spread |= {"recurrent_dropout": 0.5 * 0.66 / 8000**0.5, "weight_dropout": 0.5 * 0.66 / count}
    assert 0 < abs(means[0] - means[1]) < 4 * spread[name]


@pytest.mark.parametrize("name", ["recurrent_dropout", "candidate_dropout", "zoneout"])
def test_torchs_kernels_refuse_what_acts_on_steps(name: str) -> None:
    recurrent = layer("gru", backend="torch", **OPTIONS[name])
    with pytest.raises(BackendError, match="know neither resets nor dropout or zoneout of the recurrent state"):
        recurrent(values())


def test_torchs_kernels_run_with_the_other_options() -> None:
    options = {name: ALL[name] for name in ("input_dropout", "output_dropout", "weight_dropout", "dropout")}
    results: list[list[Tensor]] = []
    for backend in ("torch", "reference"):
        recurrent = layer("gru", backend=backend, **options)
        results.append(with_gradients(recurrent, recurrent))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("GRU", {"recurrent_dropout": 1.5}, r"`recurrent_dropout` must be a number in \[0, 1\], got 1.5"),
        ("GRU", {"input_dropout": "0.1"}, r"`input_dropout` must be a number in \[0, 1\], got '0.1'"),
        ("GRU", {"output_dropout": -1}, r"`output_dropout` must be a number in \[0, 1\], got -1"),
        ("GRU", {"weight_dropout": True}, r"`weight_dropout` must be a number in \[0, 1\], got True"),
        ("LSTM", {"zoneout": 2}, r"`zoneout` must be a number in \[0, 1\], got 2"),
        ("LSTM", {"zoneout": (0.1, 2)}, r"`zoneout\[1\]` must be a number in \[0, 1\], got 2"),
        ("LSTM", {"zoneout": [0.1]}, r"`zoneout` must be one probability or one for each of 2 states \(hidden, cell\)"),
        ("RNN", {"candidate_dropout": 0.1}, "`candidate_dropout` needs a cell whose candidate is gated, .* 'rnn_tanh'"),
    ],
)  # fmt: skip
def test_a_probability_that_cannot_be_used_is_named(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(nn, kind)(3, 4, **options)


def test_the_repr_names_the_options_in_use() -> None:
    assert repr(nn.LSTM(3, 5, zoneout=[0.1, 0.2], weight_dropout=0.5, input_dropout=0.0)) == (
        "LSTM(3, 5, zoneout=(0.1, 0.2), weight_dropout=0.5)"
    )
