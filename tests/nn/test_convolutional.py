from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv1d, conv2d

from throughtime import nn
from throughtime.errors import ArgumentError, BackendError
from throughtime.nn import ConvGRU, ConvLSTM
from throughtime.nn.convolutional import ConvolutionalRecurrent
from throughtime.recurrence import convolution

TIME, BATCH, IN, HIDDEN, HEIGHT, WIDTH = 4, 3, 2, 5, 6, 7


def frames(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def lstm_as_written(layer: ConvLSTM, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Shi et al. (2015), equation (3), one term after the other, channels before places as in the paper."""
    convolve = conv2d if x.ndim == 5 else conv1d
    padding = [size // 2 for size in layer.kernel_size]
    own = layer.weights(0)
    w_xi, w_xf, w_xc, w_xo = own["weight_ih"].chunk(4)
    w_hi, w_hf, w_hc, w_ho = own["weight_hh"].chunk(4)
    b_i, b_f, b_c, b_o = (
        part.reshape(-1, *(1 for _ in padding)) for part in (own["bias_ih"] + own["bias_hh"]).chunk(4)
    )
    peepholes = own.get("weight_peephole")
    if peepholes is None:
        w_ci, w_cf, w_co = torch.zeros(3, dtype=x.dtype)
    else:
        peepholes = peepholes.movedim(-1, 1)
        w_ci, w_cf, w_co = peepholes if peepholes.ndim > 2 else peepholes.reshape(3, -1, *(1 for _ in padding))
    outputs: list[Tensor] = []
    for x_t in x:
        i = torch.sigmoid(
            convolve(x_t, w_xi, padding=padding) + convolve(hidden, w_hi, padding=padding) + w_ci * cell + b_i
        )
        f = torch.sigmoid(
            convolve(x_t, w_xf, padding=padding) + convolve(hidden, w_hf, padding=padding) + w_cf * cell + b_f
        )
        g = torch.tanh(convolve(x_t, w_xc, padding=padding) + convolve(hidden, w_hc, padding=padding) + b_c)
        cell = f * cell + i * g
        o = torch.sigmoid(
            convolve(x_t, w_xo, padding=padding) + convolve(hidden, w_ho, padding=padding) + w_co * cell + b_o
        )
        hidden = o * torch.tanh(cell)
        outputs.append(hidden)
    return torch.stack(outputs), cell


@pytest.mark.parametrize(
    ("peephole", "kernel", "place"),
    [(False, (3, 3), False), (True, (5, 3), False), (True, (3, 3), True), (True, (3,), True)],
)
@pytest.mark.parametrize("backend", ["convolution", "reference"])
def test_a_conv_lstm_is_what_the_paper_writes(
    peephole: bool, kernel: tuple[int, ...], place: bool, backend: str
) -> None:
    torch.manual_seed(1)
    space = (HEIGHT, WIDTH)[-len(kernel) :]
    layer = ConvLSTM(
        IN, HIDDEN, kernel, peephole=peephole, frame_size=space if place else None, dtype=torch.float64, backend=backend
    )
    x, hidden, cell = (
        frames(TIME, BATCH, IN, *space), frames(1, BATCH, HIDDEN, *space), frames(1, BATCH, HIDDEN, *space)
    )  # fmt: skip
    output, (last, last_cell) = layer(x, (hidden, cell))
    assert layer.last_backend == backend
    expected, expected_cell = lstm_as_written(layer, x, hidden[0], cell[0])
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(last[0], expected[-1], rtol=0, atol=1e-12)
    torch.testing.assert_close(last_cell[0], expected_cell, rtol=0, atol=1e-12)
    leaves = [x, hidden, cell, *layer.parameters()]
    d_output, d_cell = torch.randn_like(output), torch.randn_like(expected_cell)
    found = torch.autograd.grad((output, last_cell[0]), leaves, (d_output, d_cell))
    wanted = torch.autograd.grad((expected, expected_cell), leaves, (d_output, d_cell))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["lstm", "peephole", "gru"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given_state", [True, False])
def test_the_derivatives_are_those_of_finite_differences(kind: str, bias: bool, given_state: bool) -> None:
    torch.manual_seed(2)
    layer: ConvLSTM | ConvGRU
    if kind == "gru":
        layer = ConvGRU(IN, 3, bias=bias, dtype=torch.float64, dimensions=1, bidirectional=True)
    else:
        peephole = kind == "peephole"
        layer = ConvLSTM(IN, 3, bias=bias, dtype=torch.float64, dimensions=1, bidirectional=True, peephole=peephole)
    x = frames(3, 2, IN, 4)
    states = [frames(2, 2, 3, 4) for _ in layer.cell.states] if given_state else []
    names = [name for name, _ in layer.named_parameters()]

    def call(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        hx = tuple(others[: len(states)])
        weights = dict(zip(names, others[len(states) :], strict=True))
        output, state = torch.func.functional_call(layer, weights, (x, hx or None))
        return (output, *((state,) if isinstance(state, Tensor) else state))

    assert torch.autograd.gradcheck(call, (x, *states, *layer.parameters()), fast_mode=True)
    assert layer.last_backend == "convolution"


@settings(max_examples=20)
@given(
    time=st.integers(1, 4), batch=st.integers(1, 3), height=st.integers(1, 5), width=st.integers(1, 5),
    kernel=st.sampled_from([(1, 1), (3, 5), (7, 3), (3,)]), reset=st.sampled_from(["after", "before"]),
    batch_first=st.booleans(), num_layers=st.integers(1, 2), bidirectional=st.booleans(),
)  # fmt: skip
def test_every_form_of_a_conv_gru_is_what_the_plain_loop_says(
    time: int, batch: int, height: int, width: int, kernel: tuple[int, ...], reset: str, batch_first: bool,
    num_layers: int, bidirectional: bool,
) -> None:  # fmt: skip
    torch.manual_seed(3)
    layer = ConvGRU(
        IN, HIDDEN, kernel, num_layers, batch_first=batch_first, bidirectional=bidirectional, dtype=torch.float64,
        reset="after" if reset == "after" else "before",
    )  # fmt: skip
    space = (height, width)[-len(kernel) :]
    x = frames(*((batch, time) if batch_first else (time, batch)), IN, *space)
    output, hidden = layer(x)
    assert layer.last_backend == ("convolution" if reset == "after" else "reference")
    assert output.shape == (*x.shape[:2], HIDDEN * layer.num_directions, *space)
    assert hidden.shape == (num_layers * layer.num_directions, batch, HIDDEN, *space)
    found = torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
    layer.backend = "reference"
    expected, _ = layer(x)
    wanted = torch.autograd.grad(expected.square().sum(), [x, *layer.parameters()])
    for one, other in zip((output, *found), (expected, *wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def assert_like_the_plain_loop(layer: ConvolutionalRecurrent, x: Tensor, states: list[Tensor]) -> None:
    def results() -> list[Tensor]:
        output, state = layer(x, tuple(states) or None)
        parts = (output, *((state,) if isinstance(state, Tensor) else state))
        loss = sum((part.sin() * (1 + place)).sum() for place, part in enumerate(parts))
        assert isinstance(loss, Tensor)
        return [*parts, *torch.autograd.grad(loss, [x, *states, *layer.parameters()])]

    found = results()
    assert layer.last_backend == "convolution"
    layer.backend = "reference"
    for one, other in zip(found, results(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("steps_together", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "peephole", "peephole by place", "gru"])
@pytest.mark.parametrize("given_state", [True, False])
def test_groups_of_steps_change_nothing(
    steps_together: int, kind: str, given_state: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(6)
    layer: ConvLSTM | ConvGRU
    if kind == "gru":
        layer = ConvGRU(IN, HIDDEN, bidirectional=True, dtype=torch.float64)
    else:
        size = (HEIGHT, WIDTH) if kind == "peephole by place" else None
        layer = ConvLSTM(IN, HIDDEN, bidirectional=True, dtype=torch.float64, peephole=kind != "lstm", frame_size=size)
    x = frames(TIME + 1, BATCH, IN, HEIGHT, WIDTH)
    states = [frames(2, BATCH, HIDDEN, HEIGHT, WIDTH) for _ in layer.cell.states] if given_state else []
    gates = len(layer.cell.gates) * HIDDEN
    monkeypatch.setattr(convolution, "GROUP_BYTES", steps_together * BATCH * HEIGHT * WIDTH * gates * 8)
    assert_like_the_plain_loop(layer, x, states)


@pytest.mark.parametrize("name", [cell.name for cell in convolution.ADDS_SIDES])
@pytest.mark.parametrize(("kernel", "hidden"), [((3, 3), 11), ((5, 5), 16), ((1, 3), 11)])
@pytest.mark.parametrize(("given_state", "bias"), [(True, True), (False, True), (True, False)])
def test_every_cell_at_places_is_what_the_plain_loop_says(
    name: str, kernel: tuple[int, int], hidden: int, given_state: bool, bias: bool
) -> None:
    torch.manual_seed(7)
    layer = ConvolutionalRecurrent(
        name, 9, hidden, kernel, bias=bias, bidirectional=True, dtype=torch.float64, frame_size=None
    )
    x = frames(TIME, BATCH, 9, HEIGHT, WIDTH)
    states = [frames(2, BATCH, hidden, HEIGHT, WIDTH) for _ in layer.cell.states] if given_state else []
    assert_like_the_plain_loop(layer, x, states)


def test_a_kernel_of_one_place_is_the_layer_at_each_place() -> None:
    torch.manual_seed(4)
    for convolutional, plain in (
        (ConvLSTM(IN, HIDDEN, 1), nn.LSTM(IN, HIDDEN)),
        (ConvLSTM(IN, HIDDEN, 1, peephole=True), nn.LSTM(IN, HIDDEN, peephole="diagonal")),
        (ConvGRU(IN, HIDDEN, 1, reset="before"), nn.GRU(IN, HIDDEN, reset="before")),
    ):
        for name, weight in convolutional.named_parameters():
            weight.data = plain.get_parameter(name).data.reshape(weight.shape).clone()
        x = torch.randn(TIME, BATCH, IN, HEIGHT, WIDTH)
        at_places, _ = plain(x.permute(0, 1, 3, 4, 2).flatten(1, 3))
        expected = at_places.unflatten(1, (BATCH, HEIGHT, WIDTH)).movedim(-1, 2)
        torch.testing.assert_close(convolutional(x)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_and_resets_cut_sequences_where_they_say(reverse: bool) -> None:
    torch.manual_seed(5)
    layer = ConvLSTM(IN, HIDDEN, bidirectional=reverse, dtype=torch.float64)
    x, lengths = frames(TIME, BATCH, IN, HEIGHT, WIDTH).detach(), [2, 4, 1]
    padded = x.clone()
    for row, length in enumerate(lengths):
        padded[length:, row] = torch.nan
    output, (hidden, _) = layer(padded, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, (last, _) = layer(x[:length, row : row + 1])
        torch.testing.assert_close(output[:length, row : row + 1], alone, rtol=0, atol=1e-12)
        assert not output[length:, row].any()
        torch.testing.assert_close(hidden[:, row : row + 1], last, rtol=0, atol=1e-12)
    if not reverse:
        reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
        reset[2, 1] = True
        cut, _ = layer(x, reset=reset)
        torch.testing.assert_close(cut[2:, 1:2], layer(x[2:, 1:2])[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(cut[:, :1], layer(x[:, :1])[0], rtol=0, atol=1e-12)


def test_the_state_carries_a_sequence_on() -> None:
    layer = ConvLSTM(IN, HIDDEN, num_layers=2)
    x = torch.randn(TIME, BATCH, IN, HEIGHT, WIDTH)
    whole, _ = layer(x)
    first, state = layer(x[:1])
    rest, _ = layer(x[1:], state)
    torch.testing.assert_close(torch.cat([first, rest]), whole)


def test_options_do_what_they_say() -> None:
    layer = ConvLSTM(IN, HIDDEN, num_layers=2, dropout=0.5, gate_biases={"forget": 1.0}, gradient_clip=1e-3)
    assert (layer.get_parameter("bias_ih_l1")[HIDDEN : 2 * HIDDEN] == 1).all()
    assert not layer.get_parameter("bias_hh_l1")[HIDDEN : 2 * HIDDEN].any()
    x = torch.randn(TIME, BATCH, IN, HEIGHT, WIDTH)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert layer.last_backend == "reference"  # which clips


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvLSTM(IN, HIDDEN, 4), "`kernel_size` must be odd"),
        (lambda: ConvLSTM(IN, HIDDEN, (3, 3, 3)), "`kernel_size` must be for 1 or 2 axes"),
        (lambda: ConvLSTM(IN, HIDDEN, (3, 3), dimensions=1), "`kernel_size` must be for 1 or 2 axes"),
        (lambda: ConvLSTM(0, HIDDEN), "`in_channels` must be a positive integer, got 0"),
        (lambda: ConvLSTM(IN, HIDDEN, frame_size=(4, 4)), "give `peephole`, too"),
        (lambda: ConvLSTM(IN, HIDDEN, peephole=True, frame_size=(4,)), "`frame_size` must have 2 numbers"),
        (lambda: ConvLSTM(IN, HIDDEN, gate_biases={"forgot": 1}), "did you mean 'forget'"),
        (lambda: ConvLSTM(IN, HIDDEN)(torch.randn(3, 2, 1, 4, 4)), r"`input` must have shape \(time, batch, 2, height"),
        (lambda: ConvLSTM(IN, HIDDEN)(torch.randn(0, 2, 2, 4, 4)), "at least one time step"),
        (lambda: ConvLSTM(IN, HIDDEN)(torch.randn(3, 2, 2, 4, 4), torch.zeros(1)), "`hx` must hold 2 tensors"),
        (lambda: ConvGRU(IN, HIDDEN)(torch.randn(3, 2, 2, 4, 4), torch.zeros(1, 2, 5, 4, 3)), "`hx` must have shape"),
    ],
)
def test_bad_arguments_are_named(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_backend_that_cannot_run_it_says_why() -> None:
    x = torch.randn(TIME, BATCH, IN, HEIGHT, WIDTH)
    with pytest.raises(BackendError, match="not convolutions"):
        ConvLSTM(IN, HIDDEN, backend="fused")(x)
    with pytest.raises(BackendError, match="without resets"):
        ConvLSTM(IN, HIDDEN, backend="convolution")(x, lengths=[4, 2, 1])
    with pytest.raises(BackendError, match="whose weights are convolutions"):
        nn.LSTM(2, 3, backend="convolution")(torch.randn(4, 3, 2))
