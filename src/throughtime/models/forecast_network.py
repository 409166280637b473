"""The network of a forecaster: at each step of a series, what comes in the steps after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from throughtime.cells import State
from throughtime.errors import check_choice, check_positive_integer, check_range
from throughtime.models.forecast_outputs import ForecastOutput, Locale
from throughtime.nn import Recurrent

READERS = ("recurrent", "feed-forward", "linear")
LEAST_SCALE = 0.05
"""Below this share of a series' usual error of the naive forecast, a window is taken for constant."""
FUTURE_FEATURES = 16


@dataclass(frozen=True)
class Past:
    """What a forecaster reads: one step for each forecast, and the window before the first of them.

    Attributes:
        target: the values, each missing one filled from before, shape (window - 1 + time, batch).
        past: covariates of the same steps, shape (window - 1 + time, batch, past_size).
        future: what is known ahead, at the steps read and ``horizon`` more, shape (time + horizon, batch,
            future_size), beginning with the step of the first forecast.
        static: of each series, shape (batch, static_size).
    """

    target: Tensor
    past: Tensor
    future: Tensor
    static: Tensor

    def to(self, device: torch.device) -> Past:
        """The same on a device."""
        return Past(self.target.to(device), self.past.to(device), self.future.to(device), self.static.to(device))

    def chosen(self, count: int) -> Past:
        """That of the first series alone."""
        return Past(self.target[:, :count], self.past[:, :count], self.future[:, :count], self.static[:count])


@dataclass(frozen=True)
class Forecasts:
    """What it says.

    Attributes:
        scores: shape (time, batch, horizon, output.size).
        locale: level and scale at each step, shape (time, batch).
        state: after the last step, to go on from; None where nothing is carried.
    """

    scores: Tensor
    locale: Locale
    state: Any = None


