"""What is to be said of the recurrent layers of any network: gradient flow, matrices, gates and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from throughtime.data import Pixels
from throughtime.inspection.gate_figures import MOST_STEPS, plot_gates, plot_memory_spans
from throughtime.inspection.gates import Activations, record_gates
from throughtime.inspection.gradient_figures import plot_eigenvalues, plot_gradient_flow, plot_horizons
from throughtime.inspection.memory import memory_spans
from throughtime.inspection.page import Section
from throughtime.inspection.picture_gates import most_varied_units, plot_picture_gates
from throughtime.inspection.recurrent_matrices import recurrent_matrices
from throughtime.nn import ConvolutionalRecurrent, Recurrent
from throughtime.nn.gradient_flow import GradientFlow, gradient_flow
from throughtime.tasks.reading import Reading

Numbers = dict[str, Any]

SHOWN_UNITS = 2


def flow_of(reading: Reading) -> GradientFlow:
    """The gradient flow of what was read."""
    return gradient_flow(reading.layer, reading.inputs, reading.loss, state=reading.state)


def flow_section(
    readings: Sequence[Reading],
    beside: Mapping[str, GradientFlow],
    numbers: Numbers,
    records: Sequence[Mapping[str, Any]] = (),
) -> Section:
    """How far the gradient flows back, for each of the network's layers, and beside other networks.

    Args:
        readings: of the network.
        beside: the gradient flows of other networks, of the same task, by their names.
        numbers: gets what was measured; has the ``model``'s folder.
        records: what the training of the network logged.
    """
    section = Section("Gradient flow")
    section.say(
        "How much of the gradient of the loss at one step is left at the states of the steps before it. What lies "
        "beyond the lag at which it falls below 1 %, the effective horizon, the network can hardly learn from."
    )
    for reading in readings:
        flow = flow_of(reading)
        if len(readings) > 1:
            section.parts.append(f"<h3>{reading.name}</h3>")
        if reading.loss is None:
            section.say("There is no loss at a single step here, so the gradient is that of random directions.")
        section.list(flow.describe())
        rows = reading.inputs.values.shape[1]
        over = f", the mean over {rows} sequences" if rows > 1 else ""
        section.show(
            f"gradient_flow_{reading.name.split()[0]}",
            partial(plot_gradient_flow, flow),
            f"Gradient flow of the {reading.name}{over}.",
        )
        numbers.setdefault("gradient_flow", {})[reading.name] = flow_numbers(flow)
    watched = [record for record in records if record.get("gradient_flow")]
    if len(watched) > 1:
        section.parts.append("<h3>While it was trained</h3>")
        section.show("horizons", partial(plot_horizons, watched), "The effective horizon along the training.")
    if beside:
        flows = {Path(numbers["model"]).name: flow_of(readings[0]), **beside}
        section.parts.append("<h3>Side by side</h3>")
        section.show(
            "gradient_flow_beside",
            partial(plot_gradient_flow, flows),
            "The gradient flow of several networks on the same task.",
        )
        for other, flow in beside.items():
            section.list([f"{other}, {line}" for line in flow.describe()])
        numbers["beside"] = {other: flow_numbers(flow) for other, flow in beside.items()}
    return section


def flow_numbers(flow: GradientFlow) -> list[Numbers]:
    """What a gradient flow comes to, for each layer and direction."""
    rows = zip(flow.names, flow.verdicts(), flow.horizons(), flow.growth(), flow.relative.tolist(), strict=True)
    return [
        {"layer": name, "verdict": verdict, "horizon": horizon, "factor_per_step": growth, "relative_norm": relative}
        for name, verdict, horizon, growth, relative in rows
    ]


def matrices_section(readings: Sequence[Reading], numbers: Numbers) -> Section:
    """Spectral radius and norm of each recurrent matrix."""
    section = Section("Recurrent matrices")
    readings = [reading for reading in readings if isinstance(reading.layer, Recurrent)]
    if not readings:
        section.say(
            "The recurrent weights of this network are convolutions, which are no matrices: they have no eigenvalues "
            "that would say how a state grows or fades. The gradient flow above shows what they do."
        )
        return section
    section.say(
        "By these matrices the state of a step enters the gates of the next. The spectral radius is the magnitude of "
        "the largest eigenvalue, the norm the largest factor by which a vector is stretched. Eigenvalues inside the "
        "circle let a state fade, outside they let it grow, as far as gates and activations let it pass."
    )
    for reading in readings:
        matrices = recurrent_matrices(reading.layer)
        if len(readings) > 1:
            section.parts.append(f"<h3>{reading.name}</h3>")
        section.show(
            f"eigenvalues_{reading.name.split()[0]}",
            partial(plot_eigenvalues, matrices),
            f"Eigenvalues of the recurrent matrices of the {reading.name}, beside the unit circle.",
        )
        rows = [
            (f"layer {one.layer + 1}{', reverse' if one.reverse else ''}", one.gate, one.spectral_radius, one.norm)
            for one in matrices
        ]
        section.table(("layer", "gate", "spectral radius", "norm"), rows)
        numbers.setdefault("recurrent_matrices", {})[reading.name] = [
            {"layer": layer, "gate": gate, "spectral_radius": radius, "norm": norm}
            for layer, gate, radius, norm in rows
        ]
    return section


def recurrent_sections(
    readings: Sequence[Reading],
    beside: Mapping[str, GradientFlow],
    numbers: Numbers,
    records: Sequence[Mapping[str, Any]] = (),
    *,
    shown: Sequence[Reading] | None = None,
    frames: Sequence[Pixels] = (),
) -> list[Section]:
    """All that is to be said of recurrent layers: gradient flow, gates, memory and matrices.

    Args:
        readings: of the network.
        beside: the gradient flows of other networks, of the same task, by their names.
        numbers: gets what was measured.
        records: what the training of the network logged.
        shown: of which the gates are shown; ``readings`` if None.
        frames: that the first row of these reads, where the layers are convolutional.
    """
    gates, activations = gates_section(readings if shown is None else shown, frames=frames)
    memory = memory_section(activations, numbers)
    return [
        flow_section(readings, beside, numbers, records),
        gates,
        *([memory] if memory else []),
        matrices_section(readings, numbers),
    ]


def gates_section(
    readings: Sequence[Reading], *, row: int = 0, frames: Sequence[Pixels] = ()
) -> tuple[Section, dict[str, list[Activations]]]:
    """What every gate and state does while one sequence is read, and the activations by the readings' names."""
    section = Section("Gates and states")
    is_picture = any(isinstance(reading.layer, ConvolutionalRecurrent) for reading in readings)
    section.say(
        "Every gate and state of the units that vary most, as pictures, while these frames were read: a column a "
        "frame. Gates go from 0, closed, to 1, open; candidates and states are blue above zero and orange below."
        if is_picture
        else "Every gate and state while this was read, a line of colour for each of the units that vary most; those "
        "that keep longest stand at the top. Gates go from 0, closed, to 1, open; candidates and states are blue above "
        "zero and orange below."
    )
    found: dict[str, list[Activations]] = {}
    for reading in readings:
        activations = record_gates(reading.layer, reading.inputs, reading.state)
        found[reading.name] = activations
        pieces = reading.pieces[row] if reading.pieces else None
        for one in activations:
            label = one.name if len(readings) == 1 else f"{reading.name}, {one.name}"
            called = label[:1].upper() + label[1:]
            name = f"gates_{label.replace(', ', '_').replace(' ', '_')}"
            if is_picture:
                for unit in most_varied_units(one, row=row)[:SHOWN_UNITS]:
                    draw = partial(plot_picture_gates, one, frames, unit=unit, row=row)
                    section.show(f"{name}_unit_{unit}", draw, f"{called}, unit {unit}.")
                continue
            steps = len(one.row(row).states["hidden"])
            draw = partial(plot_gates, one, pieces, row=row)
            section.show(name, draw, f"{called}, over {min(steps, MOST_STEPS)} steps.")
    return section, found


def memory_section(activations: Mapping[str, Sequence[Activations]], numbers: Numbers) -> Section | None:
    """How long units remember; None where no cell has a gate that tells."""
    spans = [(name, span) for name, own in activations.items() for span in memory_spans(own)]
    if not spans:
        return None
    section = Section("Memory")
    section.say(
        "What a unit holds decays by what its forget gate (in a GRU its update gate) lets stay at each step. The "
        "half-life is the number of steps after which half of it is left."
    )
    section.list([span.describe() if len(activations) == 1 else f"{name}, {span.describe()}" for name, span in spans])
    for name in dict.fromkeys(name for name, _ in spans):
        own = [span for other, span in spans if other == name]
        section.show(
            f"memory_{name.split()[0]}",
            partial(plot_memory_spans, own),
            f"Units of the {name} by the half-life of what they hold.",
        )
    numbers["half_lives"] = {
        name: {span.name: span.half_lives.clamp(max=1e9).tolist() for other, span in spans if other == name}
        for name in dict.fromkeys(name for name, _ in spans)
    }
    return section
