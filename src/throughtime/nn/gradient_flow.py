"""How far back in time a gradient flows: dL_t/dh_{t-k} against the lag k.

Bengio, Simard and Frasconi (1994), https://doi.org/10.1109/72.279181, and Pascanu, Mikolov and Bengio (2013),
https://arxiv.org/abs/1211.5063, show why it vanishes or explodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from throughtime.cells import State
from throughtime.nn.convolutional import ConvolutionalRecurrent
from throughtime.nn.gradient_norms import record_gradient_norms
from throughtime.nn.recurrent import Recurrent
from throughtime.sequence import SequenceBatch

StepLoss = Callable[[Tensor, Tensor], Tensor]
"""``loss(outputs, steps)``: from the last layer's outputs at one step of each row, shape (batch, features), and which
steps these are, shape (batch,), int64, to a loss for each row, shape (batch,)."""

RecurrentLayer = Recurrent | ConvolutionalRecurrent
"""A layer that gradients flow back through."""

THRESHOLD = 0.01
"""The share of the gradient below which a step is taken to be out of reach."""

Verdict = Literal["vanishes", "explodes", "reaches"]


@dataclass(frozen=True)
class GradientFlow:
    """How large a loss's gradient is at the steps before it.

    Attributes:
        norms: shape (num_layers * directions, lags, batch), float64: the 2-norm of dL_t/dh_{t-k} of each layer and
            direction (forward, then reverse) for lag k = 0, 1, ...; in a reverse direction of dL_t/dh_{t+k}. All paths
            count, those through the layers above as well. NaN where a row has no step so far back.
        directions: of each layer, 1 or 2.
    """

    norms: Tensor
    directions: int = 1

    @property
    def mean(self) -> Tensor:
        """The mean norm over the rows, shape (num_layers * directions, lags)."""
        return self.norms.nanmean(-1)

    @property
    def relative(self) -> Tensor:
        """The mean norm as a share of that at lag 0 of the same rows, shape (num_layers * directions, lags).

        Zero where there is none.
        """
        beginning = self.norms[:, :1].where(~self.norms.isnan(), 0).sum(-1)
        return (self.norms.nansum(-1) / beginning).nan_to_num(0.0, posinf=math.inf)

    @property
    def names(self) -> list[str]:
        """What each row is called: its layer from 1, and its direction where there are two."""
        rows = range(len(self.norms))
        if self.directions == 1:
            return [f"layer {row + 1}" for row in rows]
        return [f"layer {row // 2 + 1}, {('forward', 'reverse')[row % 2]}" for row in rows]

    def horizons(self, threshold: float = THRESHOLD) -> list[int | None]:
        """The effective horizon of each row: the first lag at which the relative norm is below ``threshold``.

        None where it is nowhere below, among the lags that were looked at.
        """
        below = self.relative < threshold
        return [int(row.int().argmax()) if bool(row.any()) else None for row in below]

    def growth(self) -> list[float]:
        """The factor per step of each row: exp of the slope of log norm against lag, by least squares.

        From lag 1 on, as the step from lag 0 to 1 has no recurrence behind it but the output's; lags at which nothing
        is left but rounding (below 1e-30 of the beginning) don't count. NaN where fewer than two are left.
        """
        return [_growth(row) for row in self.relative.tolist()]

    def verdicts(self) -> list[Verdict]:
        """Whether the gradient of each row vanishes within the lags, explodes, or reaches the last of them."""
        found: list[Verdict] = []
        for relative, growth, horizon in zip(self.relative, self.growth(), self.horizons(), strict=True):
            explodes = growth > 1 and float(relative.max()) > 1 and float(relative[-1]) > float(relative[0])
            found.append("explodes" if explodes else "reaches" if horizon is None else "vanishes")
        return found

    def describe(self) -> list[str]:
        """What is to be said of each row, in words."""
        lines: list[str] = []
        rows = zip(self.names, self.verdicts(), self.growth(), self.horizons(), self.relative, strict=True)
        for name, verdict, growth, horizon, relative in rows:
            left = f"{_percent(float(relative[-1]))} of it is left at lag {len(relative) - 1}"
            if verdict == "explodes":
                times = math.log(2) / math.log(growth)
                lines.append(f"{name}: the gradient explodes; it doubles every {_steps(times)}, and {left}.")
            elif verdict == "vanishes":
                rate = "" if not growth < 1 else f"; it halves every {_steps(-math.log(2) / math.log(growth))}"
                lines.append(f"{name}: the gradient vanishes: below 1 % after {horizon} steps{rate}.")
            else:
                lines.append(f"{name}: the gradient reaches back over all steps that were looked at: {left}.")
        return lines


@torch.inference_mode(mode=False)
def gradient_flow(
    layer: RecurrentLayer,
    inputs: Tensor | SequenceBatch,
    loss: StepLoss | None = None,
    *,
    state: State | None = None,
    seed: int = 0,
) -> GradientFlow:
    """Measure how the gradient of a loss at one step comes back to the hidden states of the steps before it.

    Each row gives one loss: at its last step, so that its lags are all steps of the row; for reverse directions at its
    first. Dropout and clipping are off. Nothing is left behind in the parameters' gradients.

    Args:
        layer: fresh or trained; ``throughtime.nn.from_torch`` makes one of torch.nn's.
        inputs: what it reads, shape (time, batch, input_size), or (time, batch, channel, ...) of a convolutional layer.
        loss: of the outputs at a step; by default their product with a random direction, which shows what the layer
            does to gradients of any loss.
        state: before the first step, each of shape (num_layers * directions, batch, size).
        seed: of the random directions.

    >>> layer = Recurrent("rnn_tanh", 3, 16)
    >>> flow = gradient_flow(layer, torch.randn(40, 8, 3))
    >>> flow.relative.shape, flow.verdicts()
    (torch.Size([1, 40]), ['vanishes'])
    """
    sequence = inputs if isinstance(inputs, SequenceBatch) else SequenceBatch(inputs)
    time, batch = sequence.values.shape[:2]
    device = sequence.values.device
    lengths = torch.full((batch,), time) if sequence.lengths is None else sequence.lengths
    lengths = lengths.to(device, copy=True)  # tensors of the caller's may be of inference mode
    directions = layer.num_directions
    if loss is None:
        generator = torch.Generator().manual_seed(seed)
        is_picture = isinstance(layer, ConvolutionalRecurrent)
        size = layer.hidden_channels * math.prod(sequence.values.shape[3:]) if is_picture else layer.output_size
        probes = torch.randn(batch, directions * size, generator=generator, dtype=torch.float64)
        probes = torch.nn.functional.normalize(probes, dim=-1).to(device, sequence.values.dtype)
        loss = lambda outputs, _: (outputs.flatten(1) * probes).sum(-1)  # noqa: E731
    steps = torch.arange(time, device=device).unsqueeze(1)
    rows: list[Tensor] = []
    for direction in range(directions):
        last = torch.zeros_like(lengths) if direction else lengths - 1
        norms = _norms(layer, sequence, loss, last, state)[direction::directions]
        # From steps to lags; a row ends where its lags do.
        index = steps if direction else lengths - 1 - steps
        lags = norms.gather(1, index.clamp(min=0).expand(len(norms), time, batch))
        rows.append(lags.masked_fill(steps >= lengths, math.nan))
    return GradientFlow(torch.stack(rows, dim=1).flatten(0, 1), directions)


def _norms(
    layer: RecurrentLayer, sequence: SequenceBatch, loss: StepLoss, steps: Tensor, state: State | None
) -> Tensor:
    """Norms of shape (num_layers * directions, time, batch), float64, of the loss at these steps."""
    with torch.enable_grad(), _undisturbed(layer):
        values = sequence.values.clone().detach().requires_grad_()
        initial = None if state is None else tuple(part.clone().detach() for part in state)
        hx = initial[0] if initial is not None and len(initial) == 1 else initial
        with record_gradient_norms(layer) as norms:
            if isinstance(layer, ConvolutionalRecurrent):
                outputs = _through(layer, values, hx, sequence.lengths)
            else:
                outputs = cast("SequenceBatch", layer(SequenceBatch(values, sequence.lengths), hx)[0]).values
            read = outputs[steps, torch.arange(len(steps), device=steps.device)]
            torch.autograd.grad(loss(read, steps).sum(), values)
        return norms[""][0].double()


def _through(
    layer: ConvolutionalRecurrent, values: Tensor, state: Tensor | State | None, lengths: Tensor | None
) -> Tensor:
    """Outputs (time, batch, ...) for values (time, batch, ...), however the layer wants them."""
    given = values.transpose(0, 1) if layer.batch_first else values
    outputs, _ = layer(given, state, lengths=lengths)
    return outputs.transpose(0, 1) if layer.batch_first else outputs


@contextmanager
def _undisturbed(layer: RecurrentLayer) -> Generator[None]:
    training, clip = layer.training, layer.gradient_clip
    layer.gradient_clip = None
    layer.eval()
    try:
        yield
    finally:
        layer.gradient_clip = clip
        layer.train(training)


def _growth(relative: list[float]) -> float:
    points = [(lag, math.log(share)) for lag, share in enumerate(relative) if lag and 1e-30 < share < math.inf]
    if len(points) < 2:
        return math.nan
    mean_lag = sum(lag for lag, _ in points) / len(points)
    mean_log = sum(log for _, log in points) / len(points)
    spread = sum((lag - mean_lag) ** 2 for lag, _ in points)
    return math.exp(sum((lag - mean_lag) * (log - mean_log) for lag, log in points) / spread)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if 0.1 <= share < 10 else f"{100 * share:.2g} %"


def _steps(count: float) -> str:
    return f"{count:.1f} steps" if count < 10 else f"{count:,.0f} steps"
