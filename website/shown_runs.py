"""Markdown extension: below each block of Python stands what it printed and drew when ``page_runs`` ran it."""

from __future__ import annotations

import re
from typing import Any

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

from page_runs import PYTHON_BLOCK, BlockRun, digest, is_session, kept_runs, python_blocks

BEFORE_FENCES = 40
NOT_RUN = """

!!! warning "This page's code has changed since it was run; `make docs` runs it."
"""


class ShownRuns(Extension):
    """Shows what the blocks of a page left."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: D102, N802 - Markdown's name
        md.preprocessors.register(_ShowRuns(md), "shown_runs", BEFORE_FENCES)


def makeExtension(**options: Any) -> ShownRuns:  # noqa: N802 - Markdown's name
    """Make the extension, for Markdown."""
    return ShownRuns(**options)


class _ShowRuns(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        if not python_blocks(text):
            return lines
        kept = kept_runs().get(digest(text + "\n"))
        if kept is None:
            return (text + NOT_RUN).split("\n")
        runs = iter(enumerate(kept.blocks))

        def with_run(block: re.Match[str]) -> str:
            if is_session(block):
                return block[0]
            number, run = next(runs)
            return block[0] + _shown(run, f"drawn/{kept.page}", number)

        return PYTHON_BLOCK.sub(with_run, text).split("\n")


def _shown(run: BlockRun, folder: str, number: int) -> str:
    parts: list[str] = []
    if run.printed.strip():
        parts.append(f"~~~~ {{ .text .printed }}\n{run.printed.rstrip()}\n~~~~")
    for place, description in enumerate(run.figures):
        file = f"{folder}/{number}-{place}"
        parts.append("".join(f"![{description}]({file}-{own}.svg#only-{own}){{ .drawn }}" for own in ("light", "dark")))
    for name in run.files:
        if name.endswith(".html"):
            parts.append(f'<iframe class="drawn" src="{folder}/{name}" title="{name}" loading="lazy"></iframe>')
        else:
            parts.append(f"![{name}]({folder}/{name}){{ .drawn .on-white }}")
    return "".join(f"\n\n{part}" for part in parts) + ("\n" if parts else "")
