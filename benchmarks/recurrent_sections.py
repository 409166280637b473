"""The sections of `recurrent.py`: each yields its rows as they are measured."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from recurrent_measuring import Call, Contestant, errors, interleaved
from recurrent_peers import (
    OnnxRuntime,
    Packed,
    PeepholeLoop,
    Step,
    Stepped,
    carrying,
    cell_steps,
    layer_steps,
    onnx_runtime_is_here,
    our_layer,
    our_streaming,
    torch_layer,
)
from recurrent_report import Case, Findings, Row
from recurrent_targets import (
    ERROR_LIMITS,
    GATES,
    NOT_SLOWER,
    OTHER_CELL,
    RAGGED,
    REGULARISATION,
    TIME,
    Shape,
    Target,
    layer_target,
    python_loop_target,
    streaming_target,
)
from rich.console import Console
from torch import Tensor

import throughtime

WORKS = ("train", "inference")
PROBABILITY = 0.25
STORED_WEIGHTS = ("float32", "bfloat16", "int8")
REGULARISATIONS = ("recurrent_dropout", "candidate_dropout", "zoneout", "weight_dropout")


@dataclass(frozen=True)
class Bench:
    """What is measured, and how; ``peaks`` are operations a second by precision."""

    shapes: tuple[Shape, ...]
    odd_shapes: tuple[Shape, ...]
    streaming_sizes: tuple[int, ...]
    layers: tuple[str, ...]
    threads: int
    repeats: int
    least_seconds: float
    compiled: str | None
    peaks: Mapping[str, float]
    console: Console

    def measure(self, contestants: Mapping[str, Call]) -> dict[str, list[float]]:
        """Measure the seconds of a call of each contestant in each round."""
        return interleaved(contestants, repeats=self.repeats, least_seconds=self.least_seconds)

    def work(self, contestants: Mapping[str, Contestant], case: Case) -> dict[str, list[float]]:
        """Measure the contestants in training or inference."""
        inputs, gradient = data(case.shape)
        if case.work == "train":
            return self.measure({name: each.training(inputs, gradient) for name, each in contestants.items()})
        with torch.inference_mode():
            return self.measure({name: each.inference(inputs) for name, each in contestants.items()})

    @property
    def gated(self) -> tuple[str, ...]:
        """The layers that have gates."""
        return tuple(name for name in self.layers if name != "RNN")


def data(shape: Shape) -> tuple[Tensor, Tensor]:
    """Draw inputs, and a gradient of the outputs, that bfloat16 holds exactly."""
    torch.manual_seed(0)
    inputs = torch.randn(TIME, shape.batch, shape.input_size)
    return inputs.bfloat16().float(), torch.randn(TIME, shape.batch, shape.hidden_size).bfloat16().float()


def beside(
    bench: Bench,
    case: Case,
    ours: Contestant,
    peer: Contestant,
    *,
    peer_name: str,
    target: Target | None = None,
    reference: torch.nn.Module | None = None,
) -> Row:
    """Compare in time, and in error with ``reference`` in float64 (the peer, if None) as what is true."""
    inputs, gradient = data(case.shape)
    true = Contestant(copy.deepcopy(reference or peer.module).double())
    our_errors, peer_errors = errors([ours, peer], true, inputs, gradient if case.work == "train" else None)
    seconds = bench.work({"ours": ours, "peer": peer}, case)
    precision = "bfloat16" if ours.autocast else "float32"
    return Row.of(
        case,
        seconds["ours"],
        peer_name,
        seconds["peer"],
        target,
        seconds_at_peak=operations(case) / bench.peaks[precision],
        our_errors=our_errors,
        peer_errors=peer_errors,
        error_limit=ERROR_LIMITS[precision],
        backend=backend_of(ours.module),
    )


def operations(case: Case) -> int:
    """Count the products' floating-point operations in a plain layer's call."""
    batch, input_size, hidden_size = case.shape
    forward = 2 * TIME * batch * GATES[case.layer] * hidden_size * (input_size + hidden_size)
    return 3 * forward if case.work == "train" else forward


def backend_of(layer: torch.nn.Module) -> str | None:
    assert isinstance(layer, throughtime.nn.Recurrent)
    return layer.last_backend


def beside_torch(bench: Bench, case: Case, target: Target | None, *, autocast: bool = False) -> Row:
    ours = our_layer(case.layer, case.shape)
    peer = Contestant(torch_layer(case.layer, ours), autocast)
    return beside(bench, case, Contestant(ours, autocast), peer, peer_name=f"torch.nn.{case.layer}", target=target)


def layers(bench: Bench, section: str = "layers", *, autocast: bool = False) -> Iterator[Row]:
    for layer in bench.layers:
        for work in WORKS:
            for shape in bench.shapes:
                case = Case(section, layer, work, shape)
                yield beside_torch(bench, case, layer_target(*case), autocast=autocast)


def bfloat16(bench: Bench) -> Iterator[Row]:
    known = "bfloat16" in bench.peaks
    batches = replace(bench, shapes=tuple(shape for shape in bench.shapes if known and shape.batch >= 16))
    yield from layers(batches, "bfloat16", autocast=True)


def odd_sizes(bench: Bench) -> Iterator[Row]:
    for layer in bench.gated:
        for work in WORKS:
            for shape in bench.odd_shapes:
                yield beside_torch(bench, Case("odd-sizes", layer, work, shape), NOT_SLOWER)


def cells(bench: Bench) -> Iterator[Row]:
    """Our other cells, and regularisation, beside our plain cell; all of one shape take turns with each other."""
    for layer in bench.gated:
        for shape in bench.shapes:
            options = variants(layer, shape)
            contestants = {name: Contestant(our_layer(layer, shape, **each)) for name, each in options.items()}
            seconds = bench.work(contestants, Case("cells", layer, "train", shape))
            for name in list(options)[1:]:
                target = REGULARISATION if name in REGULARISATIONS else OTHER_CELL
                case = Case("cells", layer, f"train, {name}", shape)
                backend = backend_of(contestants[name].module)
                yield Row.of(case, seconds[name], f"plain {layer}", seconds["plain"], target, backend=backend)


def variants(layer: str, shape: Shape) -> dict[str, dict[str, Any]]:
    """The options of each variant by its name, the plain layer first."""
    others: dict[str, dict[str, Any]] = {
        "GRU": {"reset before": {"reset": "before"}},
        "LSTM": {
            "peephole diagonal": {"peephole": "diagonal"},
            "peephole full": {"peephole": "full"},
            "projection to half": {"proj_size": shape.hidden_size // 2},
        },
    }[layer]
    return {"plain": {}, **others, **{name: {name: PROBABILITY} for name in REGULARISATIONS}}


def ragged(bench: Bench) -> Iterator[Row]:
    """Sequences of different lengths beside our dense batch, by the time of a valid step, and beside torch's layer."""
    for layer in bench.gated:
        for work in WORKS:
            for shape in bench.shapes:
                if shape.batch > 1:
                    yield from ragged_rows(bench, Case("ragged", layer, work, shape))


