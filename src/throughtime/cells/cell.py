"""What a recurrent cell is: the contract between its equations and the loop that runs them through time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

State = tuple[Tensor, ...]
"""The state of a layer between two steps, one tensor of shape (batch, size) for each of ``Cell.states``."""

Weights = Mapping[str, Tensor]
"""Tensors by name without the layer's suffix: weight_ih, weight_hh, bias_ih, bias_hh and the cell's own."""


@dataclass(frozen=True)
class Step:
    """What one step of a cell returns.

    Attributes:
        state: the new state, in the order of ``Cell.states``.
        gates: the activated gates, each of shape (batch, hidden_size), in the order of ``Cell.gates``.
    """

    state: State
    gates: tuple[Tensor, ...]


@dataclass(frozen=True)
class StepDropout:
    """The dropout masks of one step, each holding 0 or 1 / (1 - p); None where nothing is dropped.

    Attributes:
        hidden: shape (batch, output size), for h_{t-1} where it enters a recurrent product.
        candidate: shape (batch, hidden_size), for the candidate where it enters the state.
    """

    hidden: Tensor | None = None
    candidate: Tensor | None = None

    def of_hidden(self, hidden: Tensor) -> Tensor:
        """Drop from h_{t-1}."""
        return hidden if self.hidden is None else hidden * self.hidden

    def of_candidate(self, candidate: Tensor) -> Tensor:
        """Drop from the candidate."""
        return candidate if self.candidate is None else candidate * self.candidate


NO_DROPOUT = StepDropout()

StepFunction = Callable[..., Step]
"""``step(input_gates, recurrent_gates, state, weights, dropout=NO_DROPOUT)``, the equations of one time step.

``input_gates``: W_ih x_t + b_ih, shape (batch, gates * hidden_size).
``recurrent_gates``: W_hh h_{t-1} + b_hh for the gates in ``Cell.recurrent_gates``, shape
(batch, recurrent gates * hidden_size). The two come apart so that a cell can gate one and not the other.
A product that needs a value from inside the step (the reset state of the original GRU, the new cell
state of a peephole) is taken in the step, from ``weights``. ``recurrent_gates`` are taken of the dropped h_{t-1}
already; the loop passes ``dropout`` only where there is some, so that a cell without it is complete.
"""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: its gates, its states and the equations of one step.

    Padding, direction, depth and dropout wrap a cell and never live in it.

    Attributes:
        name: the name under which CELLS lists it.
        gates: the blocks of ``hidden_size`` rows in weight_ih, weight_hh and the biases, in order;
            torch.nn's order where torch has the cell. The block named "candidate" is the new content, the
            others are gates.
        states: the names of the states; the first is the output, "hidden".
        step: the equations.
        recurrent_gates: the leading gates whose recurrent product the time loop takes before the step; all
            by default.
        own_weights: the shapes of the weights beyond torch's four, by name, for a given hidden_size.
        normalised: where what weight_ih and weight_hh give is normalised (see ``normalisation.py``), the number of
            gates in each group that is normalised together. Names of own weights then begin with ``norm_``.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    step: StepFunction
    recurrent_gates: tuple[str, ...] = ()
    own_weights: Callable[[int], Mapping[str, tuple[int, ...]]] = lambda _: {}
    normalised: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.recurrent_gates:
            object.__setattr__(self, "recurrent_gates", self.gates)
