"""From a source sentence's tokens to what a decoder needs of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from throughtime.cells import State
from throughtime.nn import Embedding, Recurrent
from throughtime.sequence import SequenceBatch


@dataclass(frozen=True)
class Encoding:
    """Encoded sentences.

    Attributes:
        outputs: of the last layer, values of shape (source, batch, directions * hidden_size).
        state: after each sentence's last step, in each direction: a tensor of shape (layers, batch, directions *
            hidden_size) for each of the cell's states.
    """

    outputs: SequenceBatch
    state: State


class Encoder(nn.Module):
    """Embedding and recurrent layers, in one direction or both.

    Args:
        embedding: of the source's tokens.
        cell: a name in CELLS.
        hidden_size: units of each layer in each direction.
        num_layers: how many layers.
        bidirectional: whether each layer reads the sentence from both ends.
        dropout: probability that a unit is dropped after the embedding, between the layers and after the last.

    Raises:
        ArgumentError: for a size below 1 or a probability outside [0, 1].
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: str,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        self.recurrent = Recurrent(
            cell,
            embedding.embedding_dim,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
        )

    @property
    def output_size(self) -> int:
        """Features of an encoded step."""
        return self.recurrent.num_directions * self.recurrent.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Features of each of the final states, of all directions together."""
        return tuple(self.recurrent.num_directions * size for size in self.recurrent.state_sizes)

    def forward(self, source: SequenceBatch) -> Encoding:
        """Encode tokens, values of shape (source, batch), int64."""
        sequence = SequenceBatch(self.dropout(self.embedding(source.values)), source.lengths)
        outputs, state = self.recurrent(sequence)
        parts = (state,) if isinstance(state, Tensor) else state
        directions = self.recurrent.num_directions
        # (layers * directions, batch, size): the directions of a layer stand one behind the other.
        joined = tuple(part.unflatten(0, (-1, directions)).transpose(1, 2).flatten(2) for part in parts)
        return Encoding(SequenceBatch(self.dropout(outputs.values), outputs.lengths), joined)
