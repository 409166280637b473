"""The plainest recurrent network: one cell through time, and a linear layer on what it says at each step."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from throughtime.errors import check_positive_integer
from throughtime.nn import Recurrent


class RecurrentReadout(nn.Module):
    """Recurrent layers over vectors, and a linear layer on their outputs.

    Args:
        cell: a name in CELLS.
        input_size: features of a step.
        hidden_size: units of a layer.
        output_size: numbers that are given at each step.
        num_layers: how many recurrent layers.
        **recurrent_options: more keyword arguments for ``Recurrent``.

    Raises:
        ArgumentError: for a size below 1 or an unknown name.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        num_layers: int = 1,
        **recurrent_options: Any,
    ) -> None:
        super().__init__()
        check_positive_integer("output_size", output_size)
        self.recurrent = Recurrent(cell, input_size, hidden_size, num_layers, **recurrent_options)
        self.output = nn.Linear(hidden_size, output_size)

    def forward(self, values: Tensor) -> Tensor:
        """From shape (time, batch, input_size) to shape (time, batch, output_size)."""
        outputs, _ = self.recurrent(values)
        return self.output(cast("Tensor", outputs))

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The recurrent layers' matrices, which the Muon optimiser may move."""
        return [weight for weight in self.recurrent.parameters() if weight.ndim == 2]
