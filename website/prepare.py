"""Write what the site needs beside the pages: what their code drew, the reference of the command line, a font."""

from __future__ import annotations

import re
from pathlib import Path

from mathematics import write_font
from page_runs import DOCS, run_changed_pages
from throughtime.cli import app


def write_command_line(file: Path) -> None:
    """Write a page of all commands and their settings."""
    text = app.generate_docs(heading_level=1, max_heading_level=3)
    text = re.sub(r"^## Table of Contents\n.*?(?=^## )", "", text, count=1, flags=re.DOTALL | re.MULTILINE)
    file.write_text(text.replace("# throughtime", "# The command line", 1), encoding="utf-8")


if __name__ == "__main__":
    write_command_line(DOCS / "reference" / "command_line.md")
    write_font(DOCS / "assets" / "mathematics.woff")
    run_changed_pages()
