"""Claim: the layers are faster than each peer on the CPU, at the peer's accuracy, by the targets given.

    python benchmarks/recurrent.py [--sections layers bfloat16 cells ragged python-loop onnx streaming odd-sizes]
        [--shapes 32,64,128 ...] [--layers RNN GRU LSTM] [--threads 2] [--repeats 11] [--least-milliseconds 20]
        [--compile [loop|step]] [--json FILE] [--quick]

All through the public layers: allocation, packing and autograd are in the times. Ours and the peer take turns in one
process, each turn lasts at least --least-milliseconds, and a time is the median over --repeats rounds. A shape is
batch,input,hidden, at 100 steps. "train" is forward and backward to all weights and the input, without an optimizer;
"inference" is a call under torch.inference_mode.

    layers       RNN, GRU and LSTM beside torch.nn, float32
    bfloat16     the same under torch.autocast on both sides, where the processor multiplies bfloat16
    cells        our other cells, and dropouts and zoneout of 0.25, beside our plain cell (ratio: ours over plain)
    ragged       lengths uniform in 25..100: the time of a valid step over that of a step of our dense batch; and beside
                 torch.nn's layer on a PackedSequence
    python-loop  an LSTM with peepholes as a Python loop over the steps beside ours; --compile adds it compiled, the
                 whole loop (minutes a shape) or the step
    onnx         inference beside ONNX Runtime, if it is installed
    streaming    a step at batch 1 with the state carried: our layer, cell and streaming interface beside torch.nn's
    odd-sizes    sizes that fill no vector and no tile, beside torch.nn

Errors are the largest difference from float64, relative to the largest value of the tensor; they are too large above
the peer's times 2 (float32) or 1 (bfloat16). "Of peak" is the layer's 2 * time * batch * gates * hidden * (input +
hidden) operations, three times that in training, over those a second of torch.mm in the same precision.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from recurrent_measuring import matrix_product_peak
from recurrent_report import Row, conditions, print_conditions, print_rows, print_summary, write_json
from recurrent_sections import SECTIONS, Bench
from recurrent_targets import GATES, SHAPES, TIME, Shape
from rich.console import Console

ODD_SHAPES = tuple(Shape(batch, size, size) for batch in (3, 17, 50) for size in (37, 100, 300, 650))
STREAMING_SIZES = (64, 256, 512)
WIDTH = 250  # of what is printed into a file


def shape(text: str) -> Shape:
    """Read "batch,input,hidden"."""
    try:
        batch, input_size, hidden_size = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a shape is batch,input,hidden, as in 32,64,128, got {text!r}") from None
    return Shape(batch, input_size, hidden_size)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--shapes", nargs="+", type=shape, help="not of streaming and odd-sizes")
    parser.add_argument("--layers", nargs="+", choices=GATES, default=list(GATES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--least-milliseconds", type=float)
    parser.add_argument("--compile", nargs="?", const="loop", choices=("loop", "step"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="small shapes, 3 rounds, short turns: to try, not to cite")
    return parser.parse_args()


def build_bench(arguments: argparse.Namespace, console: Console) -> Bench:
    quick = arguments.quick
    # Where the processor has no products of bfloat16, torch takes minutes to emulate one.
    precisions = ("float32", "bfloat16") if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ("float32",)
    return Bench(
        shapes=tuple(arguments.shapes or (SHAPES[:2] if quick else SHAPES)),
        odd_shapes=ODD_SHAPES[:2] if quick else ODD_SHAPES,
        streaming_sizes=STREAMING_SIZES[:2] if quick else STREAMING_SIZES,
        layers=tuple(arguments.layers),
        threads=arguments.threads,
        repeats=arguments.repeats or (3 if quick else 11),
        least_seconds=(arguments.least_milliseconds or (2 if quick else 20)) / 1000,
        compiled=arguments.compile,
        peaks={name: matrix_product_peak(getattr(torch, name)) for name in precisions},
        console=console,
    )


def run_section(bench: Bench, name: str, rows: list[Row]) -> None:
    """Measure a section, adding to ``rows``; what there is when it is interrupted is printed."""
    begin = len(rows)
    try:
        with bench.console.status(f"{name}: warming up") as status:
            for row in SECTIONS[name](bench):
                rows.append(row)
                status.update(f"{name}: {row.case.layer} {row.case.work} {row.case.shape} is measured")
    finally:
        if rows[begin:]:
            print_rows(bench.console, name, rows[begin:])
        else:
            bench.console.print(f"{name}: no figures with these shapes and layers on this processor.")


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    bench = build_bench(arguments, console)
    settings = {"steps": TIME, "rounds": bench.repeats, "a turn": f"at least {1000 * bench.least_seconds:g} ms"}
    facts = conditions(bench.peaks, settings)
    print_conditions(console, facts)
    rows: list[Row] = []
    try:
        for name in arguments.sections:
            run_section(bench, name, rows)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if arguments.json:
            write_json(arguments.json, facts, rows)
        print_summary(console, rows)


if __name__ == "__main__":
    main()
