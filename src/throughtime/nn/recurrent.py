"""Recurrent layers: depth, directions, dropout and every form of input, around any cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, Cell, State, projected
from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_range
from throughtime.nn.dropout import drop_between_layers, drop_locked
from throughtime.nn.frozen_bias import FrozenGateBias, freeze_biases
from throughtime.nn.inference import InferringModule
from throughtime.nn.initialization import draw_weights_, gate_rows, orthogonal_blocks_
from throughtime.nn.input_form import InputForm, Sequences, check_dtype
from throughtime.nn.regularisation import RegularisationOptions, check_regularisation, regularised
from throughtime.recurrence import BACKENDS, Direction, run
from throughtime.recurrence.stack import StackSizes
from throughtime.sequence import SequenceBatch

CANDIDATE = "candidate"
"""The block of a cell's rows that is new content and no gate."""


class LayerOptions(RegularisationOptions, total=False):
    """What every recurrent layer takes by keyword beyond torch.nn's arguments; see ``Recurrent``."""

    locked_dropout: bool
    gradient_clip: float | None
    gate_biases: Mapping[str, float] | None
    freeze_gate_biases: bool
    recurrent_init: Literal["uniform", "orthogonal"]
    backend: str


class RecurrentOptions(LayerOptions, total=False):
    """The options of ``Recurrent``."""

    device: torch.device | str | None
    dtype: torch.dtype | None


