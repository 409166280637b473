from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cells.cell_cases import CELL_NAMES
from throughtime import SequenceBatch
from throughtime.nn import ConvGRU, ConvLSTM, GradientFlow, Recurrent, gradient_flow

TIME, BATCH, INPUT, HIDDEN = 9, 3, 2, 4


def layer_of(name: str, **options: object) -> Recurrent:
    return Recurrent(name, INPUT, HIDDEN, dtype=torch.float64, **options)  # pyright: ignore[reportArgumentType]


def inputs() -> Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)


def test_the_flow_through_elmans_network_is_the_product_of_its_jacobians() -> None:
    layer, x = layer_of("rnn_tanh"), inputs()
    probe = torch.randn(BATCH, HIDDEN, dtype=torch.float64)
    flow = gradient_flow(layer, x, lambda outputs, _: (outputs * probe).sum(-1))
    with torch.no_grad():
        hidden, _ = layer(x)
        gradient = probe
        for lag in range(TIME):
            torch.testing.assert_close(flow.norms[0, lag], gradient.norm(dim=-1), rtol=1e-12, atol=0)
            gradient = (gradient * (1 - hidden[TIME - 1 - lag] ** 2)) @ layer.weight_hh_l0


@pytest.mark.parametrize("name", CELL_NAMES)
def test_a_row_of_a_ragged_batch_flows_as_it_does_alone(name: str) -> None:
    layer, x = layer_of(name, num_layers=2, bidirectional=True), inputs()
    lengths = torch.tensor([TIME, 4, 6])
    flow = gradient_flow(layer, SequenceBatch(x, lengths), lambda outputs, _: outputs.sum(-1))
    assert flow.names == ["layer 1, forward", "layer 1, reverse", "layer 2, forward", "layer 2, reverse"]
    assert flow.norms.shape == (4, TIME, BATCH)
    for row, length in enumerate(lengths.tolist()):
        assert flow.norms[:, :length, row].isfinite().all()
        assert flow.norms[:, length:, row].isnan().all()
        alone = gradient_flow(layer, x[:length, row : row + 1], lambda outputs, _: outputs.sum(-1))
        torch.testing.assert_close(flow.norms[:, :length, row], alone.norms[:, :, 0], rtol=1e-9, atol=1e-14)


def test_the_flow_through_an_lstm_is_that_of_a_bump_in_its_hidden_state() -> None:
    """By finite differences: the state is taken over at each step, moved by a little, and run to the end."""
    layer, x = layer_of("lstm"), inputs()
    flow = gradient_flow(layer, x, lambda outputs, _: outputs.square().sum(-1))
    with torch.no_grad():
        for lag in range(1, TIME):
            _, (hidden, cell) = layer(x[: TIME - lag])
            columns: list[Tensor] = []
            for unit in range(HIDDEN):
                bump = torch.zeros(HIDDEN, dtype=torch.float64)
                bump[unit] = 1e-6
                ends = [layer(x[TIME - lag :], (hidden + sign * bump, cell))[0][-1] for sign in (1, -1)]
                columns.append((ends[0].square() - ends[1].square()).sum(-1) / 2e-6)
            torch.testing.assert_close(flow.norms[0, lag], torch.stack(columns).norm(dim=0), rtol=1e-6, atol=1e-10)


def test_a_reverse_direction_is_a_forward_one_of_the_reversed_sequence() -> None:
    forward, x = layer_of("gru"), inputs()
    both = layer_of("gru", bidirectional=True)
    state = dict(forward.state_dict())
    both.load_state_dict({**state, **{f"{name}_reverse": value for name, value in state.items()}})

    def first(outputs: Tensor, _: Tensor) -> Tensor:
        return outputs[:, :HIDDEN].sum(-1)

    def second(outputs: Tensor, _: Tensor) -> Tensor:
        return outputs[:, HIDDEN:].sum(-1)

    turned = gradient_flow(forward, x.flip(0), first)
    torch.testing.assert_close(gradient_flow(both, x, second).norms[1], turned.norms[0])


