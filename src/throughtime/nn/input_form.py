"""The forms in which a batch of sequences may come to a recurrent layer, and go from it in the same."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from throughtime.cells import Cell, State
from throughtime.errors import ArgumentError, check_shape
from throughtime.sequence import SequenceBatch

Sequences = Tensor | PackedSequence | SequenceBatch


@dataclass(frozen=True)
class InputForm:
    """A layer's input as a SequenceBatch, and what is needed to give outputs and states back in its form.

    Attributes:
        sequence: the input, values of shape (time, batch, input_size). A PackedSequence's rows stay in its
            own order, longest first, so that dropout masks fall as torch's do.
        batched: False where a tensor of shape (time, input_size) came.
        batch_first: True where a tensor of shape (batch, time, input_size) came.
        packed: the PackedSequence, where one came.
        plain: False where a SequenceBatch came.
    """

    sequence: SequenceBatch
    batched: bool = True
    batch_first: bool = False
    packed: PackedSequence | None = None
    plain: bool = True

    @classmethod
    def of(
        cls, sequences: Sequences, *, input_size: int, batch_first: bool, lengths: Tensor | Sequence[int] | None = None
    ) -> InputForm:
        """Read a layer's input, and the ``lengths`` that go with a padded batch in a tensor.

        Raises:
            ArgumentError: if it is none of the three types, its shape does not fit, it has no time steps, or
                ``lengths`` do not fit or do not go with it.
        """
        if lengths is not None and isinstance(sequences, PackedSequence | SequenceBatch):
            raise ArgumentError(f"`lengths` go with a padded tensor; a {type(sequences).__name__} has its own")
        if isinstance(sequences, PackedSequence):
            check_shape("input.data", sequences.data.shape, ("values", input_size))
            in_own_order = PackedSequence(sequences.data, sequences.batch_sizes)
            return cls(SequenceBatch.from_packed(in_own_order), packed=sequences)
        if isinstance(sequences, SequenceBatch):
            check_shape("input.values", sequences.values.shape, ("time", "batch", input_size))
            form = cls(sequences, plain=False)
        elif not isinstance(sequences, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(sequences).__name__
            raise ArgumentError(f"`input` must be a Tensor, a PackedSequence or a SequenceBatch, got a {kind}")
        elif sequences.dim() == 2:
            check_shape("input", sequences.shape, ("time", input_size))
            form = cls(SequenceBatch(sequences.unsqueeze(1)), batched=False)
        elif batch_first:
            check_shape("input", sequences.shape, ("batch", "time", input_size))
            form = cls(SequenceBatch(sequences.transpose(0, 1)), batch_first=True)
        else:
            check_shape("input", sequences.shape, ("time", "batch", input_size))
            form = cls(SequenceBatch(sequences))
        if form.sequence.values.shape[0] == 0:
            raise ArgumentError("`input` must have at least one time step, got none")
        if lengths is None:
            return form
        if not form.batched:
            raise ArgumentError("`lengths` go with a batch, and `input` is one sequence")
        return replace(form, sequence=SequenceBatch(form.sequence.values, lengths_tensor(lengths)))

    def read_reset(self, reset: Tensor) -> Tensor:
        """Bring the caller's resets to shape (time, batch).

        Raises:
            ArgumentError: if type, shape, dtype or device does not fit, or the input is a PackedSequence.
        """
        if self.packed is not None:
            raise ArgumentError("`reset` does not go with a PackedSequence; give a padded tensor and `lengths`")
        if not isinstance(reset, Tensor) or reset.dtype != torch.bool:  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = reset.dtype if isinstance(reset, Tensor) else type(reset).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(f"`reset` must be a tensor of torch.bool, got {kind}")
        values = self.sequence.values
        if reset.device != values.device:
            raise ArgumentError(f"`reset` must be on the input's device, {values.device}, got {reset.device}")
        time, batch = values.shape[:2]
        if not self.batched:
            check_shape("reset", reset.shape, (time,))
            return reset.unsqueeze(1)
        check_shape("reset", reset.shape, (batch, time) if self.batch_first else (time, batch))
        return reset.transpose(0, 1) if self.batch_first else reset

    def read_state(self, name: str, state: Tensor, *, layers: int, size: int) -> Tensor:
        """Bring the caller's initial state to shape (layers, batch, size) in the order of ``sequence``.

        Raises:
            ArgumentError: if its shape or dtype does not fit; ``name`` is what the message calls it.
        """
        batch = self.sequence.values.shape[1]
        check_shape(name, state.shape, (layers, batch, size) if self.batched else (layers, size))
        if not self.batched:
            return state.unsqueeze(1)
        order = None if self.packed is None else self.packed.sorted_indices
        return state if order is None else state.index_select(1, order)

    def read_states(
        self, states: Tensor | State, cell: Cell, sizes: tuple[int, ...], layers: int, dtype: torch.dtype
    ) -> State:
        """Bring the caller's initial states to shape (layers, batch, size), as ``read_state`` does.

        Raises:
            ArgumentError: if their number is not the cell's, or a shape or dtype does not fit.
        """
        parts = (states,) if isinstance(states, Tensor) else tuple(states)
        if len(parts) != len(sizes):
            names = ", ".join(cell.states)
            raise ArgumentError(f"`hx` must hold {len(sizes)} tensors ({names}), got {len(parts)}")
        names = ["hx"] if len(sizes) == 1 else [f"hx[{index}]" for index in range(len(sizes))]
        for name, part in zip(names, parts, strict=True):
            check_dtype(name, part, dtype)
        return tuple(
            self.read_state(name, part, layers=layers, size=size)
            for name, part, size in zip(names, parts, sizes, strict=True)
        )

    def give_state(self, state: Tensor) -> Tensor:
        """Bring a final state of shape (layers, batch, size) to the caller's form and order."""
        if not self.batched:
            return state.squeeze(1)
        order = None if self.packed is None else self.packed.unsorted_indices
        return state if order is None else state.index_select(1, order)

    def give_output(self, output: SequenceBatch) -> Sequences:
        """Bring the layer's output to the form in which its input came."""
        if self.packed is not None:
            in_own_order = PackedSequence(self.packed.data, self.packed.batch_sizes)
            return self.packed._replace(data=output.to_packed(like=in_own_order).data)
        if not self.plain:
            return output
        if not self.batched:
            return output.values.squeeze(1)
        return output.values.transpose(0, 1) if self.batch_first else output.values


def check_dtype(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Raise ArgumentError unless ``value`` has the weights' dtype, or autocast brings the two together."""
    if value.dtype == dtype:
        return
    if not torch.is_autocast_enabled(value.device.type) or torch.float64 in (value.dtype, dtype):
        raise ArgumentError(f"`{name}` must have the dtype of the weights, {dtype}, got {value.dtype}")


def lengths_tensor(lengths: Tensor | Sequence[int]) -> Tensor:
    """Make a tensor of a list of lengths, or raise ArgumentError where they are no integers."""
    if isinstance(lengths, Tensor):
        return lengths
    try:
        return torch.tensor([operator.index(length) for length in lengths], dtype=torch.int64)
    except TypeError as error:
        raise ArgumentError(f"`lengths` must be an int64 tensor or a list of integers, got {lengths!r}") from error
