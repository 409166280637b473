"""The network of a classifier of sequences: vectors in, a score of each class out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.errors import check_positive_integer, check_range
from throughtime.models.classifying_network import ClassifyingNetwork
from throughtime.nn import Convolution, LockedDropout, Pooling, Recurrent
from throughtime.sequence import SequenceBatch


class RecurrentClassifier(ClassifyingNetwork, ABC):
    """Convolution along time, recurrent layers, pooling to one vector, and fully connected layers.

    Each stage but the pooling and the output can be left out. A subclass says how its input becomes vectors.

    Args:
        input_size: features of the vectors.
        num_classes: number of classes.
        channels: filters of each width of the convolution; 0 leaves it out.
        widths: steps that a filter sees.
        cell: a name in CELLS; None leaves the recurrent layers out.
        hidden_size: units of each direction of a recurrent layer.
        num_layers: how many recurrent layers.
        bidirectional: whether they read in both directions.
        pooling: last, max, mean or attention; see ``Pooling``.
        fully_connected: units of a layer between the pooling and the output; 0 leaves it out.
        dropout: probability that a feature is dropped after the convolution and between recurrent layers, the same
            along a sequence (locked), and before each fully connected layer.
        **recurrent_options: more keyword arguments for ``Recurrent``.

    Raises:
        ArgumentError: for a size below 1, an unknown name, or a probability outside [0, 1).
    """

    def __init__(  # noqa: PLR0913 - a choice for each stage
        self,
        input_size: int,
        num_classes: int,
        *,
        channels: int = 0,
        widths: Sequence[int] = (3,),
        cell: str | None = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "max",
        fully_connected: int = 0,
        dropout: float = 0.5,
        **recurrent_options: Any,
    ) -> None:
        super().__init__()
        check_positive_integer("num_classes", num_classes)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        self.num_classes = num_classes
        self.dropout = LockedDropout(dropout)
        self.convolution = Convolution(input_size, channels, widths) if channels else None
        size = input_size if self.convolution is None else self.convolution.output_size
        self.recurrent = (
            Recurrent(
                cell,
                size,
                hidden_size,
                num_layers,
                dropout=dropout if num_layers > 1 else 0.0,
                locked_dropout=True,
                bidirectional=bidirectional,
                **recurrent_options,
            )
            if cell
            else None
        )
        if self.recurrent is not None:
            size = self.recurrent.num_directions * self.recurrent.output_size
        self.pooling = Pooling(pooling, size, bidirectional=bidirectional and self.recurrent is not None)
        self.hidden = nn.Linear(size, fully_connected) if fully_connected else None
        self.vector_dropout = nn.Dropout(dropout)
        self.output = nn.Linear(fully_connected or size, num_classes)

    @abstractmethod
    def vectors(self, values: Tensor) -> Tensor:
        """What stands for the steps: shape (time, batch, input_size), from values of shape (time, batch, ...)."""

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither embedding nor output: what the Muon optimiser may move."""
        inner = [module for module in (self.recurrent, self.hidden, self.pooling) if module is not None]
        return [
            weight for module in inner for weight in module.parameters() if weight.ndim == 2 and min(weight.shape) > 1
        ]

    def states(self, inputs: SequenceBatch) -> SequenceBatch:
        """What is pooled: a vector for each step, shape (time, batch, feature)."""
        sequence = SequenceBatch(self.vectors(inputs.values), inputs.lengths)
        if self.convolution is not None:
            found = self.convolution(sequence)
            sequence = self.dropout(SequenceBatch(relu(found.values), found.lengths))
        if self.recurrent is not None:
            outputs, _ = self.recurrent(sequence)
            sequence = cast("SequenceBatch", outputs)
        return sequence

    def encode(self, inputs: SequenceBatch) -> Tensor:
        """One vector for each sequence, shape (batch, feature)."""
        return self.pooling(self.states(inputs))

    def forward(self, inputs: SequenceBatch) -> Tensor:
        """Scores of shape (batch, num_classes) for values of shape (time, batch, ...).

        They are unnormalised log-probabilities of the classes, or, where each class is there or not, log-odds.
        """
        vector = self.vector_dropout(self.encode(inputs))
        if self.hidden is not None:
            vector = self.vector_dropout(relu(self.hidden(vector)))
        return self.output(vector)
