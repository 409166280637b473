"""``throughtime export``: models that leave."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from throughtime.commands.results import print_json
from throughtime.errors import ArgumentError
from throughtime.export.onnx_export import OnnxExport, export_onnx
from throughtime.export.onnx_file import CHECKED_SHAPES
from throughtime.export.onnx_int8 import Int8Figures, measure_int8, quantise
from throughtime.tasks.loading import load
from throughtime.tasks.word2vec_model import Word2Vec


def export(
    model: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    onnx: Annotated[bool, Parameter(negative="")] = False,
    int8: Annotated[bool, Parameter(negative="")] = False,
    json: bool = False,
) -> int:
    """Write a model in another format, and check that it gives the same numbers there.

    Needs throughtime[export].

    Args:
        model: The model folder.
        output: The folder to write.
        onnx: As ONNX: the whole model, and a step of it with its state in and out.
        int8: Beside these, the same in int8, and what that costs on the validation data.
        json: Print the result as JSON.
    """
    if not onnx:
        raise ArgumentError("say which format to write: --onnx")
    loaded = load(model, device="cpu")
    if isinstance(loaded, Word2Vec):
        raise ArgumentError(f"{model}: word vectors are no network; write them with throughtime vectors convert")
    written = export_onnx(loaded, output)
    figures = None
    if int8:
        files = quantise(output)
        written.files.update({path.name: path.stat().st_size for path in files})
        figures = measure_int8(loaded, output)
    if json:
        result: dict[str, object] = {**asdict(written), "folder": str(written.folder)}
        print_json(result if figures is None else {**result, "int8": asdict(figures)})
        return 0
    _print_export(written, figures)
    return 0


def _print_export(written: OnnxExport, figures: Int8Figures | None) -> None:
    console = Console(highlight=False)
    table = Table(title=f"{written.folder}", title_justify="left")
    table.add_column("file")
    table.add_column("size", justify="right")
    table.add_column("largest error", justify="right")
    for name, size in written.files.items():
        error = written.errors.get(name.removesuffix(".onnx"))
        table.add_row(name, _size(size), "" if error is None else f"{error:.1e}")
    shapes = ", ".join(f"{time} x {batch}" for time, batch in CHECKED_SHAPES)
    table.caption = f"checked by onnxruntime at lengths x batch sizes {shapes}"
    console.print(table)
    if figures is not None:
        console.print(
            f"int8: {figures.measure} {figures.int8:.4f}, in float32 {figures.float32:.4f} "
            f"({figures.int8 - figures.float32:+.4f}, over {figures.count:,}); "
            f"{_size(figures.int8_bytes)}, in float32 {_size(figures.float32_bytes)}"
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
