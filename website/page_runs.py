"""A page's Python, run from top to bottom, and what it printed and drew, kept in ``docs/drawn`` for the site."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import shutil
import tempfile
from contextlib import chdir, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from papers import described, on_both, saved_figures, white_paper

DOCS = Path(__file__).parent.parent / "docs"
DRAWN = DOCS / "drawn"
PYTHON_BLOCK = re.compile(r"^```python(?: [^\n]*)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN_ENDINGS = (".png", ".svg", ".gif", ".html")
SAVED_ENDINGS = (".png", ".svg")


@dataclass
class BlockRun:
    """What a block left.

    Attributes:
        printed: its standard output.
        figures: what each figure shows that stood as an expression in it or was saved; the n-th is drawn in
            ``{block}-{n}-light.svg`` and ``{block}-{n}-dark.svg``.
        files: names of the pictures and pages that it wrote.
    """

    printed: str = ""
    figures: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])


@dataclass
class PageRun:
    """What the blocks of a page left; ``page`` is its name and that of the folder of its files."""

    page: str
    blocks: list[BlockRun]


def is_session(block: re.Match[str]) -> bool:
    """Whether a block of Python is a session (>>>), which doctest runs."""
    return block[1].startswith(">>>")


def python_blocks(text: str) -> list[tuple[int, str]]:
    """The blocks of a page that are run, and how many lines stand before each."""
    blocks = (block for block in PYTHON_BLOCK.finditer(text) if not is_session(block))
    return [(text.count("\n", 0, block.start(1)), block[1]) for block in blocks]


def kept_runs() -> dict[str, PageRun]:
    """What is kept of all pages, by the digest of their code."""
    found = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(DRAWN.glob("*/runs.json")))
    return {run["code"]: PageRun(run["page"], [BlockRun(**block) for block in run["blocks"]]) for run in found}


def digest(text: str) -> str:
    """What a page's code is known by: as long as it stays, the words around it may change."""
    return hashlib.sha256("\0".join(source for _, source in python_blocks(text)).encode()).hexdigest()


def run_page(page: Path, working: Path) -> None:
    """Run the blocks of a page in an empty folder, and keep what they leave."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    text, results = page.read_text(encoding="utf-8"), DRAWN / page.stem
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    runs: list[BlockRun] = []
    with chdir(working), white_paper():
        for number, (line, source) in enumerate(python_blocks(text)):
            before = _files(working)
            printed = io.StringIO()
            with redirect_stdout(printed), saved_figures() as saved:
                figures = _run(source, page, line, names)
            figures += [figure for figure in dict.fromkeys(saved) if figure not in figures]
            run = BlockRun(printed.getvalue(), [described(figure) for figure in figures])
            for place, figure in enumerate(figures):
                for paper, svg in zip(("light", "dark"), on_both(figure), strict=True):
                    (results / f"{number}-{place}-{paper}.svg").write_bytes(svg)
            for file in sorted(_files(working) - before):
                if saved and file.suffix in SAVED_ENDINGS:
                    continue  # one of the figures
                kept = f"{number}-{file.name}"
                shutil.copy(file, results / kept)
                run.files.append(kept)
            runs.append(run)
    kept = {"code": digest(text), **asdict(PageRun(page.stem, runs))}
    (results / "runs.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if path.suffix in SHOWN_ENDINGS}


def _run(source: str, page: Path, line: int, names: dict[str, Any]) -> list[Figure]:
    """Run a block, and give each figure that stands as an expression in it, as notebooks show them."""
    figures: list[Figure] = []
    for statement in ast.parse("\n" * line + source, str(page)).body:
        if isinstance(statement, ast.Expr):
            code = compile(ast.Expression(statement.value), str(page), "eval", dont_inherit=True)
            value = eval(code, names)  # noqa: S307 - the page is ours
            if isinstance(value, Figure):
                figures.append(value)
        else:
            code = compile(ast.Module([statement], []), str(page), "exec", dont_inherit=True)
            exec(code, names)  # noqa: S102 - as above
    return figures


def run_changed_pages() -> None:
    """Run the pages whose code has changed since it was run."""
    known = kept_runs()
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if python_blocks(text) and digest(text) not in known:
            with tempfile.TemporaryDirectory() as folder:
                run_page(page, Path(folder))
