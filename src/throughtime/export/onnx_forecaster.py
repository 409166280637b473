"""A forecaster in ONNX: from values of series, in their own units, to forecasts in these units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from throughtime.export.onnx_file import Arrays, OnnxFile, arrays
from throughtime.export.onnx_graph import OnnxGraph
from throughtime.export.onnx_layers import END, last_of, linear, part, state_inputs, state_outputs
from throughtime.export.onnx_recurrent import add_recurrent
from throughtime.models.forecast_network import LEAST_SCALE, ForecastEnsemble, ForecastNetwork, Past
from throughtime.models.forecast_outputs import (
    INVERSE_SOFTPLUS_OF_ONE,
    LEAST_DEVIATION,
    ForecastOutput,
    Locale,
    NegativeBinomialOutput,
    NormalOutput,
    QuantileOutput,
    StudentTOutput,
)
from throughtime.nn import Recurrent

DOUBLE, FLOAT = 11, 1
COVARIATES = ("past_covariates", "future_covariates", "static_covariates")


def forecaster_files(
    network: ForecastEnsemble,
    sizes: tuple[int, int, int] = (0, 0, 0),
    *,
    is_positive: bool = False,
    is_logarithmic: bool = False,
) -> list[OnnxFile]:
    """The files of a forecaster; a step where its network carries a state.

    Args:
        network: in evaluation mode.
        sizes: how many past, future and static covariates it reads.
        is_positive: whether no forecast is below zero.
        is_logarithmic: whether the network reads and forecasts the values' logarithms.
    """
    generator = torch.Generator().manual_seed(0)
    window, horizon = network.first.window, network.first.horizon

    def drawn(time: int, batch: int) -> tuple[Past, Tensor, Tensor, Arrays]:
        """Series of some size, what the network reads of them, and the same as inputs."""
        size = 0.1 if is_logarithmic else 50.0
        unit = (torch.rand(batch, generator=generator, dtype=torch.float64) + 0.02) * size
        offset = torch.randn(batch, generator=generator, dtype=torch.float64) * 2 * size
        past_size, future_size, static_size = sizes
        read = window - 1 + time
        past = Past(
            torch.randn(read, batch, generator=generator),
            torch.randn(read, batch, past_size, generator=generator),
            torch.randn(time + horizon, batch, future_size, generator=generator),
            torch.randn(batch, static_size, generator=generator),
        )
        values = past.target.double() * unit + offset
        given = {"values": values.exp() if is_logarithmic else values, "offset": offset, "unit": unit}
        covariates = zip(COVARIATES, (past.past, past.future, past.static), strict=True)
        given |= {name: values for name, values in covariates if values.shape[-1]}
        return past, offset, unit, arrays(**given)

    def expected(past: Past, offset: Tensor, unit: Tensor, states: Any = None) -> Arrays:
        found = network(past, states)
        said = _said(network.output, found.scores[-1], found.locale.at(-1), offset, unit, is_positive, is_logarithmic)
        return arrays(**said, **_named(network, found.state, "_n"))

    @torch.no_grad()
    def whole(time: int, batch: int) -> tuple[Arrays, Arrays]:
        past, offset, unit, inputs = drawn(time, batch)
        return inputs, expected(past, offset, unit)

    @torch.no_grad()
    def step(time: int, batch: int) -> tuple[Arrays, Arrays]:
        before = network(drawn(time, batch)[0]).state
        past, offset, unit, inputs = drawn(1, batch)
        return {**inputs, **arrays(**_named(network, before))}, expected(past, offset, unit, before)

    graph = partial(forecaster_graph, network, sizes, is_positive=is_positive, is_logarithmic=is_logarithmic)
    files = [OnnxFile("model", graph(), whole)]
    if isinstance(network.first.reader, Recurrent):
        files.append(OnnxFile("step", graph(goes_on=True), step))
    return files


def forecaster_graph(
    network: ForecastEnsemble,
    sizes: tuple[int, int, int],
    *,
    is_positive: bool,
    is_logarithmic: bool,
    goes_on: bool = False,
) -> Any:
    """From series to what is forecast after the last of their values.

    ``values`` (steps, batch), float64, at least as many as a window has; ``offset`` and ``unit`` (batch,), float64, of
    the series or of their logarithms; with covariates ``past_covariates`` (steps, batch, size), ``future_covariates``
    (steps - window + 1 + horizon, batch, size), from the window's last step on, and ``static_covariates`` (batch,
    size). They give ``point`` (batch, horizon), float64, and, by the output, ``quantiles`` (batch, horizon, quantiles),
    or the parameters of a distribution; and the states after the last value, as ``hidden_n`` and perhaps ``cell_n``.

    Args:
        network: the forecaster.
        sizes: how many past, future and static covariates it reads.
        is_positive: whether no forecast is below zero.
        is_logarithmic: whether the network reads and forecasts the values' logarithms.
        goes_on: whether the states before the first step are inputs; zeros else.
    """
    graph, first = OnnxGraph(), network.first
    values = graph.input("values", "DOUBLE", ["steps", "batch"])
    offset, unit = (graph.input(name, "DOUBLE", ["batch"]) for name in ("offset", "unit"))
    shapes: list[list[int | str]] = [["steps", "batch"], ["known", "batch"], ["batch"]]
    covariates = [
        graph.input(name, "FLOAT", [*shape, size]) if size else None
        for name, shape, size in zip(COVARIATES, shapes, sizes, strict=True)
    ]
    measured = graph.op("Log", values) if is_logarithmic else values
    scaled = graph.op("Cast", graph.op("Div", graph.op("Sub", measured, offset), unit), to=FLOAT)
    windows = _Windows.of(graph, first, scaled)
    count = len(network.members)
    reader = first.reader if isinstance(first.reader, Recurrent) else None
    initial = state_inputs(graph, reader, count) if goes_on and reader is not None else None
    scores: list[str] = []
    finals: list[list[str]] = []
    for place, member in enumerate(network.members):
        write = _Member(graph, cast("ForecastNetwork", member), windows, covariates, f"member_{place}.")
        own = None
        if initial is not None and reader is not None:
            rows = place * reader.num_layers, (place + 1) * reader.num_layers
            own = [part(graph, state, *rows) for state in initial]
        scores.append(write.scores(own))
        finals.append(write.finals)
    mean = scores[0] if count == 1 else graph.op("Mean", *scores)
    _Said(graph, network.output, windows, offset, unit, is_positive, is_logarithmic).write(mean, first.horizon)
    if reader is not None:
        joined = [graph.op("Concat", *parts, axis=0) for parts in zip(*finals, strict=True)]
        state_outputs(graph, reader, joined, count)
    return graph.model("forecaster")


@dataclass(frozen=True)
class _Windows:
    """Names of what is known of the window before each step.

    Attributes:
        all_of: the windows in local units, (time, batch, window).
        last: the last of them, (batch, window).
        log_scale: of each, (time, batch, 1).
        level, scale: of the last, (batch, 1).
        time: how many there are, (1,).
    """

    all_of: str
    last: str
    log_scale: str
    level: str
    scale: str
    time: str

    @classmethod
    def of(cls, graph: OnnxGraph, network: ForecastNetwork, scaled: str) -> _Windows:
        window, season = network.window, network.season
        steps = graph.op("Shape", scaled, start=0, end=1)
        time = graph.op("Sub", steps, graph.integers(window - 1))
        zero, one = (graph.op("Squeeze", graph.integers(value), graph.integers(0)) for value in (0, 1))
        begins = graph.op("Range", zero, graph.op("Squeeze", time, graph.integers(0)), one)
        within = graph.weight("within", np.arange(window, dtype=np.int64))
        places = graph.op("Add", graph.op("Unsqueeze", begins, graph.integers(1)), within)
        raw = graph.op("Transpose", graph.op("Gather", scaled, places, axis=0), perm=[0, 2, 1])
        recent = part(graph, raw, -season, END, 2)
        level = graph.op("ReduceMean", recent, axes=[-1], keepdims=1) if season > 1 else recent
        centred = graph.op("Sub", raw, level)
        squares = graph.op("ReduceMean", graph.op("Mul", centred, centred), axes=[-1], keepdims=1)
        scale = graph.op("Sqrt", graph.op("Add", squares, graph.number(LEAST_SCALE**2)))
        local = graph.op("Div", centred, scale)
        ends = [last_of(graph, own) for own in (local, level, scale)]
        return cls(local, ends[0], graph.op("Log", scale), ends[1], ends[2], time)


class _Member:
    """One network of an ensemble, whose weights' names begin with ``prefix``."""

    def __init__(
        self,
        graph: OnnxGraph,
        network: ForecastNetwork,
        windows: _Windows,
        covariates: list[str | None],
        prefix: str,
    ) -> None:
        self.graph, self.network, self.windows, self.prefix = graph, network, windows, prefix
        self.past, self.future, self.static = covariates
        self.finals: list[str] = []

    def scores(self, initial: list[str] | None) -> str:
        """The scores of the last step, (batch, horizon, output.size)."""
        graph, network = self.graph, self.network
        base = linear(graph, network.linear, self.windows.last, f"{self.prefix}linear")
        spread = graph.weight(f"{self.prefix}spread", network.spread)
        base = graph.op("Unsqueeze", base, graph.integers(2))
        size = network.output.size
        # The point is added to the first of a step's scores alone.
        first = graph.op("Pad", base, graph.integers(0, 0, 0, 0, 0, size - 1))
        scores = graph.op("Add", first, spread)
        if network.reader is None or network.head is None:
            return scores
        outputs = self._recurrent(network.reader, initial) if isinstance(network.reader, Recurrent) else self._forward()
        said = linear(graph, network.head, outputs, f"{self.prefix}head")
        scores = graph.op("Add", scores, graph.op("Reshape", said, graph.integers(0, network.horizon, size)))
        return scores if self.future is None else graph.op("Add", scores, self._from_future(outputs))

    def _recurrent(self, reader: Recurrent, initial: list[str] | None) -> str:
        graph, network = self.graph, self.network
        read = [self.windows.all_of, self.windows.log_scale]
        if self.past is not None:
            read.append(part(graph, self.past, network.window - 1, END))
        if self.future is not None:
            read.append(part(graph, self.future, 0, -network.horizon))
        if self.static is not None:
            shape = graph.op("Concat", self.windows.time, graph.integers(1, 1), axis=0)
            read.append(graph.op("Expand", graph.op("Unsqueeze", self.static, graph.integers(0)), shape))
        values = graph.op("Concat", *read, axis=-1)
        outputs, self.finals = add_recurrent(graph, reader, values, initial=initial, prefix=f"{self.prefix}reader.")
        return last_of(graph, outputs)

    def _forward(self) -> str:
        """The feed-forward reader of the last window."""
        graph, network = self.graph, self.network
        read = [self.windows.last, last_of(graph, self.windows.log_scale)]
        if self.past is not None:
            recent = graph.op("Transpose", part(graph, self.past, -network.window, END), perm=[1, 2, 0])
            read.append(graph.op("Reshape", recent, graph.integers(0, -1)))
        if self.future is not None:
            present = part(graph, self.future, -network.horizon - 1, -network.horizon)
            read.append(graph.op("Squeeze", present, graph.integers(0)))
        if self.static is not None:
            read.append(self.static)
        values = graph.op("Concat", *read, axis=-1)
        for place, layer in enumerate(cast("nn.Sequential", network.reader)):
            if isinstance(layer, nn.Linear):
                values = linear(graph, layer, values, f"{self.prefix}reader.{place}")
            elif isinstance(layer, nn.ReLU):
                values = graph.op("Relu", values)
        return values

    def _from_future(self, outputs: str) -> str:
        """What the covariates that are known ahead add."""
        graph, network, prefix = self.graph, self.network, self.prefix
        future_in, future_state, future_out = network.future_in, network.future_state, network.future_out
        assert self.future is not None and future_in and future_state and future_out  # noqa: S101, PT018 - it reads them
        ahead = graph.op("Transpose", part(graph, self.future, -network.horizon, END), perm=[1, 0, 2])
        known = linear(graph, future_in, ahead, f"{prefix}future_in")
        state = linear(graph, future_state, outputs, f"{prefix}future_state")
        step = graph.weight(f"{prefix}future_step", network.future_step)
        total = graph.op("Add", graph.op("Add", known, step), graph.op("Unsqueeze", state, graph.integers(1)))
        return linear(graph, future_out, graph.op("Relu", total), f"{prefix}future_out")


