from __future__ import annotations

import io

import pytest

from throughtime.commands.standard_input import standard_input_lines, standard_input_text
from throughtime.errors import DataError


def test_lines_come_without_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("ein\nö\n\nzwei".encode()), encoding="utf-8"))
    assert list(standard_input_lines()) == ["ein", "ö", "", "zwei"]


def test_bytes_that_are_no_text_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (standard_input_text, lambda: list(standard_input_lines())):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ein\n\xff\n"), encoding="utf-8"))
        with pytest.raises(DataError, match=r"standard input: not utf-8 text \(byte value 0xff\)"):
            read()
