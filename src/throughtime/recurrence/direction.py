"""One direction of a layer: its weights, the state before its first step, and the regularisation of its steps."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from throughtime.cells import State, Weights


@dataclass(frozen=True)
class Direction:
    """What runs over a sequence in one direction, beside the cell.

    Attributes:
        weights: weight_ih, weight_hh, perhaps bias_ih, bias_hh, and the cell's own weights by name.
        state: the state before the first step, each of shape (batch, size); zeros if None.
        reverse: run from the end of each row to its beginning.
        recurrent_dropout: shape (batch, output size), the factor of h_{t-1} in every recurrent product: one mask
            for a whole sequence (Gal and Ghahramani, 2016, https://arxiv.org/abs/1512.05287).
        candidate_dropout: shape (time, batch, hidden_size), the factor of the candidate before it enters the state
            (Semeniuta et al., 2016, https://arxiv.org/abs/1603.05118).
        zoneout: for each state, shape (time, batch, size), the share of the old state that stays: 0 or 1 in
            training, its probability afterwards (Krueger et al., 2016, https://arxiv.org/abs/1606.01305); or None.
        reset: shape (time, batch), bool: where True, the state before the step is zero.
        gradient_clip: elements of dL/dh_t, all paths from h_t together, are clipped to plus and minus this on the way
            back, at each step; the same in all directions of a layer; None for no clipping.
        hidden_gradient: shape (time, batch, output size), where the backward pass writes dL/dh_t, clipped; zeros
            before, and in the padding.
    """

    weights: Weights
    state: State | None = None
    reverse: bool = False
    recurrent_dropout: Tensor | None = None
    candidate_dropout: Tensor | None = None
    zoneout: tuple[Tensor | None, ...] = ()
    reset: Tensor | None = None
    gradient_clip: float | None = None
    hidden_gradient: Tensor | None = None

    @property
    def regularised(self) -> bool:
        """Whether anything but the cell acts on the steps."""
        masks = (self.recurrent_dropout, self.candidate_dropout, self.reset, *self.zoneout)
        return any(mask is not None for mask in masks)

    @property
    def watches_gradients(self) -> bool:
        """Whether dL/dh_t is clipped or written down."""
        return self.gradient_clip is not None or self.hidden_gradient is not None