class _Said:
    """What scores mean, in the series' own units."""

    def __init__(
        self,
        graph: OnnxGraph,
        output: ForecastOutput,
        windows: _Windows,
        offset: str,
        unit: str,
        is_positive: bool,
        is_logarithmic: bool,
    ) -> None:
        self.graph, self.output, self.windows = graph, output, windows
        self.offset, self.unit = (graph.op("Unsqueeze", own, graph.integers(1)) for own in (offset, unit))
        self.is_positive, self.is_logarithmic = is_positive, is_logarithmic

    def write(self, scores: str, horizon: int) -> None:
        """Write the outputs for scores of shape (batch, horizon, output.size)."""
        graph, windows = self.graph, self.windows
        columns = self._columns(scores)
        point = graph.op("Add", windows.level, graph.op("Mul", windows.scale, columns[0]))
        if isinstance(self.output, NegativeBinomialOutput):
            width = graph.op("Mul", graph.number(0.01), windows.scale)
            smooth = graph.op("Mul", width, graph.op("Softplus", graph.op("Div", point, width)))
            point = graph.op("Add", smooth, graph.op("Mul", graph.number(LEAST_DEVIATION), width))
        self._restored(point, "point", ["batch", horizon])
        if isinstance(self.output, QuantileOutput) and self.output.size > 1:
            self._quantiles(scores, self.output, horizon)
        elif isinstance(self.output, NegativeBinomialOutput):
            dispersion = graph.op("Add", graph.op("Softplus", columns[1]), graph.number(LEAST_DEVIATION))
            self._given(graph.op("Cast", dispersion, to=DOUBLE), "dispersion", horizon)
        elif isinstance(self.output, NormalOutput | StudentTOutput):
            deviation = graph.op("Softplus", graph.op("Add", columns[1], graph.number(INVERSE_SOFTPLUS_OF_ONE)))
            deviation = graph.op("Add", deviation, graph.number(LEAST_DEVIATION))
            deviation = graph.op("Cast", graph.op("Mul", windows.scale, deviation), to=DOUBLE)
            self._given(graph.op("Mul", deviation, self.unit), "scale", horizon)
        if isinstance(self.output, StudentTOutput):
            freedom = graph.op("Softplus", graph.op("Add", columns[2], graph.number(3.0)))
            freedom = graph.op("Add", freedom, graph.number(2.0))
            self._given(graph.op("Cast", freedom, to=DOUBLE), "freedom", horizon)

    def _columns(self, scores: str) -> list[str]:
        graph, size = self.graph, self.output.size
        columns = graph.ops("Split", [scores, graph.integers(*[1] * size)], size, axis=2) if size > 1 else [scores]
        return [graph.op("Squeeze", own, graph.integers(2)) for own in columns]

    def _quantiles(self, scores: str, output: QuantileOutput, horizon: int) -> None:
        """The median and what lies between it and each quantile, by one product with a matrix of zeros and ones."""
        graph = self.graph
        steps = graph.op("Softplus", part(graph, scores, 1, END, 2))
        reach = np.zeros((output.size - 1, output.size), dtype=np.float32)
        for quantile in range(output.middle):
            reach[: output.middle - quantile, quantile] = -1
        for quantile in range(output.middle + 1, output.size):
            reach[output.middle : quantile, quantile] = 1
        found = graph.op("MatMul", steps, graph.weight("reach", reach))
        found = graph.op("Add", part(graph, scores, 0, 1, 2), found)
        level, scale = (
            graph.op("Unsqueeze", own, graph.integers(2)) for own in (self.windows.level, self.windows.scale)
        )
        self._restored(
            graph.op("Add", level, graph.op("Mul", scale, found)), "quantiles", ["batch", horizon, output.size]
        )

    def _restored(self, values: str, name: str, shape: list[int | str]) -> None:
        graph = self.graph
        unit, offset = self.unit, self.offset
        if len(shape) == 3:
            unit, offset = (graph.op("Unsqueeze", own, graph.integers(2)) for own in (unit, offset))
        found = graph.op("Add", graph.op("Mul", graph.op("Cast", values, to=DOUBLE), unit), offset)
        if self.is_logarithmic:
            found = graph.op("Exp", found)
        least = np.array(0.0 if self.is_positive else -np.finfo(np.float64).max)
        graph.op("Max", found, graph.weight("lowest", least), name=name)
        graph.output(name, "DOUBLE", shape)

    def _given(self, values: str, name: str, horizon: int) -> None:
        self.graph.op("Identity", values, name=name)
        self.graph.output(name, "DOUBLE", ["batch", horizon])


