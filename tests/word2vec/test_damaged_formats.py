from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughtime.errors import DataError
from throughtime.word2vec import table, text_formats
from throughtime.word2vec.vectors import WordVectors

TEXT = [
    (b"", "is empty"),
    (b"\n", "is not a file of word vectors"),
    (b"hello world\n", "is not a file of word vectors"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a file of word vectors"),
    (b"-3 2\nthe 1 2\n", ":1: promises -3 words of 2 numbers, so it holds no vectors"),
    (b"0 2\n", ":1: promises 0 words"),
    (b"3 0\nthe\n", ":1: promises 3 words of 0 numbers"),
    (b"1000000000000 300\nthe 1 2\n", ":1: promises 1,000,000,000,000 words of 300 numbers, which take at least"),
    (b"1 1000000000000\nthe 1 2\n", ":1: promises vectors of 1,000,000,000,000 numbers, at most 1,048,576"),
    (b"9" * 30 + b" 2\nthe 1 2\n", ":1: promises 999,999,999|:2: ends after 1 of the 999"),
    (b"3 2\nthe 1 2\nof 3 4 a\nlast 1 2\n", ":3: has 3 numbers after 'of', must have 2"),
    (b"3 2\nthe 1 2\nof 3 4\na 5", ":4: has 1 numbers after 'a', must have 2"),
    (b"3 2\nthe 1 2\nofof 3.1 4.1\n", ":3: ends after 2 of the 3 words that its first line names"),
    (b"1 2\nthe 1 2\nof 3 4\n", ":3: goes on after the 1 words that its first line names"),
    (b"2 2\nthe 1 2\n\nof 3 4\n", ":3: has nothing, must have 2"),
    (b"2 2\nthe 1 2\nof 3 x4\n", ":3: 'x4' is not a number"),
    (b"2 2\nthe 1 2\nof 3 1_0\n", ":3: '1_0' is not a number"),
    (b"2 3\nthe 1 2 3\nof 1-2  3\n", ":3: has 2 numbers after 'of', must have 3"),
    (b"2 2\nthe 1 2\nof 3 nan\n", ":3: 'nan' is not a finite number of 32 bits"),
    (b"2 2\nthe 1 2\nof -inf 3\n", ":3: '-inf' is not a finite number of 32 bits"),
    (b"2 2\nthe 1 2\nof 1e39 3\n", ":3: '1e39' is not a finite number of 32 bits"),
    (b"2 2\nthe 1 2\nthe 3 4\n", ":3: the word 'the' comes twice, first as line 2"),
    (b"2 2\nthe 1 2\nof\xff 3 4\n", r":3: the word b'of\\xff' is not UTF-8 text"),
    (b"the 1 2\nof 3\n", ":2: has 1 numbers after 'of', must have 2"),
    (b"the 1 2\nof 3 4 5\n", ":2: has 3 numbers after 'of', must have 2"),
    (b"the 1 2\nof 3 4\nthe 5 6\n", ":3: the word 'the' comes twice, first as line 1"),
    (b"0.1\t0.2\n0.3\t0.4\n", "is a table of numbers alone; the words must stand beside it in x.*_metadata.tsv"),
]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "message"), TEXT)
def test_text_that_cannot_be_read_is_told_by_its_line(
    content: bytes, message: str, compressed: bool, tmp_path: Path
) -> None:
    if compressed and "take at least" in message:
        message = ":[23]: "  # it can't be told beforehand, but no memory is taken either
    path = tmp_path / "x.txt"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(DataError, match=message) as caught:
        WordVectors.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


BINARY = [
    (b"2 3\nthe " + bytes(12) + b"of " + bytes(11), "promises|ends within word 2 of the 2"),
    (b"2 3\nthe " + bytes(12) + b"ofofof " + bytes(8), "ends within word 2 of the 2 that its first line names"),
    (b"1 3\nthe " + bytes(12) + b"of " + bytes(12), "goes on after the 1 words that its first line names"),
    (b"2 3\nthe " + bytes(12) + b"the " + bytes(12), "word 2: the word 'the' comes twice, first as word 1"),
    (b"2 3\nthe " + bytes(12) + b"\xff " + bytes(12), r"word 2: the word b'\\xff' is not UTF-8 text"),
    (b"1 3\nthe " + struct.pack("<3f", 0, np.nan, 0), "word 1: number 2 of 'the' is nan, not finite"),
    (b"1 3\nthe " + struct.pack("<3f", 0, 0, -np.inf), "word 1: number 3 of 'the' is -inf, not finite"),
    (b"1 3\nthe" + bytes(1 << 17), "byte 4: no word ends within 65,536 bytes"),
    (b"1000000000000 300\nthe " + bytes(1200), ":1: promises 1,000,000,000,000 words|ends within word 2"),
    (b"1 1000000000000\nthe " + bytes(1200), ":1: promises vectors of 1,000,000,000,000 numbers"),
]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "message"), BINARY)
def test_binary_that_cannot_be_read_is_told_by_its_word(
    content: bytes, message: str, compressed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(DataError, match=message) as caught:
        WordVectors.load(path)
    assert "\n" not in str(caught.value)


def test_a_cut_or_damaged_gzip_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    WordVectors([f"w{row}" for row in range(9999)], np.random.default_rng(0).standard_normal((9999, 9))).save(path)
    content = path.read_bytes()
    for damaged in (content[:-9], content[:5000] + b"x" * 99 + content[5099:], content[:12]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            WordVectors.load(path, "word2vec-text")


def test_a_line_without_end_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "LINE_BYTES", 1000)
    monkeypatch.setattr(table, "BLOCK_BYTES", 100)
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"the " + b"1 " * 10_000))
    with pytest.raises(DataError, match="has a line of more than 16 MiB"):
        WordVectors.load(path)