def ragged_rows(bench: Bench, case: Case) -> Iterator[Row]:
    lengths = torch.randint(TIME // 4, TIME + 1, (case.shape.batch,), generator=torch.Generator().manual_seed(2))
    lengths[0] = TIME
    layer = our_layer(case.layer, case.shape)
    contestants = {
        "ragged": Contestant(layer, arguments={"lengths": lengths}),
        "dense": Contestant(layer),
        "packed": Contestant(Packed(torch_layer(case.layer, layer)), arguments={"lengths": lengths}),
    }
    seconds = bench.work(contestants, case)
    steps_per_valid_step = TIME * case.shape.batch / int(lengths.sum())
    backend = backend_of(layer)
    dense = "ours, dense, a step"
    yield Row.of(case, seconds["ragged"], dense, seconds["dense"], RAGGED, scale=steps_per_valid_step, backend=backend)
    yield Row.of(case, seconds["ragged"], "torch.nn, packed", seconds["packed"], NOT_SLOWER, backend=backend)


def python_loop(bench: Bench) -> Iterator[Row]:
    for shape in bench.shapes if "LSTM" in bench.layers else ():
        ours = our_layer("LSTM", shape, peephole="diagonal")
        loop = PeepholeLoop(ours)
        case, target = Case("python-loop", "LSTM", "train", shape), python_loop_target(shape)
        yield beside(bench, case, Contestant(ours), Contestant(loop), peer_name="Python loop", target=target)
        if bench.compiled:
            torch.compiler.reset()  # or the next shapes would be compiled for all sizes at once, or not at all
            compiled: Any = torch.compile(loop) if bench.compiled == "loop" else PeepholeLoop(ours, compile_step=True)
            seconds = bench.work({"ours": Contestant(ours), "peer": Contestant(compiled)}, case)
            yield Row.of(case, seconds["ours"], f"compiled {bench.compiled}", seconds["peer"], None)


def onnx(bench: Bench) -> Iterator[Row]:
    if not onnx_runtime_is_here():
        bench.console.print("onnx: left out, as ONNX Runtime is not installed (pip install onnx onnxruntime).")
        return
    for layer in bench.gated:
        for shape in bench.shapes:
            ours = our_layer(layer, shape)
            peer = Contestant(OnnxRuntime(layer, ours, TIME, shape.batch, threads=bench.threads))
            case, true = Case("onnx", layer, "inference", shape), torch_layer(layer, ours)
            yield beside(bench, case, Contestant(ours), peer, peer_name="ONNX Runtime", reference=true)


def streaming(bench: Bench) -> Iterator[Row]:
    """Steps at batch 1: each way of ours beside each of torch's, all ways of one size taking turns."""
    for layer in bench.gated:
        for size in bench.streaming_sizes:
            yield from streaming_rows(bench, layer, Shape(1, size, size))


def streaming_rows(bench: Bench, layer: str, shape: Shape) -> Iterator[Row]:
    ours = our_layer(layer, shape)
    theirs = torch_layer(layer, ours)
    streams = {weights: step for weights in STORED_WEIGHTS if (step := our_streaming(ours, weights))}
    our_cell, their_cell = (getattr(module, f"{layer}Cell")(*shape[1:]) for module in (throughtime.nn, torch.nn))
    one = torch.randn(1, shape.input_size)
    ways = {"layer, T = 1": layer_steps(ours), "cell": cell_steps(our_cell)}
    ways.update({f"streaming, {weights}": carrying(step, one) for weights, step in streams.items()})
    peers = {f"{layer}Cell": cell_steps(their_cell), f"{layer}, T = 1": layer_steps(theirs)}
    with torch.inference_mode():
        seconds = bench.measure({**{f"our {way}": call for way, call in ways.items()}, **peers})
    for way in ways:
        weights = way.removeprefix("streaming, ")
        findings = streaming_errors(streams[weights], theirs, shape, weights) if weights in streams else Findings()
        for peer in peers:
            target = streaming_target(shape.hidden_size, weights if weights in streams else "float32", peer)
            case = Case("streaming", layer, way, shape)
            yield Row.of(case, seconds[f"our {way}"], f"torch.nn.{peer}", seconds[peer], target, **findings)


def streaming_errors(step: Step, theirs: torch.nn.Module, shape: Shape, weights: str) -> Findings:
    """The errors over a sequence; what smaller weights lose is shown and not judged."""
    contestants = [Contestant(Stepped(step)), Contestant(theirs)]
    ours, peer = errors(contestants, Contestant(copy.deepcopy(theirs).double()), data(shape)[0], None)
    findings = Findings(our_errors=ours, peer_errors=peer)
    return {**findings, "error_limit": ERROR_LIMITS["float32"]} if weights == "float32" else findings


SECTIONS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "layers": layers,
    "bfloat16": bfloat16,
    "cells": cells,
    "ragged": ragged,
    "python-loop": python_loop,
    "onnx": onnx,
    "streaming": streaming,
    "odd-sizes": odd_sizes,
}
