from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime.errors import ArgumentError
from throughtime.models import DecoderState, EncoderDecoder
from throughtime.sequence import SequenceBatch

LENGTHS = torch.tensor([5, 2, 4])
SOURCE = SequenceBatch(torch.randint(1, 11, (5, 3), generator=torch.Generator().manual_seed(1)), LENGTHS)
TARGET = torch.randint(0, 9, (4, 3), generator=torch.Generator().manual_seed(2))
SIZES: dict[str, Any] = {"embedding_size": 6, "hidden_size": 8}
FORMS: list[dict[str, Any]] = [
    {"attention": None},
    {"attention": "general", "input_feeding": False},
    {"attention": "dot", "input_feeding": True},
    {"attention": "additive", "input_feeding": True, "num_layers": 2},
    {"attention": "additive", "attention_order": "before", "input_feeding": False},
    {"attention": "general", "encoder_hidden_size": 5, "num_layers": 2, "tied": False, "input_feeding": False},
    {"attention": None, "bidirectional": False, "cell": "gru", "tied": False},
    {"attention": "general", "bidirectional": False, "cell": "rnn_tanh", "input_feeding": True},
]


def test_the_plain_network_is_torchs_encoder_whose_final_state_starts_torchs_decoder() -> None:
    network = EncoderDecoder(11, 9, attention=None, bidirectional=False, tied=False, **SIZES).double()
    encoder, decoder = nn.LSTM(6, 8).double(), nn.LSTM(6, 8).double()
    encoder.load_state_dict(network.encoder.recurrent.state_dict())
    decoder.load_state_dict(network.decoder.recurrent.state_dict())
    packed = pack_padded_sequence(network.encoder.embedding(SOURCE.values), LENGTHS, enforce_sorted=False)
    _, state = encoder(packed)
    hidden, _ = decoder(network.decoder.embedding(TARGET), state)
    torch.testing.assert_close(network(SOURCE, TARGET), network.decoder.output(hidden))


@pytest.mark.parametrize("order", ["after", "before"])
def test_attention_is_the_papers_loop_over_torchs_cells(order: str) -> None:
    feeds = order == "after"
    network = EncoderDecoder(
        11, 9, attention="additive", attention_order=order, input_feeding=feeds, **SIZES
    ).double()  # fmt: skip
    encoder = nn.LSTM(6, 4, bidirectional=True).double()
    encoder.load_state_dict(network.encoder.recurrent.state_dict())
    cell = nn.LSTMCell(6 + network.decoder.fed_size, 8).double()
    cell.load_state_dict(
        {name.removesuffix("_l0"): own for name, own in network.decoder.recurrent.state_dict().items()}
    )
    packed = pack_padded_sequence(network.encoder.embedding(SOURCE.values), LENGTHS, enforce_sorted=False)
    packed, (last, last_cell) = encoder(packed)
    outputs, _ = pad_packed_sequence(packed)
    hidden, memory = torch.cat([*last], -1), torch.cat([*last_cell], -1)
    attention = network.decoder.attention
    assert attention is not None

    def look(query: Tensor) -> Tensor:
        return attention(query.unsqueeze(1), attention.memory(SequenceBatch(outputs, LENGTHS)))[0].squeeze(1)

    readout = hidden.new_zeros(3, network.decoder.readout_size)
    expected: list[Tensor] = []
    for tokens in TARGET:
        fed = readout if feeds else look(hidden)
        hidden, memory = cell(torch.cat([network.decoder.embedding(tokens), fed], -1), (hidden, memory))
        context = look(hidden) if feeds else fed
        readout = torch.tanh(network.decoder.readout(torch.cat([context, hidden], -1)))
        expected.append(network.decoder.output(readout))
    torch.testing.assert_close(network(SOURCE, TARGET), torch.stack(expected))


