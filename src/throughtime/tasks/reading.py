"""What a network's recurrent layers read: where a look inside begins, the same for every task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from throughtime.cells import State
from throughtime.data import Ids, Sequences, pad_sequences, sequences_of, with_ends
from throughtime.models import (
    DecoderState,
    DecodingNetwork,
    EncoderDecoder,
    RecurrentAutoencoder,
    RecurrentClassifier,
    RecurrentLanguageModel,
)
from throughtime.models.forecast_network import ForecastEnsemble, Past
from throughtime.nn import Recurrent
from throughtime.nn.gradient_flow import RecurrentLayer, StepLoss
from throughtime.sequence import SequenceBatch
from throughtime.training import next_token_loss


@dataclass(frozen=True)
class Reading:
    """Recurrent layers, and what they read in a run of their network.

    Attributes:
        name: which of the network's layers, for people to read.
        layer: the layers.
        inputs: values of shape (time, batch, feature).
        state: before the first step, each of shape (layers * directions, batch, size); zeros if None.
        loss: of the outputs at a step, in the network's own terms; None where it has no loss at a single step.
        pieces: of each row, what was read at each step, for people to read.
    """

    name: str
    layer: RecurrentLayer
    inputs: SequenceBatch
    state: State | None = None
    loss: StepLoss | None = None
    pieces: tuple[tuple[str, ...], ...] = ()


@torch.no_grad()
def language_reading(network: RecurrentLanguageModel, tokens: Tensor, pieces: Sequence[Sequence[str]] = ()) -> Reading:
    """What a language model reads; the loss at a step is that of the next token.

    Args:
        network: in evaluation mode.
        tokens: shape (time + 1, batch), int64; the last ones are only predicted.
        pieces: the text of each row's first ``time`` tokens.
    """
    device = next(network.parameters()).device
    targets = tokens[1:].to(device)
    inputs, state = heard(network.recurrent, lambda: network.recur(tokens[:-1].to(device)))

    def loss(outputs: Tensor, steps: Tensor) -> Tensor:
        own = targets[steps, torch.arange(len(steps), device=device)]
        return next_token_loss(network.scores(outputs), own, reduction="none")

    return Reading("recurrent layers", network.recurrent, inputs, state, loss, frozen(pieces))


@torch.no_grad()
def classifier_reading(
    network: nn.Module,
    examples: Sequences | Sequence[Ids],
    pieces: Sequence[Sequence[str]] = (),
    *,
    most: int | None = None,
) -> Reading | None:
    """What a classifier's recurrent layers read; None where it has none, or no example has a step.

    Pooling would bring an example's loss to every step at once, and past the recurrence. So the loss at a step is that
    of a reader who has what stands there alone: how unsure the class is that the whole example was given.

    Args:
        network: a classifier in evaluation mode.
        examples: tokens or numbers of each, (length, ...); those without any are left out.
        pieces: the text of each token of those that have some.
        most: how many to read; None for all.
    """
    if not isinstance(network, RecurrentClassifier) or network.recurrent is None:
        return None
    layer = network.recurrent
    readable = sequences_of(examples)
    rows = np.flatnonzero(readable.lengths)[:most].tolist()
    if not rows:
        return None
    steps = readable.batch(rows)
    device = next(network.parameters()).device
    scores: list[Tensor] = []
    on_device = steps.to(device)
    inputs, state = heard(layer, lambda: scores.append(network(on_device)))
    chosen = scores[0].argmax(-1)

    def loss(outputs: Tensor, _: Tensor) -> Tensor:
        vector = outputs if network.hidden is None else functional.relu(network.hidden(outputs))
        return functional.cross_entropy(network.output(vector), chosen, reduction="none")

    return Reading("recurrent layers", layer, inputs, state, loss, frozen(pieces))


@torch.no_grad()
def translation_readings(
    network: EncoderDecoder,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    source_pieces: Sequence[Sequence[str]] = (),
    target_pieces: Sequence[Sequence[str]] = (),
) -> tuple[Reading, Reading]:
    """What the encoder and the decoder of a translator read, the decoder given the target (teacher forcing).

    The encoder has no loss at a step. Of the decoder see ``decoder_reading``.

    Args:
        network: in evaluation mode.
        sources: tokens of each sentence, shape (length,).
        targets: of each translation, without its ends.
        source_pieces: the text of each token of the sources.
        target_pieces: of the targets.
    """
    source = pad_sequences(list(sources))
    return both_readings(network, network.encoder.recurrent, source, targets, source_pieces, target_pieces)


@torch.no_grad()
def both_readings(
    network: DecodingNetwork,
    encoder: Recurrent,
    source: SequenceBatch,
    targets: Sequence[Ids],
    source_pieces: Sequence[Sequence[str]] = (),
    target_pieces: Sequence[Sequence[str]] = (),
) -> tuple[Reading, Reading]:
    """What an encoder and a decoder read of any sources; see ``translation_readings``.

    Args:
        network: in evaluation mode.
        encoder: its recurrent layers that read the sources.
        source: as ``network.encode`` takes it.
        targets: tokens for each source, without their ends.
        source_pieces: what is read at each step of the sources.
        target_pieces: the text of each token of the targets.
    """
    states: list[DecoderState] = []
    on_device = source.to(next(network.parameters()).device)
    read, initial = heard(encoder, lambda: states.append(network.encode(on_device)))
    encoded = Reading("encoder", encoder, read, initial, None, frozen(source_pieces))
    return encoded, decoder_reading(network, states[0], targets, target_pieces)


@torch.no_grad()
def decoder_reading(
    network: DecodingNetwork, state: DecoderState, targets: Sequence[Ids], pieces: Sequence[Sequence[str]] = ()
) -> Reading:
    """What a decoder reads when it is given what it is to write; the loss at a step is that of the next token.

    What is fed back to it, readouts or contexts, is part of its input here, so that its gradient flow is that through
    the recurrence alone.

    Args:
        network: in evaluation mode.
        state: before its first step.
        targets: tokens for each source, without their ends.
        pieces: the text of each token.
    """
    target = pad_sequences([with_ends(tokens, network.end) for tokens in targets])
    values = target.values.to(state.recurrent[0].device)
    inputs = network.decoder.recurrent_inputs(values[:-1], state)
    lengths = None if target.lengths is None else target.lengths - 1

    def loss(outputs: Tensor, steps: Tensor) -> Tensor:
        rows = torch.arange(len(steps), device=values.device)
        readouts = network.decoder.readouts_of(outputs, state)
        return functional.cross_entropy(network.scores(readouts), values[steps + 1, rows], reduction="none")

    layer = network.decoder.recurrent
    with_start = [["■", *own] for own in pieces]
    return Reading("decoder", layer, SequenceBatch(inputs, lengths), state.recurrent, loss, frozen(with_start))


@torch.no_grad()
def forecaster_reading(network: ForecastEnsemble, past: Past) -> Reading | None:
    """What the recurrent layers of a forecaster's first member read; None where it has none.

    A forecast's loss is of many steps ahead, so there is none at a single step here.

    Args:
        network: in evaluation mode.
        past: of some series.
    """
    layer = network.first.reader
    if not isinstance(layer, Recurrent):
        return None
    device = next(network.parameters()).device
    inputs, state = heard(layer, lambda: network.first(past.to(device)))
    return Reading("recurrent layers", layer, inputs, state)


@torch.no_grad()
def autoencoder_readings(network: RecurrentAutoencoder, windows: Tensor) -> tuple[Reading, Reading]:
    """What the encoder and the decoder of an autoencoder read of windows of shape (time, batch, channel).

    The decoder tells the last step first; its loss at a step is the mean squared error of the step that it tells there.
    The encoder has no loss at a step.
    """
    values = windows.to(next(network.parameters()).device)
    told: list[Tensor] = []
    read, initial = heard(network.encoder, lambda: told.append(network.encode(values)))
    inputs, state = heard(network.decoder, lambda: network.decode(told[0], len(values)))
    turned = values.flip(0)

    def loss(outputs: Tensor, steps: Tensor) -> Tensor:
        own = turned[steps, torch.arange(len(steps), device=values.device)]
        return (network.output(outputs) - own).square().mean(-1)

    return (
        Reading("encoder", network.encoder, read, initial),
        Reading("decoder", network.decoder, inputs, state, loss),
    )


def heard(layer: RecurrentLayer, run: Callable[[], object]) -> tuple[SequenceBatch, State | None]:
    """The input and the initial state with which a layer is called when something runs."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def note(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls.append((arguments, named))

    hook = layer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        run()
    finally:
        hook.remove()
    (values, *rest), named = calls[0]
    state: Tensor | State | None = rest[0] if rest else None
    sequence = values if isinstance(values, SequenceBatch) else SequenceBatch(values, named.get("lengths"))
    return sequence, (state,) if isinstance(state, Tensor) else state


def frozen(pieces: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The pieces as a reading keeps them."""
    return tuple(tuple(own) for own in pieces)
