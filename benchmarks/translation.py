"""Claim: an encoder-decoder trains and translates faster than the plainest torch.nn implementation of the same one.

    python benchmarks/translation.py [--vocabulary 8000] [--pairs 64] [--length 15] [--hidden 512] [--beam 5]
        [--repeats 7] [--threads 2] [--bfloat16]

The network: an embedding on each side, a bidirectional LSTM, attention, an LSTM that starts from its final state, and
the target's embedding as the output layer. The peer is torch.nn.LSTM over packed sequences, torch.nn.LSTMCell where the
steps must be taken one by one, and a beam search that keeps every hypothesis until all are done, as tutorials have
them; it has the same weights, and both outputs are compared before anything is timed. They take turns in one process;
a time is the median over --repeats rounds. Sentences are random, of --length / 2 to --length tokens.

Where JoeyNMT is installed its network of the same sizes stands beside ours with input feeding, each with weights of its
own; both search for --length steps.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Callable

import torch
from recurrent_measuring import interleaved
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from translation_peers import JoeyNMT

from throughtime.decoding import Beam, Constraints, beam_search
from throughtime.freed_memory import keep_freed_memory
from throughtime.models import DecoderState, EncoderDecoder
from throughtime.sequence import SequenceBatch
from throughtime.training import autocast

FED = "general attention, input feeding"
FORMS: dict[str, dict[str, object]] = {
    "plain": {"attention": None},
    "general attention": {"attention": "general", "input_feeding": False},
    FED: {"attention": "general", "input_feeding": True},
    "additive attention before the step": {
        "attention": "additive",
        "attention_order": "before",
        "input_feeding": False,
    },
}


class Plainest(nn.Module):
    """The same network from torch.nn's modules, with the other's weights."""

    def __init__(self, ours: EncoderDecoder) -> None:
        super().__init__()
        decoder = ours.decoder
        self.source, self.target, self.output = ours.encoder.embedding, decoder.embedding, decoder.output
        self.encoder = nn.LSTM(self.source.embedding_dim, ours.encoder.recurrent.hidden_size, bidirectional=True)
        self.encoder.load_state_dict(ours.encoder.recurrent.state_dict())
        self.attention, self.mix = decoder.attention, decoder.readout
        self.feeds, self.before = decoder.input_feeding, decoder.attention_order == "before"
        size = decoder.recurrent.hidden_size
        inputs = self.target.embedding_dim + decoder.fed_size
        weights = decoder.recurrent.state_dict()
        self.stepwise = bool(decoder.fed_size)
        if self.stepwise:
            self.cell = nn.LSTMCell(inputs, size)
            self.cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in weights.items()})
        else:
            self.decoder = nn.LSTM(inputs, size)
            self.decoder.load_state_dict(weights)
        self.readout_size = decoder.readout_size

    def encode(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's outputs and its final states, both directions side by side."""
        packed = pack_padded_sequence(self.source(tokens), lengths, enforce_sorted=False)
        packed, (hidden, cell) = self.encoder(packed)
        outputs, _ = pad_packed_sequence(packed)
        return outputs, torch.cat([*hidden], -1), torch.cat([*cell], -1)

    def look(self, query: Tensor, outputs: Tensor, lengths: Tensor) -> Tensor:
        """The contexts of queries (target, batch, feature)."""
        memory = self.attention.memory(SequenceBatch(outputs, lengths))
        return self.attention(query.transpose(0, 1), memory)[0].transpose(0, 1)

    def run(
        self, tokens: Tensor, outputs: Tensor, lengths: Tensor, hidden: Tensor, cell: Tensor, readout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of all steps, and the states and the readout after the last."""
        if not self.stepwise:
            states, (hidden, cell) = self.decoder(self.target(tokens), (hidden.unsqueeze(0), cell.unsqueeze(0)))
            if self.attention is None:
                return self.output(self.mix(states)), hidden[0], cell[0], readout
            context = self.look(states, outputs, lengths)
            return self.output(torch.tanh(self.mix(torch.cat([context, states], -1)))), hidden[0], cell[0], readout
        scores: list[Tensor] = []
        for own in tokens:
            fed = self.look(hidden.unsqueeze(0), outputs, lengths)[0] if self.before else readout
            hidden, cell = self.cell(torch.cat([self.target(own), fed], -1), (hidden, cell))
            context = fed if self.before else self.look(hidden.unsqueeze(0), outputs, lengths)[0]
            readout = torch.tanh(self.mix(torch.cat([context, hidden], -1)))
            scores.append(self.output(readout))
        return torch.stack(scores), hidden, cell, readout

    def forward(self, source: SequenceBatch, target: Tensor) -> Tensor:
        """Scores of what follows each token of a target."""
        outputs, hidden, cell = self.encode(source.values, source.lengths)
        return self.run(
            target, outputs, source.lengths, hidden, cell, hidden.new_zeros(len(hidden), self.readout_size)
        )[0]

    @torch.no_grad()
    def search(self, source: SequenceBatch, end: int, beam: int, longest: int) -> Tensor:
        """The tokens of all hypotheses, (sources * beam, steps)."""
        outputs, hidden, cell = self.encode(source.values, source.lengths)
        sources = len(hidden)
        rows = torch.arange(sources).repeat_interleave(beam)
        outputs, lengths, hidden, cell = outputs[:, rows], source.lengths[rows], hidden[rows], cell[rows]
        readout = hidden.new_zeros(len(rows), self.readout_size)
        totals = torch.full((sources, beam), -torch.inf)
        totals[:, 0] = 0
        written = torch.full((len(rows), 1), end)
        done = torch.zeros(len(rows), dtype=torch.bool)
        for _ in range(longest):
            scores, hidden, cell, readout = self.run(written[:, -1:].t(), outputs, lengths, hidden, cell, readout)
            logs = scores[0].log_softmax(-1)
            logs[done] = -torch.inf
            logs[done, end] = 0
            totals, places = (totals.unsqueeze(-1) + logs.view(sources, beam, -1)).flatten(1).topk(beam)
            origins = (places // logs.shape[-1] + torch.arange(sources).unsqueeze(1) * beam).flatten()
            tokens = (places % logs.shape[-1]).flatten()
            hidden, cell, readout = hidden[origins], cell[origins], readout[origins]
            written = torch.cat([written[origins], tokens.unsqueeze(1)], 1)
            done = done[origins] | (tokens == end)
            if done.all():
                break
        return written


def training_step(network: nn.Module, source: SequenceBatch, target: Tensor, precision: str) -> Callable[[], float]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> float:
        with autocast(precision, torch.device("cpu")):
            scores = network(source, target[:-1])
        loss = functional.cross_entropy(scores.float().flatten(0, 1), target[1:].flatten(), label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def our_search(network: EncoderDecoder, source: SequenceBatch, beam: int, constraints: Constraints) -> object:
    with torch.inference_mode():
        state = network.encode(source)
        return beam_search(
            network.next_step, DecoderState.select, state, Beam(beam), constraints, sources=source.values.shape[1]
        )


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--length", type=int, default=15)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="train with products of bfloat16")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    pairs, length, size = arguments.pairs, arguments.length, arguments.vocabulary
    lengths = torch.randint(length // 2, length + 1, (pairs,)).sort(descending=True).values
    lengths[0] = length
    source = SequenceBatch(torch.randint(size, (length, pairs)), lengths)
    target = torch.randint(size, (length + 1, pairs))
    precision = "bf16" if arguments.bfloat16 else "32"
    table = Table("network", "what", "ours, sentences/s", "theirs, sentences/s", "ratio", title="translation")

    def compare(name: str, what: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        times = interleaved({"ours": ours, "theirs": theirs}, repeats=arguments.repeats, least_seconds=0.5)
        fast, slow = (statistics.median(times[side]) for side in ("ours", "theirs"))
        table.add_row(name, what, f"{pairs / fast:,.0f}", f"{pairs / slow:,.0f}", f"{slow / fast:.2f}")

    for name, options in FORMS.items():
        ours = EncoderDecoder(size, size, hidden_size=arguments.hidden, **options)
        theirs = Plainest(ours)
        with torch.no_grad():
            torch.testing.assert_close(ours(source, target), theirs(source, target), atol=1e-4, rtol=1e-4)
            # Random weights hardly ever end a sentence; now ends are about as frequent as in real text.
            ours.decoder.output.bias[ours.end] += 7.0
        compare(
            f"{name}, torch.nn",
            f"beam {arguments.beam}",
            lambda ours=ours: our_search(ours, source, arguments.beam, Constraints(ours.end, 2 * length)),
            lambda ours=ours, theirs=theirs: theirs.search(source, ours.end, arguments.beam, 2 * length),
        )
        steps = [training_step(network, source, target, precision) for network in (ours, theirs)]
        compare(f"{name}, torch.nn", "training", *steps)
    if importlib.util.find_spec("joeynmt"):
        ours = EncoderDecoder(size, size, hidden_size=arguments.hidden, tied=False, **FORMS[FED])
        joey = JoeyNMT(size, arguments.hidden)
        steps = [training_step(network, source, target, precision) for network in (ours, joey)]
        compare(f"{FED}, JoeyNMT", "training", *steps)
        ours.eval()
        joey.eval()
        # No sentence ends sooner: equally many steps on both sides.
        whole = Constraints(ours.end, length, min_length=length)
        compare(
            f"{FED}, JoeyNMT",
            f"beam {arguments.beam}",
            lambda: our_search(ours, source, arguments.beam, whole),
            lambda: joey.search(source, arguments.beam, length),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