class ForecastNetwork(nn.Module):
    """Reads a window of past values at each step of a series and forecasts the steps after it.

    What is read is counted from the local level, the mean of the last season, in the local scale, the deviation of the
    window around it, so that the network sees the same whether a series is large or small (Hewamalage et al. 2021,
    https://arxiv.org/abs/1909.00590). The forecast is the sum of

    - a linear map of the window (the highway of LSTNet, Lai et al. 2018, https://arxiv.org/abs/1703.07015);
    - what the reader adds: recurrent layers, whose state goes from step to step, or a feed-forward network on the
      window alone.

    Where there is a reader, training leaves the linear map and the spread around it as they are: least squares and
    cross-validation find better ones than gradients do, and what the reader adds can be taken back.

    The forecasts of all steps come of one pass, each from what lies before it alone.

    Args:
        window: values read at each step.
        horizon: steps that are forecast.
        output: what is said of each.
        season: steps of a season; 1 for none.
        past_size, future_size, static_size: how many covariates there are of each kind.
        reader: "recurrent", "feed-forward", or "linear" for neither.
        cell: a name in CELLS.
        hidden_size: units of a layer of the reader.
        num_layers: of the reader.
        dropout: probability that a unit of the reader is dropped.

    Raises:
        ArgumentError: for a number or a name that cannot be.
    """

    def __init__(  # noqa: PLR0913 - the sizes of all that is read
        self,
        window: int,
        horizon: int,
        output: ForecastOutput,
        *,
        season: int = 1,
        past_size: int = 0,
        future_size: int = 0,
        static_size: int = 0,
        reader: str = "recurrent",
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("window", window), ("horizon", horizon), ("season", season)):
            check_positive_integer(name, value)
        check_choice("reader", reader, READERS)
        check_range("dropout", dropout, low=0, high=1, high_open=True)
        self.window, self.horizon, self.output = window, horizon, output
        self.season = season if season <= window else 1
        self.reader_name = reader
        self.linear = nn.Linear(window, horizon)
        self.spread = nn.Parameter(torch.zeros(horizon, output.size))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.reader = self.head = self.future_in = self.future_state = self.future_out = None
        if reader == "linear":
            return
        for weight in (self.linear.weight, self.linear.bias, self.spread):
            weight.requires_grad_(False)
        if reader == "recurrent":
            size = window + 1 + past_size + future_size + static_size
            self.reader = Recurrent(
                cell, size, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0, locked_dropout=True
            )
        else:
            size = window * (1 + past_size) + 1 + future_size + static_size
            layers: list[nn.Module] = []
            for layer in range(num_layers):
                layers += [nn.Linear(hidden_size if layer else size, hidden_size), nn.ReLU(), nn.Dropout(dropout)]
            self.reader = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, horizon * output.size)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if future_size:
            self.future_in = nn.Linear(future_size, FUTURE_FEATURES)
            self.future_state = nn.Linear(hidden_size, FUTURE_FEATURES)
            self.future_step = nn.Parameter(torch.zeros(horizon, FUTURE_FEATURES))
            nn.init.normal_(self.future_step, std=0.1)
            self.future_out = nn.Linear(FUTURE_FEATURES, output.size)
            nn.init.zeros_(self.future_out.weight)
            nn.init.zeros_(self.future_out.bias)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices that are neither the first nor the last: what the Muon optimiser may move."""
        if self.reader is None:
            return []
        return [weight for weight in self.reader.parameters() if weight.ndim == 2 and min(weight.shape) > 1]

    def windows(self, target: Tensor) -> tuple[Tensor, Locale]:
        """The window before each step in local units, shape (time, batch, window), and level and scale."""
        raw = target.unfold(0, self.window, 1)
        level = raw[..., -self.season :].mean(-1) if self.season > 1 else raw[..., -1]
        centred = raw - level.unsqueeze(-1)
        scale = centred.square().mean(-1).add(LEAST_SCALE**2).sqrt()
        return centred / scale.unsqueeze(-1), Locale(level, scale)

    def forward(self, past: Past, state: State | Tensor | None = None) -> Forecasts:
        """Forecast after each step.

        Args:
            past: see there.
            state: of the reader before the first step; zero if None.
        """
        windows, locale = self.windows(past.target)
        base = self.linear(windows)
        scores = self.spread.expand(*base.shape, -1)
        if self.reader is not None and self.head is not None:
            features = [windows, locale.scale.log().unsqueeze(-1)]
            time = len(windows)
            covariates = past.past
            if self.reader_name == "feed-forward":
                covariates = covariates.unfold(0, self.window, 1).flatten(2)
            else:
                covariates = covariates[self.window - 1 :]
            static = past.static.expand(time, *past.static.shape)
            read = torch.cat([*features, covariates, past.future[:time], static], -1)
            if isinstance(self.reader, Recurrent):
                outputs, state = self.reader(read, state)
                outputs = cast("Tensor", outputs)
            else:
                outputs, state = self.reader(read), None
            outputs = self.dropout(outputs)
            scores = scores + self.head(outputs).unflatten(-1, (self.horizon, -1))
            if self.future_in is not None:
                scores = scores + self._from_future(outputs, past.future)
        scores = torch.cat([base.unsqueeze(-1) + scores[..., :1], scores[..., 1:]], -1)
        return Forecasts(scores, locale, state)

    def _from_future(self, outputs: Tensor, future: Tensor) -> Tensor:
        """What the covariates that are known ahead add, given what has been read: (time, batch, horizon, size)."""
        known: Any = self.future_in(future[1:])  # pyright: ignore[reportOptionalCall]
        ahead = known.unfold(0, self.horizon, 1).movedim(-1, 2)  # (time, batch, horizon, feature)
        state: Tensor = self.future_state(outputs)  # pyright: ignore[reportOptionalCall]
        return self.future_out(relu(ahead + self.future_step + state.unsqueeze(2)))  # pyright: ignore[reportOptionalCall]


class ForecastEnsemble(nn.Module):
    """Forecasters that differ in their weights alone; what they say is averaged.

    Args:
        members: the forecasters.
    """

    def __init__(self, members: Sequence[ForecastNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def first(self) -> ForecastNetwork:
        """One of them, for what they have in common."""
        return cast("ForecastNetwork", self.members[0])

    @property
    def output(self) -> ForecastOutput:
        """What scores mean."""
        return self.first.output

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Those of all members."""
        return [weight for member in self.members for weight in cast("ForecastNetwork", member).hidden_matrices()]

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor, spread: Tensor) -> None:
        """Let all members begin with a linear forecast.

        Args:
            weight: shape (horizon, window).
            bias: shape (horizon,).
            spread: quantiles 0.01 to 0.99 of its errors, in local units, shape (horizon, 99).
        """
        for module in self.members:
            member = cast("ForecastNetwork", module)
            member.linear.weight.copy_(weight)
            member.linear.bias.copy_(bias)
            member.spread.copy_(self.output.start(spread))

    def linear_weights(self) -> dict[str, Tensor]:
        """A copy of the weights of the linear forecast, which all members have in common, by their names."""
        parts = {name: own for name, own in self.first.state_dict().items() if name.startswith(("linear.", "spread"))}
        return {name: own.clone() for name, own in parts.items()}

    def take_linear(self, weights: Mapping[str, Tensor]) -> None:
        """Let all members go on from the linear forecast of other networks of their window, horizon and output."""
        for member in self.members:
            member.load_state_dict(weights, strict=False)

    @torch.no_grad()
    def weigh(self, share: float) -> None:
        """Let the readers add only a share of what they have learned to the linear forecast."""
        for module in self.members:
            member = cast("ForecastNetwork", module)
            for layer in (member.head, member.future_out):
                if layer is not None:
                    layer.weight.mul_(share)
                    layer.bias.mul_(share)

    def forward(self, past: Past, states: Sequence[State | Tensor | None] | None = None) -> Forecasts:
        """The mean of what the members say; the state is that of each."""
        found = [member(past, states[place] if states else None) for place, member in enumerate(self.members)]
        scores = torch.stack([one.scores for one in found]).mean(0)
        return Forecasts(scores, found[0].locale, tuple(one.state for one in found))