class Recurrent(InferringModule):
    """A stack of recurrent layers of any cell in ``throughtime.cells.CELLS``.

    ``RNN``, ``LSTM`` and ``GRU`` are this class under torch.nn's signatures. Parameters have torch.nn's names
    (weight_ih_l{k}, weight_hh_l{k}, bias_ih_l{k}, bias_hh_l{k}, weight_hr_l{k}, then the cell's own, each
    with ``_reverse`` for the second direction), layout and order, and with the same seed the same values.

    Args:
        cell_name: a name in CELLS.
        input_size: features of the input.
        hidden_size: units of a layer.
        num_layers: layers above each other.
        bias: whether the cells have bias_ih and bias_hh.
        batch_first: whether tensors come and go as (batch, time, feature) instead of (time, batch, feature).
        dropout: the probability with which an output of a layer is dropped on its way to the next one.
        bidirectional: whether each layer runs in both directions and concatenates the outputs.
        proj_size: size to which an LSTM's output is projected, less than hidden_size; 0 for none.
        **options: device and dtype, as in torch.nn, and:
            locked_dropout: let ``dropout`` drop the same features at each time step of a sequence (see
                ``LockedDropout``).
            input_dropout, output_dropout: probabilities of locked dropout on the input of the first layer and on the
                outputs of the last (Gal and Ghahramani, 2016); the final state is not dropped from.
            recurrent_dropout: the probability that a unit of h_{t-1} is dropped where it enters the recurrent
                products, one mask for a whole sequence (Gal and Ghahramani, 2016, https://arxiv.org/abs/1512.05287).
            candidate_dropout: the probability that a unit of the candidate is dropped on its way into the state,
                another mask at each step (Semeniuta et al., 2016, https://arxiv.org/abs/1603.05118).
            zoneout: the probability that a unit keeps its value of the step before, one for all states or a tuple of
                one for each, (hidden, cell) in an LSTM; in evaluation the state moves by its expectation (Krueger et
                al., 2016, https://arxiv.org/abs/1606.01305).
            weight_dropout: the probability that an element of weight_hh is dropped, one mask a call for the whole
                batch; the parameter itself stays whole (AWD-LSTM: Merity et al., 2018,
                https://arxiv.org/abs/1708.02182).
            gradient_clip: clip the elements of dL/dh_t to plus and minus this at each step on the way back (Graves,
                2013, https://arxiv.org/abs/1308.0850); None for not.
            gate_biases: the total bias of gates by name, as in ``{"forget": 1.0}``; it stands in bias_ih.
            freeze_gate_biases: keep all gates' biases at their initial or loaded values in training; the
                candidate's bias is trained.
            recurrent_init: "uniform", or "orthogonal": each gate's block of weight_hh (Saxe et al., 2014).
            backend: "auto", "fused", "torch" or "reference"; see ``throughtime.recurrence.run``.

    All dropouts are 0 by default, scale what they keep by 1 / (1 - p), and do nothing in evaluation. Each layer, each
    direction and each call has masks of its own, from torch's generator, the same for every backend.

    Attributes:
        last_backend: the name of the backend that ran in the last call; None before the first.
        hidden_gradients: None, or a list to which each call appends, for each layer and direction, a tensor of shape
            (time, batch, output size) that the backward pass fills with dL/dh_t; see
            ``throughtime.nn.record_gradient_norms``.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.
    """

    weight_ih_l0: Tensor
    input_dropout: float
    output_dropout: float
    recurrent_dropout: float
    candidate_dropout: float
    zoneout: float | tuple[float, ...]
    weight_dropout: float

    def __init__(
        self,
        cell_name: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Unpack[RecurrentOptions],
    ) -> None:
        super().__init__()
        check_choice("cell_name", cell_name, CELLS)
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            check_positive_integer(name, size)
        for name, flag in (("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional)):
            if not isinstance(flag, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ArgumentError(f"`{name}` must be True or False, got {flag!r}")
        check_range("dropout", dropout, low=0, high=1)
        if not isinstance(proj_size, int) or not 0 <= proj_size < hidden_size:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(f"`proj_size` must be an integer from 0 to {hidden_size - 1}, got {proj_size!r}")
        if dropout > 0 and num_layers == 1:
            message = f"`dropout` {dropout} does nothing: it acts between layers, and `num_layers` is 1"
            warnings.warn(message, stacklevel=2 if type(self) is Recurrent else 3)
        self.cell_name = cell_name
        self.mode = cell_name.upper()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.hidden_gradients: list[list[Tensor]] | None = None
        self._build(**options)

    def _build(
        self,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        locked_dropout: bool = False,
        gradient_clip: float | None = None,
        gate_biases: Mapping[str, float] | None = None,
        freeze_gate_biases: bool = False,
        recurrent_init: str = "uniform",
        backend: str = "auto",
        **regularisation: Unpack[RegularisationOptions],
    ) -> None:
        for name, probability in check_regularisation(self.cell, **regularisation).items():
            setattr(self, name, probability)
        gates = [gate for gate in self.cell.gates if gate != CANDIDATE]
        gate_biases = dict(gate_biases or {})
        for option, used in (("gate_biases", bool(gate_biases)), ("freeze_gate_biases", freeze_gate_biases)):
            if used and not (self.bias and gates):
                reason = f"the cell {self.cell_name!r} has no gates" if self.bias else "`bias` is False"
                raise ArgumentError(f"`{option}` has nothing to act on: {reason}")
        for gate, value in gate_biases.items():
            check_choice("gate_biases", gate, gates)
            check_range(f"gate_biases[{gate!r}]", value)
        check_choice("recurrent_init", recurrent_init, ("uniform", "orthogonal"))
        check_choice("backend", backend, ("auto", *BACKENDS))
        if gradient_clip is not None:
            check_range("gradient_clip", gradient_clip, low=0, low_open=True)
        self.locked_dropout = locked_dropout
        self.gradient_clip = gradient_clip
        self.gate_biases = gate_biases
        self.freeze_gate_biases = freeze_gate_biases
        self.recurrent_init = recurrent_init
        self.backend = backend
        self._weight_names: list[dict[str, str]] = []
        for layer in range(self.num_layers):
            for direction in range(self.num_directions):
                shapes, suffix = self._weight_shapes(layer), f"_l{layer}{'_reverse' if direction else ''}"
                self._weight_names.append({name: name + suffix for name in shapes})
                for name, shape in shapes.items():
                    weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(name + suffix, weight)
        self.reset_parameters()
        if freeze_gate_biases:
            freeze_biases(self, gate_rows(self.cell.gates, CANDIDATE, self.hidden_size))

    @property
    def cell(self) -> Cell:
        """The cell that runs: the one of the name, projected where there is a projection."""
        cell = CELLS[self.cell_name]
        return projected(cell) if self.proj_size else cell

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of one direction's output: proj_size where there is a projection, else hidden_size."""
        return self.proj_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The size of each of the cell's states."""
        return self.stack_sizes.state_sizes

    @property
    def stack_sizes(self) -> StackSizes:
        """What the layers are beside their weights."""
        return StackSizes(
            self.cell, self.input_size, self.hidden_size, self.output_size, self.num_layers, self.num_directions
        )

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer and direction, in torch.nn's order."""
        pairs = [(layer, direction) for layer in range(self.num_layers) for direction in range(self.num_directions)]
        return [list(self.weights(*pair).values()) for pair in pairs]

    def weights(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """Collect the weights of one layer and direction by their names without the layer's suffix."""
        weights: dict[str, Tensor] = {}
        for name, own in self._weight_names[layer * self.num_directions + direction].items():
            weight: Any = self._parameters.get(own)
            if weight is None:
                weight = getattr(self, own)
            weights[name] = weight() if isinstance(weight, FrozenGateBias) else weight
        return weights

    def flatten_parameters(self) -> None:
        """Do nothing: torch.nn has this method for the sake of cuDNN, for which each call here lays out the weights."""

    def reset_parameters(self) -> None:
        """Draw the weights that are not frozen anew, uniform within ±1/√hidden_size; apply the options.

        Normalisation begins with gains of 1 and the cell state's bias at 0.
        """
        draw_weights_(self, self.hidden_size)
        for layer in range(self.num_layers):
            for direction in range(self.num_directions):
                weights = self.weights(layer, direction)
                if self.recurrent_init == "orthogonal":
                    orthogonal_blocks_(weights["weight_hh"], len(self.cell.gates))
                for gate, value in self.gate_biases.items():
                    rows = slice(*gate_rows(self.cell.gates, gate, self.hidden_size))
                    with torch.no_grad():  # a frozen bias is a copy here and keeps its value
                        weights["bias_ih"][rows] = value
                        weights["bias_hh"][rows] = 0

    def forward(
        self,
        input: Sequences,  # noqa: A002 - torch's name
        hx: Tensor | State | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Sequences, Tensor | State]:
        """Run the layers over a batch of sequences.

        Args:
            input: a tensor of shape (time, batch, input_size), or (batch, time, input_size) if batch_first,
                or (time, input_size) for one sequence; or a PackedSequence; or a SequenceBatch.
            hx: the initial state, shape (num_layers * directions, batch, size), in the order of the caller's
                batch; a tuple of them for a cell with several states; zeros if None.
            lengths: of the sequences in a padded tensor, shape (batch,), int64 on the CPU, or a list, each from 1 to
                time. What stands after a sequence's end influences nothing, outputs there are zero, and the final
                state is that after each sequence's own last step.
            reset: bool, shape (time, batch), or (batch, time) if batch_first, or (time,) for one sequence: where
                True, the state before that step is zero, in every layer. Each direction resets before it takes the
                step: forward, what came before is forgotten; in reverse, what comes after. Not with a PackedSequence.

        Returns:
            The last layer's outputs in the form of the input, shape (time, batch, directions * output size),
            and the final state in the form of ``hx``.

        Raises:
            ArgumentError: if a shape or dtype does not fit.
            BackendError: if ``backend`` cannot run the cell with these options, or for dropout between layers on MPS.
        """
        if lengths is None and reset is None and self._is_plain:
            form = "batch first" if self.batch_first else "time first"
            found = self._infer(input, (hx,) if isinstance(hx, Tensor) else hx, form)
            if found is not None:
                output, states = found
                return output, states[0] if len(self.cell.states) == 1 else states
        form = InputForm.of(input, input_size=self.input_size, batch_first=self.batch_first, lengths=lengths)
        check_dtype("input", form.sequence.values, self.weight_ih_l0.dtype)
        rows = self.num_layers * self.num_directions
        initial = (
            None if hx is None else form.read_states(hx, self.cell, self.state_sizes, rows, self.weight_ih_l0.dtype)
        )
        reset = None if reset is None else form.read_reset(reset)
        sequence = form.sequence
        if self.hidden_gradients is not None:
            self.hidden_gradients.append([])
        if self.training and self.input_dropout > 0:
            sequence = drop_locked(sequence, self.input_dropout)
        final: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout > 0:
                sequence = drop_between_layers(sequence, self.dropout, locked=self.locked_dropout)
            directions = self.directions(layer, sequence, initial, reset)
            sequence, states, backend = run(self.cell, sequence, directions, backend=self.backend)
            self._set_last_backend(backend)
            final += states
        if self.training and self.output_dropout > 0:
            sequence = drop_locked(sequence, self.output_dropout)
        if len(final) == 1:
            state = tuple(form.give_state(part.unsqueeze(0)) for part in final[0])
        else:
            state = tuple(form.give_state(torch.stack(parts)) for parts in zip(*final, strict=True))
        return form.give_output(sequence), state[0] if len(self.cell.states) == 1 else state

    @property
    def _is_plain(self) -> bool:
        """Whether a call without gradients asks for nothing but the cell's equations."""
        drops = (
            self.dropout or self.input_dropout or self.output_dropout
            or self.recurrent_dropout or self.candidate_dropout or self.weight_dropout
        )  # fmt: skip
        watched = self.zoneout or self.hidden_gradients is not None
        return not watched and not (drops and self.training) and self.backend in {"auto", "fused"}

    def directions(
        self, layer: int, sequence: SequenceBatch, initial: State | None, reset: Tensor | None
    ) -> list[Direction]:
        """What runs over a sequence in one layer, with masks drawn for this call; arguments as ``run`` takes them."""
        time, batch = sequence.values.shape[:2]
        directions: list[Direction] = []
        for reverse in range(self.num_directions):
            row = layer * self.num_directions + reverse
            state = None if initial is None else tuple(part[row] for part in initial)
            direction = Direction(
                self.weights(layer, reverse),
                state,
                reverse=bool(reverse),
                reset=reset,
                gradient_clip=self.gradient_clip,
                hidden_gradient=self._place_of_gradient(sequence.values),
            )
            directions.append(
                regularised(
                    direction,
                    (time, batch),
                    self.state_sizes,
                    training=self.training,
                    recurrent_dropout=self.recurrent_dropout,
                    candidate_dropout=self.candidate_dropout,
                    zoneout=self.zoneout,
                    weight_dropout=self.weight_dropout,
                )
            )
        return directions

    def _place_of_gradient(self, values: Tensor) -> Tensor | None:
        if self.hidden_gradients is None:
            return None
        place = values.new_zeros(*values.shape[:2], self.output_size)
        self.hidden_gradients[-1].append(place)
        return place

    def _weight_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Name the weights of one direction of a layer, and their shapes, in torch.nn's order."""
        rows = len(self.cell.gates) * self.hidden_size
        columns = self.input_size if layer == 0 else self.num_directions * self.output_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, columns),
            "weight_hh": (rows, self.output_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return {**shapes, **self.cell.own_weights(self.hidden_size)}

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr: the sizes, and what is not at its default."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults: dict[str, object] = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
            "proj_size": 0, "locked_dropout": False, "gradient_clip": None, "gate_biases": {},
            "freeze_gate_biases": False, "recurrent_init": "uniform", "backend": "auto", "input_dropout": 0.0,
            "output_dropout": 0.0,
            "recurrent_dropout": 0.0, "candidate_dropout": 0.0, "zoneout": 0.0, "weight_dropout": 0.0,
        }  # fmt: skip
        shown += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(shown)
