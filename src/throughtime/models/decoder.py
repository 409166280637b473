"""From an encoded source to scores of the target's next token: plain, or with attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from throughtime.cells import State
from throughtime.errors import ArgumentError, check_choice
from throughtime.nn import (
    Attention,
    Embedding,
    Look,
    LoopLinear,
    Memory,
    Recurrent,
    RecurrentLoop,
    build_attention,
    check_loop,
)

ORDERS = ("after", "before")


@dataclass(frozen=True)
class DecoderState:
    """What a decoder knows between two steps. Several rows of the target may share a source; they stand together.

    Attributes:
        recurrent: of the recurrent layers: (layers, rows, size) for each of the cell's states.
        fed: the readout of the step before where readouts are fed, (rows, features); zeros if None.
        memory: the encoded sources; None where there is no attention.
        weights: of the last step's attention, (rows, source); None before the first step.
        coverage: the sum of all steps' weights, (rows, source); None before the first step.
    """

    recurrent: State
    fed: Tensor | None = None
    memory: Memory | None = None
    weights: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """The state of some rows, of shape (new rows,), int64; each source that stays has equally many of them."""
        memory = self.memory
        if memory is not None:
            group = self.recurrent[0].shape[1] // len(memory.values)
            sources = (rows // group).unique_consecutive()
            if len(sources) < len(memory.values):
                memory = memory.select(sources)
        return DecoderState(
            tuple(part[:, rows] for part in self.recurrent),
            None if self.fed is None else self.fed[rows],
            memory,
            None if self.weights is None else self.weights[rows],
            None if self.coverage is None else self.coverage[rows],
        )


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives for some steps of the target.

    Attributes:
        readouts: what the scores are computed from, (target, rows, readout_size).
        weights: of attention, (target, rows, source); None without attention.
        state: after the last step.
        probabilities: that the weights were drawn with, (target, rows, source); see ``Look``.
    """

    readouts: Tensor
    weights: Tensor | None
    state: DecoderState
    probabilities: Tensor | None = None


