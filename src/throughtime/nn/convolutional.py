"""Recurrent layers whose weights are convolutions: sequences of pictures, or of rows of places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict, Unpack

import torch
from torch import Tensor, nn

from throughtime.cells import CELLS, Cell, State
from throughtime.cells.product import MOST_SPACE
from throughtime.errors import ArgumentError, check_choice, check_positive_integer, check_range, check_shape
from throughtime.nn.dropout import drop_locked
from throughtime.nn.initialization import draw_weights_, gate_rows
from throughtime.nn.input_form import check_dtype, lengths_tensor
from throughtime.nn.rnn import GRU_CELLS
from throughtime.recurrence import BACKENDS, Direction, run
from throughtime.sequence import SequenceBatch


class ConvolutionalOptions(TypedDict, total=False):
    """What a convolutional recurrent layer takes by keyword; see ``ConvolutionalRecurrent``."""

    dimensions: int
    gate_biases: Mapping[str, float] | None
    gradient_clip: float | None
    backend: str
    device: torch.device | str | None
    dtype: torch.dtype | None


class _AllOptions(ConvolutionalOptions, total=False):
    frame_size: Required[Sequence[int] | None]


class ConvolutionalRecurrent(nn.Module):
    """A stack of recurrent layers of a cell in ``CELLS`` whose products are convolutions (Shi et al. 2015).

    A state is a picture; each place of it has the units of the cell, which see what is around it in the input and in
    the state before. ``ConvLSTM`` and ``ConvGRU`` are this class. Parameters have the names of ``Recurrent``; weight_ih
    has the shape (gates * hidden_channels, in_channels, *kernel_size), and weight_hh that with hidden_channels.

    Args:
        cell_name: a name in CELLS, of a cell that isn't normalised and whose own weights are one for each unit.
        in_channels: channels of a frame.
        hidden_channels: units of a layer at each place.
        kernel_size: places that a weight sees along each axis, odd; one number for all axes, or one for each. The
            stride is 1, and zeros stand beyond the edges.
        num_layers: layers above each other.
        bias: whether the cells have bias_ih and bias_hh.
        batch_first: whether tensors come and go as (batch, time, channel, ...) instead of (time, batch, channel, ...).
        dropout: the probability with which a channel's place in a sequence is dropped between layers, the same at
            each time step.
        bidirectional: whether each layer runs in both directions and concatenates the outputs.
        **options: device and dtype, and:
            frame_size: of the frames, where a cell's own weights are different at each place; else None.
            dimensions: axes of space, 2 (height, width) or 1, where ``kernel_size`` is one number.
            gate_biases: the total bias of gates by name, as in ``{"forget": 1.0}``; it stands in bias_ih.
            gradient_clip: clip the elements of dL/dh_t to plus and minus this at each step on the way back.
            backend: "auto", "convolution" or "reference"; see ``throughtime.recurrence.run``.

    Attributes:
        last_backend: the name of the backend that ran in the last call; None before the first.
        hidden_gradients: see ``Recurrent``; its tensors have the shape (time, batch, *space, hidden_channels).

    Raises:
        ArgumentError: if an argument has a value that cannot be used.
    """

    weight_ih_l0: Tensor

    def __init__(
        self,
        cell_name: str,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | Sequence[int] = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Unpack[_AllOptions],
    ) -> None:
        super().__init__()
        check_choice("cell_name", cell_name, CELLS)
        sizes = {"in_channels": in_channels, "hidden_channels": hidden_channels, "num_layers": num_layers}
        for name, size in sizes.items():
            check_positive_integer(name, size)
        check_range("dropout", dropout, low=0, high=1)
        self.cell_name = cell_name
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.kernel_size = _kernel_size(kernel_size, options.get("dimensions"))
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        frame_size = options["frame_size"]
        self.frame_size = None if frame_size is None else _frame_size(frame_size, len(self.kernel_size))
        self.gradient_clip = options.get("gradient_clip")
        if self.gradient_clip is not None:
            check_range("gradient_clip", self.gradient_clip, low=0, low_open=True)
        self.backend = options.get("backend", "auto")
        check_choice("backend", self.backend, ("auto", *BACKENDS))
        self.gate_biases = dict(options.get("gate_biases") or {})
        for gate, value in self.gate_biases.items():
            if not bias:
                raise ArgumentError("`gate_biases` has nothing to act on: `bias` is False")
            check_choice("gate_biases", gate, self.cell.gates)
            check_range(f"gate_biases[{gate!r}]", value)
        self.last_backend: str | None = None
        self.hidden_gradients: list[list[Tensor]] | None = None
        self._weight_names: list[dict[str, str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: self.num_directions]:
                shapes = self._weight_shapes(layer)
                self._weight_names.append({name: f"{name}_l{layer}{suffix}" for name in shapes})
                for name, shape in shapes.items():
                    weight = torch.empty(shape, device=options.get("device"), dtype=options.get("dtype"))
                    self.register_parameter(f"{name}_l{layer}{suffix}", nn.Parameter(weight))
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """The cell whose equations run at each place."""
        return CELLS[self.cell_name]

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def weights(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """Collect the weights of one layer and direction by their names without the layer's suffix."""
        names = self._weight_names[layer * self.num_directions + direction]
        return {name: self.get_parameter(own) for name, own in names.items()}

    def reset_parameters(self) -> None:
        """Draw the weights anew, uniform within ±1/√(hidden_channels * places of the kernel); apply the gate biases."""
        draw_weights_(self, self.hidden_channels * math.prod(self.kernel_size))
        for place in range(self.num_layers * self.num_directions):
            weights = self.weights(*divmod(place, self.num_directions))
            for gate, value in self.gate_biases.items():
                rows = slice(*gate_rows(self.cell.gates, gate, self.hidden_channels))
                with torch.no_grad():
                    weights["bias_ih"][rows] = value
                    weights["bias_hh"][rows] = 0

    def forward(
        self,
        input: Tensor,  # noqa: A002 - torch's name
        hx: Tensor | State | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | State]:
        """Run the layers over a batch of sequences of frames.

        Args:
            input: shape (time, batch, in_channels, height, width), or (time, batch, in_channels, width) with one
                axis of space; (batch, time, ...) if batch_first.
            hx: the initial state, shape (num_layers * directions, batch, hidden_channels, height, width); a tuple of
                them for a cell with several states; zeros if None.
            lengths: of the sequences of a padded batch, shape (batch,), int64 on the CPU, or a list, each from 1 to
                time. What stands after a sequence's end influences nothing, outputs there are zero, and the final
                state is that after each sequence's own last step.
            reset: bool, shape (time, batch), or (batch, time) if batch_first: where True, the state before that step
                is zero, in every layer and each direction.

        Returns:
            The last layer's outputs, shape (time, batch, directions * hidden_channels, height, width), or batch first,
            and the final state in the form of ``hx``. In memory the channels come last.

        Raises:
            ArgumentError: if a shape or dtype does not fit.
            BackendError: if ``backend`` cannot run the cell with these options.
        """
        space = ("height", "width")[-len(self.kernel_size) :] if self.frame_size is None else self.frame_size
        first = ("batch", "time") if self.batch_first else ("time", "batch")
        check_shape("input", input.shape, (*first, self.in_channels, *space))
        check_dtype("input", input, self.weight_ih_l0.dtype)
        values = (input.transpose(0, 1) if self.batch_first else input).movedim(2, -1).contiguous()
        if not values.shape[0]:
            raise ArgumentError("`input` must have at least one time step, got none")
        initial = None if hx is None else self.read_states(hx, values.shape)
        if self.hidden_gradients is not None:
            self.hidden_gradients.append([])
        if reset is not None:
            if reset.dtype != torch.bool:
                raise ArgumentError(f"`reset` must be a tensor of torch.bool, got {reset.dtype}")
            check_shape("reset", reset.shape, tuple(input.shape[:2]))
            reset = reset.transpose(0, 1) if self.batch_first else reset
        sequence = SequenceBatch(values, None if lengths is None else lengths_tensor(lengths))
        final: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout > 0:
                sequence = drop_locked(sequence, self.dropout)
            directions = self.directions(layer, sequence, initial, reset)
            sequence, states, self.last_backend = run(self.cell, sequence, directions, backend=self.backend)
            final += states
        state = tuple(torch.stack(parts).movedim(-1, 2) for parts in zip(*final, strict=True))
        output = sequence.values.movedim(-1, 2)
        output = output.transpose(0, 1) if self.batch_first else output
        return output, state[0] if len(state) == 1 else state

    def directions(
        self, layer: int, sequence: SequenceBatch, initial: State | None, reset: Tensor | None
    ) -> list[Direction]:
        """What runs over a sequence in one layer; values and states with their channels last, as ``run`` takes them."""
        return [
            Direction(
                self.weights(layer, reverse),
                None if initial is None else tuple(part[layer * self.num_directions + reverse] for part in initial),
                reverse=bool(reverse),
                reset=reset,
                gradient_clip=self.gradient_clip,
                hidden_gradient=self._place_of_gradient(sequence.values),
            )
            for reverse in range(self.num_directions)
        ]

    def _place_of_gradient(self, values: Tensor) -> Tensor | None:
        if self.hidden_gradients is None:
            return None
        self.hidden_gradients[-1].append(values.new_zeros(*values.shape[:-1], self.hidden_channels))
        return self.hidden_gradients[-1][-1]

    def read_states(self, hx: Tensor | State, shape: torch.Size) -> State:
        """States as ``forward`` takes them, their channels last, for inputs of that shape with their channels last."""
        parts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(parts) != len(self.cell.states):
            names = ", ".join(self.cell.states)
            raise ArgumentError(f"`hx` must hold {len(self.cell.states)} tensors ({names}), got {len(parts)}")
        layers, (batch, *space) = self.num_layers * self.num_directions, shape[1:-1]
        for place, part in enumerate(parts):
            name = "hx" if len(parts) == 1 else f"hx[{place}]"
            check_shape(name, part.shape, (layers, batch, self.hidden_channels, *space))
            check_dtype(name, part, self.weight_ih_l0.dtype)
        return tuple(part.movedim(2, -1).contiguous() for part in parts)

    def _weight_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        hidden, kernel = self.hidden_channels, self.kernel_size
        rows = len(self.cell.gates) * hidden
        columns = self.in_channels if layer == 0 else self.num_directions * hidden
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, columns, *kernel),
            "weight_hh": (rows, hidden, *kernel),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        places = self.frame_size or ()
        own = {name: (*shape[:-1], *places, shape[-1]) for name, shape in self.cell.own_weights(hidden).items()}
        return {**shapes, **own}

    def extra_repr(self) -> str:
        """Describe the settings in the module's repr: the sizes, and what is not at its default."""
        shown = [f"{self.in_channels}, {self.hidden_channels}, kernel_size={self.kernel_size}"]
        defaults: dict[str, object] = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
            "frame_size": None, "gate_biases": {}, "gradient_clip": None, "backend": "auto",
        }  # fmt: skip
        shown += [f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join(shown)


class ConvLSTM(ConvolutionalRecurrent):
    """Convolutional LSTM: Shi et al. (2015), https://arxiv.org/abs/1506.04214.

    Args:
        in_channels: channels of a frame.
        hidden_channels: units of a layer at each place.
        kernel_size: places that a weight sees along each axis, odd.
        num_layers: layers above each other.
        bias: whether there are biases.
        batch_first: whether tensors are (batch, time, channel, ...) instead of (time, batch, channel, ...).
        dropout: probability of dropout between layers.
        bidirectional: whether to run in both directions.
        peephole: whether the gates see the cell state, by the weight ``weight_peephole_l{k}``: one for each channel,
            shape (3, hidden_channels); or with ``frame_size`` one for each channel and place, as in the paper, shape
            (3, height, width, hidden_channels).
        frame_size: height and width of the frames, or their width alone, for peepholes that differ by place.
        **options: see ``ConvolutionalRecurrent``.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.

    >>> layer = ConvLSTM(1, 8, kernel_size=5, num_layers=2, peephole=True)
    >>> output, (hidden, cell) = layer(torch.randn(4, 2, 1, 12, 10))
    >>> output.shape, cell.shape
    (torch.Size([4, 2, 8, 12, 10]), torch.Size([2, 2, 8, 12, 10]))
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | Sequence[int] = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        peephole: bool = False,
        frame_size: Sequence[int] | None = None,
        **options: Unpack[ConvolutionalOptions],
    ) -> None:
        if frame_size is not None and not peephole:
            raise ArgumentError("`frame_size` is that of peepholes which differ by place; give `peephole`, too")
        super().__init__(
            "lstm_peephole_diagonal" if peephole else "lstm",
            in_channels,
            hidden_channels,
            kernel_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            frame_size=frame_size,
            **options,
        )


class ConvGRU(ConvolutionalRecurrent):
    """Convolutional gated recurrent unit: Ballas et al. (2016), https://arxiv.org/abs/1511.06432.

    Args:
        in_channels: channels of a frame.
        hidden_channels: units of a layer at each place.
        kernel_size: places that a weight sees along each axis, odd.
        num_layers: layers above each other.
        bias: whether there are biases.
        batch_first: whether tensors are (batch, time, channel, ...) instead of (time, batch, channel, ...).
        dropout: probability of dropout between layers.
        bidirectional: whether to run in both directions.
        reset: "after" the candidate's recurrent convolution, as in ``GRU``, or "before" it, as in the paper; with
            "after" a step is one convolution of the state, and the faster one.
        **options: see ``ConvolutionalRecurrent``.

    Raises:
        ArgumentError: if an argument has a value that cannot be used.

    >>> output, hidden = ConvGRU(3, 8, dimensions=1, batch_first=True)(torch.randn(2, 4, 3, 20))
    >>> output.shape, hidden.shape
    (torch.Size([2, 4, 8, 20]), torch.Size([1, 2, 8, 20]))
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | Sequence[int] = 3,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset: Literal["after", "before"] = "after",
        **options: Unpack[ConvolutionalOptions],
    ) -> None:
        check_choice("reset", reset, GRU_CELLS)
        super().__init__(
            GRU_CELLS[reset],
            in_channels,
            hidden_channels,
            kernel_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            frame_size=None,
            **options,
        )


def _kernel_size(kernel_size: int | Sequence[int], dimensions: int | None) -> tuple[int, ...]:
    sizes = (kernel_size,) * (dimensions or 2) if isinstance(kernel_size, int) else tuple(kernel_size)
    if not 1 <= len(sizes) <= MOST_SPACE or dimensions not in {None, len(sizes)}:
        raise ArgumentError(f"`kernel_size` must be for 1 or 2 axes, as `dimensions` says, got {kernel_size!r}")
    for size in sizes:
        check_positive_integer("kernel_size", size)
        if not size % 2:
            raise ArgumentError(f"`kernel_size` must be odd, so that a place has as many on each side, got {size}")
    return sizes


def _frame_size(frame_size: Sequence[int], dimensions: int) -> tuple[int, ...]:
    sizes = tuple(frame_size)
    if len(sizes) != dimensions:
        raise ArgumentError(f"`frame_size` must have {dimensions} numbers, as `kernel_size` has axes, got {sizes}")
    for size in sizes:
        check_positive_integer("frame_size", size)
    return sizes