@pytest.mark.parametrize("form", FORMS)
def test_steps_give_what_the_whole_target_gives(form: dict[str, Any]) -> None:
    network = EncoderDecoder(11, 9, **{**SIZES, **form}).double().eval()
    whole = network.decode(TARGET, network.encode(SOURCE))
    state = network.encode(SOURCE)
    for t, tokens in enumerate(TARGET):
        step = network.decode(tokens.unsqueeze(0), state)
        state = step.state
        torch.testing.assert_close(step.readouts[0], whole.readouts[t])
        if whole.weights is not None:
            torch.testing.assert_close(state.weights, whole.weights[t])
    if whole.weights is not None:
        torch.testing.assert_close(state.coverage, whole.weights.sum(0))
        torch.testing.assert_close(whole.state.coverage, state.coverage)


@pytest.mark.parametrize("form", FORMS)
def test_padding_changes_nothing(form: dict[str, Any]) -> None:
    network = EncoderDecoder(11, 9, **{**SIZES, **form}).double().eval()
    together = network(SOURCE, TARGET)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = SequenceBatch(SOURCE.values[:length, row : row + 1])
        torch.testing.assert_close(network(alone, TARGET[:, row : row + 1]), together[:, row : row + 1])


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_one_source_share_its_memory(form: dict[str, Any]) -> None:
    network = EncoderDecoder(11, 9, **{**SIZES, **form}).double().eval()
    state = network.encode(SOURCE)
    rows = torch.tensor([0, 0, 2, 2])
    several = state.select(rows)
    tokens = torch.tensor([1, 2, 3, 4])
    after, scores = network.next_step(several, tokens)
    if after.memory is not None:
        assert len(after.memory.values) == 2
    for place, row in enumerate(rows.tolist()):
        _, alone = network.next_step(state.select(torch.tensor([row])), tokens[place : place + 1])
        torch.testing.assert_close(scores[place], alone[0])
    # One row of the second source alone goes on.
    _, left = network.next_step(after.select(torch.tensor([3])), torch.tensor([5]))
    _, expected = network.next_step(
        network.next_step(state.select(torch.tensor([2])), tokens[3:])[0], torch.tensor([5])
    )
    torch.testing.assert_close(left, expected)


@pytest.mark.parametrize("form", FORMS)
def test_every_weight_learns(form: dict[str, Any]) -> None:
    network = EncoderDecoder(11, 9, dropout=0.1, **{**SIZES, **form})
    network(SOURCE, TARGET).log_softmax(-1)[..., 0].sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_what_is_shared_is_one_tensor() -> None:
    network = EncoderDecoder(9, 9, shared=True, **SIZES)
    assert network.encoder.embedding.weight is network.decoder.embedding.weight is network.decoder.output.weight
    matrices = {id(weight) for weight in network.hidden_matrices()}
    assert id(network.decoder.output.weight) not in matrices
    assert id(network.decoder.recurrent.weight_ih_l0) in matrices


def test_a_state_without_attention_has_no_memory() -> None:
    state = EncoderDecoder(11, 9, attention=None, **SIZES).encode(SOURCE)
    assert isinstance(state, DecoderState)
    assert state.memory is None
    assert [tuple(part.shape) for part in state.recurrent] == [(1, 3, 8), (1, 3, 8)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 7}, "`hidden_size` must be even for a bidirectional encoder, got 7"),
        (
            {"attention_order": "before", "input_feeding": True},
            "`input_feeding` feeds what attention after the step gave",
        ),
        ({"attention_order": "between"}, "`attention_order` must be one of 'after', 'before', got 'between'"),
        ({"shared": True}, "`shared` needs one vocabulary on both sides, got 11 and 9 tokens"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
        ({"cell": "gru_layer_norm", "input_feeding": True}, "normalises sums over its whole input"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(options: dict[str, Any], message: str) -> None:
    together: dict[str, Any] = {**SIZES, "input_feeding": False, **options}
    with pytest.raises(ArgumentError, match=message):
        EncoderDecoder(11, 9, **together)
