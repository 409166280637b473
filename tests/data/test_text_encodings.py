from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from throughtime.data import read_text_file
from throughtime.errors import DataError


def test_utf8_is_read_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for content in ("Grüße\r\nund so\n".encode(), codecs.BOM_UTF8 + "Grüße\nund so\n".encode()):
        path.write_bytes(content)
        found = read_text_file(path)
        assert found.text == "Grüße\nund so\n"
        assert found.remark is None
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress("Grüße".encode()))
    assert read_text_file(path).text == "Grüße"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_says_what_it_is(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text.txt").write_bytes("Grüße\n".encode(encoding))
    assert read_text_file(tmp_path / "text.txt").text == "Grüße\n"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (b"one\ncaf\xe9 au lait \x85\n", "windows-1252", "one\ncafé au lait …\n"),
        (b"one\ncaf\xe9 au lait \x81\n", "latin-1", "one\ncafé au lait \x81\n"),
    ],
)
def test_western_encodings_are_recognised_and_told(tmp_path: Path, content: bytes, encoding: str, text: str) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    found = read_text_file(tmp_path / "text.txt")
    assert found.encoding == encoding
    assert found.text == text
    assert found.remark is not None
    assert f"not UTF-8, read as {encoding}; line 2 has 'café au lait" in found.remark
    assert read_text_file(tmp_path / "text.txt", "latin-1").remark is None


def test_damaged_utf8_is_not_taken_for_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("süß\nschön\n".encode() + b"kaputt \xff\n" + "größer\n".encode())
    with pytest.raises(DataError, match=r"text\.txt:3: UTF-8 with damage: byte value 0xff .*; mend the line"):
        read_text_file(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    with pytest.raises(DataError, match=r"picture\.png, byte 0: not utf-8 text"):
        read_text_file(path)
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"):
        read_text_file(tmp_path / "none.txt")
    path = tmp_path / "text.txt.gz"
    path.write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_text_file(path)
    (tmp_path / "ascii.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"not ascii text \(line 1, byte value 0xe9\)"):
        read_text_file(tmp_path / "ascii.txt", "ascii")