def _said(
    output: ForecastOutput,
    scores: Tensor,
    locale: Locale,
    offset: Tensor,
    unit: Tensor,
    is_positive: bool,
    is_logarithmic: bool,
) -> dict[str, Tensor]:
    """What the graph is to say, by the output itself."""
    lowest = 0.0 if is_positive else -torch.inf

    def restored(values: Tensor) -> Tensor:
        beside = (-1, *[1] * (values.ndim - 1))
        found = values.double() * unit.reshape(beside) + offset.reshape(beside)
        return (found.exp() if is_logarithmic else found).clamp_min(lowest)

    found = {"point": restored(output.point(scores, locale))}
    if isinstance(output, QuantileOutput) and output.size > 1:
        found["quantiles"] = restored(output.values(scores, locale))
    if isinstance(output, NormalOutput):
        found["scale"] = output.distribution(scores, locale).scale.double() * unit.unsqueeze(1)
    if isinstance(output, StudentTOutput):
        distribution: Any = output.distribution(scores, locale)
        found |= {"scale": distribution.scale.double() * unit.unsqueeze(1), "freedom": distribution.df.double()}
    if isinstance(output, NegativeBinomialOutput):
        found["dispersion"] = 1 / output.distribution(scores, locale).total_count.double()
    return found


def _named(network: ForecastEnsemble, states: Any, suffix: str = "") -> dict[str, Tensor]:
    """The states of all members, one after the other on the first axis."""
    reader = network.first.reader
    if not isinstance(reader, Recurrent):
        return {}
    by_member = [(own,) if isinstance(own, Tensor) else own for own in states]
    joined = [torch.cat(parts) for parts in zip(*by_member, strict=True)]
    return {f"{name}{suffix}": own for name, own in zip(reader.cell.states, joined, strict=True)}