class Decoder(nn.Module):
    """A language model that starts from the encoder's state, and may look back at the source at every step.

    Without attention the state is all that it knows of the source (Sutskever et al. 2014). With attention, the context
    is a mean of the encoder's outputs, and the scores come from tanh(W [context; hidden]), the readout. Attention

    - after the recurrent step asks with the new hidden state (Luong et al. 2015). The recurrent layers then run over
      a whole target in one call, unless each readout is fed to the next step beside its token (input feeding);
    - before it asks with the hidden state of the step before, and the context is part of the step's input
      (Bahdanau et al. 2015).

    Args:
        embedding: of the target's tokens.
        cell: a name in CELLS.
        hidden_size: units of each layer.
        num_layers: how many layers.
        source_size: features of an encoded step of the source.
        attention: additive, dot, general, or None.
        attention_order: after or before the recurrent step.
        input_feeding: whether the readout of a step is part of the next one's input; with attention after the step.
        dropout: probability that a unit is dropped after the embedding, between the layers and in the readout.
        tied: whether the output layer shares the embedding's weights; the readout is then of the embedding's size.
        hard_attention: how attention that looks at one step of the source at a time gets its gradient; None for soft
            attention. See ``Attention``.

    Raises:
        ArgumentError: for sizes or settings that don't go together.
    """

    def __init__(  # noqa: PLR0913 - the network's parts, each by its name
        self,
        embedding: Embedding,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        source_size: int,
        attention: str | None,
        attention_order: str,
        input_feeding: bool,
        dropout: float,
        tied: bool,
        hard_attention: str | None = None,
    ) -> None:
        super().__init__()
        check_choice("attention_order", attention_order, ORDERS)
        embedding_size = embedding.embedding_dim
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        self.attention_order = attention_order
        self.input_feeding = input_feeding and attention is not None
        if self.input_feeding and attention_order == "before":
            raise ArgumentError("`input_feeding` feeds what attention after the step gave; with 'before' leave it out")
        self.readout_size = embedding_size if tied else hidden_size
        self.attention: Attention | None = None
        if attention is not None:
            self.attention = build_attention(attention, hidden_size, source_size, hard=hard_attention)
            self.readout = nn.Linear(source_size + hidden_size, self.readout_size, bias=False)
        elif self.readout_size != hidden_size:
            self.readout = nn.Linear(hidden_size, self.readout_size, bias=False)
        else:
            self.readout = nn.Identity()
        self.fed_size = 0
        if self.input_feeding:
            self.fed_size = self.readout_size
        elif attention is not None and attention_order == "before":
            self.fed_size = source_size
        self.recurrent = Recurrent(
            cell,
            embedding_size + self.fed_size,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        if self.fed_size:
            check_loop(self.recurrent)
        self.output = nn.Linear(self.readout_size, embedding.num_embeddings)
        if tied:
            self.output.weight = embedding.weight

    def forward(self, tokens: Tensor, state: DecoderState) -> Decoded:
        """Read tokens of shape (target, rows), int64, on from a state."""
        embedded = self.dropout(self.embedding(tokens))
        if not self.fed_size:
            decoded = self._whole(embedded, state)
        elif self.input_feeding:
            decoded = self._feed_readouts(embedded, state)
        else:
            decoded = self._feed_contexts(embedded, state)
        return replace(decoded, readouts=self.dropout(decoded.readouts))

    def scores(self, readouts: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the next token, (..., vocabulary), from readouts (..., readout_size)."""
        return self.output(readouts)

    def recurrent_inputs(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """What the recurrent layers read when the decoder reads tokens of shape (target, rows), int64.

        Returns:
            Shape (target, rows, embedding size, and with feedback that of what is fed), in evaluation mode.
        """
        embedded = self.embedding(tokens)
        if not self.fed_size:
            return embedded
        decoded = self(tokens, state)
        if self.input_feeding:
            first = embedded.new_zeros(embedded.shape[1], self.fed_size) if state.fed is None else state.fed
            fed = torch.cat([first.unsqueeze(0), decoded.readouts[:-1]])
        else:
            assert decoded.weights is not None and state.memory is not None  # noqa: S101, PT018 - it has attention
            group = embedded.shape[1] // len(state.memory.values)
            fed = torch.einsum("trs,rsv->trv", decoded.weights, state.memory.values.repeat_interleave(group, 0))
        return torch.cat([embedded, fed], dim=-1)

    def readouts_of(self, hidden: Tensor, state: DecoderState) -> Tensor:
        """Readouts (rows, readout_size) of the last layer's outputs at one step, (rows, hidden_size).

        With attention before the step, its context is that of these outputs and not of the step before.
        """
        if self.attention is None:
            return self.readout(hidden)
        seen = self._attend(hidden.unsqueeze(0), state)
        return torch.tanh(self.readout(torch.cat([seen.contexts[0], hidden], -1)))

    def _whole(self, embedded: Tensor, state: DecoderState) -> Decoded:
        """All steps in one call of the recurrent layers, then all queries at once."""
        initial: State = tuple([part.contiguous() for part in state.recurrent])
        hidden, final = self.recurrent(embedded, initial[0] if len(initial) == 1 else initial)
        recurrent = (final,) if isinstance(final, Tensor) else final
        if self.attention is None:
            return Decoded(self.readout(hidden), None, replace(state, recurrent=recurrent))
        seen = self._attend(hidden, state)
        readouts = torch.tanh(self.readout(torch.cat([seen.contexts, hidden], -1)))
        return _decoded(readouts, [seen], replace(state, recurrent=recurrent))

    def _feed_readouts(self, embedded: Tensor, state: DecoderState) -> Decoded:
        """Step by step: attention comes after the step, and what came of it enters the next one."""
        loop, layers = RecurrentLoop(self.recurrent, embedded), _by_layer(state.recurrent)
        mix = LoopLinear(self.readout.get_parameter("weight"))
        fed = embedded.new_zeros(embedded.shape[1], self.fed_size) if state.fed is None else state.fed
        readouts: list[Tensor] = []
        looks: list[Look] = []
        for t in range(len(embedded)):
            hidden, layers = loop.step(t, fed, layers)
            looks.append(self._attend(hidden.unsqueeze(0), state))
            fed = torch.tanh(mix(torch.cat([looks[-1].contexts[0], hidden], -1)))
            readouts.append(fed)
        after = replace(state, fed=fed, recurrent=_by_state(layers))
        return _decoded(torch.stack(readouts), looks, after)

    def _feed_contexts(self, embedded: Tensor, state: DecoderState) -> Decoded:
        """Step by step: attention comes before the step and enters it."""
        loop, layers = RecurrentLoop(self.recurrent, embedded), _by_layer(state.recurrent)
        hidden = state.recurrent[0][-1]
        hiddens: list[Tensor] = []
        looks: list[Look] = []
        for t in range(len(embedded)):
            looks.append(self._attend(hidden.unsqueeze(0), state))
            hidden, layers = loop.step(t, looks[-1].contexts[0], layers)
            hiddens.append(hidden)
        both = torch.cat([torch.cat([seen.contexts for seen in looks]), torch.stack(hiddens)], -1)
        after = replace(state, recurrent=_by_state(layers))
        return _decoded(torch.tanh(self.readout(both)), looks, after)

    def _attend(self, hidden: Tensor, state: DecoderState) -> Look:
        """What is seen for hidden (target, rows, size), its parts of shape (target, rows, ...)."""
        if self.attention is None or state.memory is None:
            raise ArgumentError("the decoder has attention, so its state must hold a memory")
        steps, rows, _ = hidden.shape
        sources = len(state.memory.values)
        # The rows of a source ask together: its memory is never copied for each of them.
        queries = hidden.unflatten(1, (sources, -1)).permute(1, 0, 2, 3).flatten(1, 2)
        seen = self.attention.look(queries, state.memory)

        def by_step(part: Tensor) -> Tensor:
            return part.unflatten(1, (steps, rows // sources)).transpose(0, 1).flatten(1, 2)

        probabilities = None if seen.probabilities is None else by_step(seen.probabilities)
        return Look(by_step(seen.contexts), by_step(seen.weights), probabilities)


def _decoded(readouts: Tensor, looks: Sequence[Look], after: DecoderState) -> Decoded:
    weights = torch.cat([seen.weights for seen in looks])
    drawn = [seen.probabilities for seen in looks if seen.probabilities is not None]
    coverage = weights.sum(0) if after.coverage is None else after.coverage + weights.sum(0)
    state = replace(after, weights=weights[-1], coverage=coverage)
    return Decoded(readouts, weights, state, torch.cat(drawn) if drawn else None)


def _by_layer(recurrent: State) -> list[State]:
    return [tuple([part[layer] for part in recurrent]) for layer in range(len(recurrent[0]))]


def _by_state(layers: list[State]) -> State:
    return tuple(torch.stack(parts) for parts in zip(*layers, strict=True))