@pytest.mark.parametrize(("scale", "verdict"), [(0.5, "vanishes"), (1.0, "reaches"), (1.5, "explodes")])
def test_what_is_said_of_a_linear_network_is_what_its_matrix_does(scale: float, verdict: str) -> None:
    """With positive states a ReLU is the identity, and a scaled rotation stretches by its scale at every step."""
    layer = Recurrent("rnn_relu", 1, 2, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.get_parameter("bias_ih_l0").fill_(0.0)
        layer.get_parameter("bias_hh_l0").fill_(0.0)
        layer.get_parameter("weight_hh_l0").copy_(scale * torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    state = (torch.ones(1, 1, 2, dtype=torch.float64),)
    flow = gradient_flow(layer, torch.zeros(21, 1, 1, dtype=torch.float64), state=state)
    assert flow.growth()[0] == pytest.approx(scale)
    assert flow.verdicts() == [verdict]
    expected = math.ceil(math.log(0.01) / math.log(scale)) if scale < 1 else None
    assert flow.horizons() == [expected]
    assert {"vanishes": "halves every 1.0 steps", "reaches": "100 %", "explodes": "doubles every 1.7 steps"}[
        verdict
    ] in flow.describe()[0]


@given(st.lists(st.floats(1e-20, 1e6), min_size=1, max_size=30))
def test_a_horizon_is_the_first_lag_below_the_threshold(norms: list[float]) -> None:
    flow = GradientFlow(torch.tensor(norms, dtype=torch.float64).view(1, -1, 1))
    (horizon,) = flow.horizons()
    below = [lag for lag, norm in enumerate(norms) if norm / norms[0] < 0.01]
    assert horizon == (below[0] if below else None)
    assert len(flow.describe()) == 1


def test_rows_that_have_ended_do_not_change_the_share_of_the_others() -> None:
    nan = math.nan
    flow = GradientFlow(torch.tensor([[[1.0, 100.0], [0.5, 50.0], [0.25, nan]]]))
    torch.testing.assert_close(flow.relative, torch.tensor([[1.0, 0.5, 0.25]]))


def test_looking_changes_nothing() -> None:
    layer, x = layer_of("lstm", num_layers=2, dropout=0.5, gradient_clip=1e-9), inputs()
    before = torch.get_rng_state()
    flow = gradient_flow(layer, x)
    assert layer.training
    assert layer.gradient_clip == 1e-9
    assert all(weight.grad is None for weight in layer.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert float(flow.norms[1, 0].min()) > 1e-3
    with torch.inference_mode():
        torch.testing.assert_close(gradient_flow(layer, x.clone()).norms, flow.norms)


@pytest.mark.parametrize("kind", [ConvLSTM, ConvGRU])
def test_the_flow_through_a_convolution_of_one_place_is_that_of_the_layer_of_vectors(
    kind: type[ConvLSTM | ConvGRU],
) -> None:
    """A picture of 1 x 1 places has no neighbours, so that the middle of each kernel is the matrix."""
    pictures = kind(INPUT, HIDDEN, 3, 2, bidirectional=True, dtype=torch.float64)
    vectors = layer_of(pictures.cell_name, num_layers=2, bidirectional=True)
    with torch.no_grad():
        for name, weight in vectors.named_parameters():
            own = pictures.get_parameter(name)
            weight.copy_(own[..., 1, 1] if own.ndim == 4 else own)
    x, lengths = inputs(), torch.tensor([TIME, 4, 6])
    expected = gradient_flow(vectors, SequenceBatch(x, lengths))
    found = gradient_flow(pictures, SequenceBatch(x[..., None, None], lengths))
    torch.testing.assert_close(found.norms, expected.norms, rtol=1e-9, atol=1e-14, equal_nan=True)