def safetensors_file(header: Any, content: bytes = bytes(100)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entries(**changes: Any) -> dict[str, Any]:
    return {
        "vectors": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "words": {"dtype": "U8", "shape": [3], "data_offsets": [24, 27]},
        **changes,
    }


DATA = bytes(24) + b"a\nb" + bytes(16)
SAFETENSORS = [
    (safetensors_file(b"{")[:9], "not a safetensors file, or was cut short|header is not JSON"),
    ((10**12).to_bytes(8, "little") + b"{}", "not a safetensors file, or was cut short within its header"),
    (safetensors_file(b"{nonsense}"), "its header is not JSON"),
    (safetensors_file(b"{" + b"[" * 100_000), "its header is not JSON"),
    (safetensors_file({}), "holds no word vectors: there is no tensor 'vectors' among nothing"),
    (safetensors_file({"weight": {}}), "there is no tensor 'vectors' among 'weight'"),
    (safetensors_file({"vectors": 3}), "the header's entry for 'vectors' is damaged"),
    (safetensors_file({"vectors": {"dtype": "F32"}}), "the header's entry for 'vectors' is damaged"),
    (
        safetensors_file(entries(vectors={"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]}), DATA),
        "the tensor 'vectors' is 'F64', must be 'F32'",
    ),
    (
        safetensors_file(entries(vectors={"dtype": "F32", "shape": [10**12, 3], "data_offsets": [0, 24]}), DATA),
        "the header's entry for 'vectors' is damaged: shape and place don't fit",
    ),
    (
        safetensors_file(entries(vectors={"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]}), DATA),
        "the header's entry for 'vectors' is damaged",
    ),
    (
        safetensors_file(entries(vectors={"dtype": "F32", "shape": [2.0, 3], "data_offsets": [0, 24]}), DATA),
        "the header's entry for 'vectors' is damaged",
    ),
    (
        safetensors_file(entries(vectors={"dtype": "F32", "shape": [10, 3], "data_offsets": [0, 120]}), DATA),
        "the tensor 'vectors' ends at byte .*: it was cut short",
    ),
    (
        safetensors_file(entries(vectors={"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}), DATA),
        r"`vectors` has shape \(0, 3\), must be \(words, feature\)",
    ),
    (
        safetensors_file(entries(words={"dtype": "U8", "shape": [1], "data_offsets": [24, 25]}), DATA),
        "has 1 words, but 2 vectors",
    ),
    (safetensors_file(entries(), bytes(24) + b"a\na"), "the word 'a' comes twice"),
    (safetensors_file(entries(), bytes(24) + b"a\n\xff"), r"`words` is not UTF-8 text \(at its byte 2\)"),
    (
        safetensors_file(
            entries(counts={"dtype": "I64", "shape": [2], "data_offsets": [27, 43]}), bytes(24) + b"a\nb" + b"\xff" * 16
        ),
        "`counts` must be 2 numbers that are not negative",
    ),
    (
        safetensors_file(entries(counts={"dtype": "I64", "shape": [1], "data_offsets": [27, 35]}), DATA),
        "`counts` must be 2 numbers that are not negative",
    ),
    (safetensors_file({"__metadata__": {"format_version": "2"}, **entries()}, DATA), "is in format '2', this through"),
    (safetensors_file({"__metadata__": {"format_version": 1}, **entries()}, DATA), "is in format 1, this through"),
]


@pytest.mark.parametrize(("content", "message"), SAFETENSORS)
def test_damaged_safetensors_are_told(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        WordVectors.load(path, "safetensors")


@pytest.mark.parametrize(
    ("numbers", "metadata", "message"),
    [
        ("1\t2\n3\t4\n", "a\n", r"vectors.tsv:2: has more vectors than metadata.tsv has words, 1"),
        ("1\t2\n", "a\nb\n", "vectors.tsv: has 1 vectors, but metadata.tsv 2 words"),
        ("1\t2\n3\n", "a\nb\n", "vectors.tsv:2: has 1 numbers, must have 2"),
        ("1\t2\n3\tx\n", "a\nb\n", "vectors.tsv:2: 'x' is not a number"),
        ("1\t2\n3\t4\n", "a\na\n", "vectors.tsv:2: the word 'a' comes twice, first as line 1"),
        ("1\t2\n3\t4\n", "word\tcount\na\t5\nb\t-1\n", "metadata.tsv:3: the count must be a whole number, got '-1'"),
        ("1\t2\n3\t4\n", "word\tcount\na\t5\nb\n", "metadata.tsv:3: has 1 columns, must have 2"),
        ("1\t2\n3\t4\n", None, "metadata.tsv: there is no such file"),
        ("", "a\n", "vectors.tsv: is empty"),
    ],
)
def test_tables_that_do_not_fit_are_told(numbers: str, metadata: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.tsv").write_text(numbers, encoding="utf-8")
    if metadata is not None:
        (tmp_path / "metadata.tsv").write_text(metadata, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        WordVectors.load(tmp_path / "vectors.tsv", "projector")


def test_numbers_that_only_seem_separate_are_not_taken_for_two() -> None:
    # Parsing all numbers in one call takes "1-2" for two, and the rest of the line must not make up for it.
    for tail in (b"1-2  3", b"1 2-3", b"1.5.3 4", b"1\t2 3 4", b"1 2 3\0"):
        assert text_formats._parse_regular(b"a " + tail + b"\n", 3, words_first=True) is None  # pyright: ignore[reportPrivateUsage]
    assert text_formats._parse_regular(b"a 1-2 3 4\nb 5 6 7\n", 3, words_first=True) is None  # pyright: ignore[reportPrivateUsage]
