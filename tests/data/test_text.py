from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import (
    StandardInput,
    Text,
    TextFile,
    TextInMemory,
    find_splits,
    find_texts,
    python_language_reference,
)
from throughtime.data import text as text_module
from throughtime.errors import ArgumentError, DataError


def read(text: object) -> str:
    return "".join(text.blocks())  # type: ignore[attr-defined]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "BLOCK_BYTES", 4)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_file_is_read_whole_whatever_its_blocks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"book{suffix}"
    content = "\ufeffnaïve 日本\r\nline two\rline three 🙂\n".encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert read(TextFile(path)) == "naïve 日本\nline two\nline three 🙂\n"


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("content", "place", "advice"),
    [
        (b"first\nsecond caf\xe9 au lait", r"byte 16: not utf-8 text \(line 2, byte value 0xe9\)", "cp1252"),
        ("ab日".encode()[:-1] + b"x", r"byte 2: not utf-8 text \(line 1, byte value 0xe6\)", "--encoding"),
        (b"abc\x81", r"byte 3: not utf-8 text", "latin-1"),
        (b"abcdef\x00gh", r"byte 6: a zero byte, so this is not utf-8 text", "binary file"),
        (b"caf\xe9"[:3] + "日".encode()[:2], r"byte 3", "--encoding"),
    ],
)
def test_what_is_not_text_is_told_with_its_place(tmp_path: Path, content: bytes, place: str, advice: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=place) as raised:
        read(TextFile(path))
    assert advice in str(raised.value)
    assert str(raised.value).startswith(str(path))


def test_the_place_is_right_in_a_later_block_and_after_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    lines = b"\xef\xbb\xbf" + b"some line\n" * 150_000
    path.write_bytes(lines + b"caf\xe9\n" + lines)
    with pytest.raises(DataError, match=r"byte 1500006: not utf-8 text \(line 150001, byte value 0xe9\)"):
        read(TextFile(path))
    path.write_bytes(lines[:8] + b"\xe9 x")
    with pytest.raises(DataError, match=r"byte 8: "):
        read(TextFile(path))


def test_a_character_that_straddles_blocks_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    content = "x" * (text_module.BLOCK_BYTES - 1) + "日本\r\n"
    path.write_text(content, encoding="utf-8", newline="")
    assert read(TextFile(path)) == content.replace("\r\n", "\n")
    path.write_bytes(content.encode()[:-6] + b"?")
    with pytest.raises(DataError, match=f"byte {text_module.BLOCK_BYTES - 1}: .*0xe6"):
        read(TextFile(path))


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"plain text", "utf-16", "byte 0: not utf-16 text .*it looks like --encoding utf-8"),
        (b"na\xc3\xafve \x81", "cp1252", "byte 7: not cp1252 text .*it may be --encoding latin-1"),
        ("ÁÁ".encode(), "cp1252", "byte 1: not cp1252 text .*it looks like --encoding utf-8"),
        (b"ab\0cd", "latin-1", "byte 2: a zero byte, so this is not latin-1 text"),
    ],
)
def test_the_wrong_encoding_is_told(tmp_path: Path, content: bytes, encoding: str, message: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(TextFile(path, encoding))


@pytest.mark.parametrize("encoding", ["utf-99", "base64", "rot13"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"some text")
    for attempt in (lambda: find_texts(path, encoding=encoding), lambda: read(TextFile(path, encoding))):
        with pytest.raises(DataError, match=f"`encoding` '{encoding}' is not known; try utf-8"):
            attempt()


def test_utf16_is_recognised_and_read_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes("some text\n".encode("utf-16"))
    with pytest.raises(DataError, match="--encoding utf-16"):
        read(TextFile(path))
    assert read(TextFile(path, "utf-16")) == "some text\n"
    with pytest.raises(DataError, match="`encoding` 'utf-99' is not known"):
        find_splits([path], encoding="utf-99")


def test_a_damaged_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "book.txt.gz"
    whole = gzip.compress(b"some text " * 100)
    for damaged in (whole[:-20], whole[:12] + b"\xff" * 20 + whole[32:], b"no gzip at all"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"book\.txt\.gz: cannot be read"):
            read(TextFile(path))


def test_standard_input_can_be_read_again() -> None:
    source = StandardInput(stream=io.BytesIO("naïve".encode()))
    assert read(source) == read(source) == "naïve"
    with pytest.raises(DataError, match="standard input, byte 3: not utf-8 text"):
        read(StandardInput(stream=io.BytesIO(b"caf\xe9")))


@pytest.mark.usefixtures("small_blocks")
def test_two_can_read_standard_input_side_by_side() -> None:
    source = StandardInput(stream=io.BytesIO(b"0123456789" * 3))
    pairs = list(zip(source.blocks(), source.blocks(), strict=True))
    assert "".join(one for one, _ in pairs) == "".join(two for _, two in pairs) == "0123456789" * 3


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0123456789")))
    splits = find_splits(["-"])
    assert (read(splits.train), read(splits.valid)) == ("012345678", "9")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_read_once_and_kept(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"0123456789",))
    writer.start()
    splits = find_splits([pipe])
    writer.join()
    assert (read(splits.train), read(splits.valid)) == ("012345678", "9")
    assert splits.train.name == str(pipe)


@pytest.mark.usefixtures("small_blocks")
def test_a_text_in_memory_comes_in_blocks_and_holds_characters_only() -> None:
    assert list(TextInMemory("abcdefghij").blocks()) == ["abcd", "efgh", "ij"]
    with pytest.raises(DataError, match=r"notes: character 5 is U\+DCE9, a lone surrogate"):
        read(TextInMemory("caf\u00e9 \udce9", "notes"))


@given(
    texts=st.lists(st.text("abc", max_size=9), min_size=1, max_size=4),
    start=st.integers(0, 30),
    length=st.integers(0, 30),
)
@settings(max_examples=80)
def test_a_part_is_a_slice(texts: list[str], start: int, length: int) -> None:
    sources = tuple(TextInMemory(text) for text in texts)
    assert read(Text(sources, start, start + length)) == "".join(texts)[start : start + length]
    assert read(Text(sources, start)) == "".join(texts)[start:]


@pytest.mark.parametrize("count", [10, 99, 1_115_394])
def test_the_last_tenth_of_the_characters_is_for_validation(count: int) -> None:
    splits = find_splits([TextInMemory("é" * count)])
    assert splits.train.count_characters() == int(count * 0.9)
    assert splits.valid.count_characters() == count - int(count * 0.9)
    assert splits.test is None


@pytest.mark.parametrize(
    "names",
    [
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        ("train.txt", "dev.txt", "test.txt"),
        ("wiki.train.tokens", "wiki.validation.tokens", "wiki.test.tokens"),
    ],
)
def test_files_named_for_their_parts_are_those(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for name in names:
        (tmp_path / name).write_text(f"{name} is a long enough text", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not data", encoding="utf-8")
    for sources in ([tmp_path], [tmp_path / name for name in names]):
        parts = find_splits(sources).parts()
        assert [read(part).split()[0] for part in parts.values()] == list(names)


def test_without_a_validation_file_a_part_of_the_training_text_is_for_validation(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a" * 50, encoding="utf-8")
    (tmp_path / "test.txt").write_text("b" * 50, encoding="utf-8")
    splits = find_splits([tmp_path], validation_fraction=0.2)
    assert (read(splits.train), read(splits.valid)) == ("a" * 40, "a" * 10)
    assert splits.test is not None
    assert read(splits.test) == "b" * 50


def test_a_folder_is_its_text_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("two ", encoding="utf-8")
    (tmp_path / "a.txt").write_text("one ", encoding="utf-8")
    (tmp_path / "sub" / "c.md").write_text("three", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index.txt").write_text("hidden", encoding="utf-8")
    (tmp_path / ".notes.txt").write_text("hidden", encoding="utf-8")
    assert "".join(read(text) for text in find_texts(tmp_path)) == "one two three"
    (tmp_path / "D.TXT.GZ").write_bytes(gzip.compress(b"four "))
    assert sorted("".join(read(text) for text in find_texts(tmp_path)).split()) == ["four", "one", "three", "two"]


def test_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"):
        find_splits([tmp_path / "none.txt"])
    with pytest.raises(DataError, match="this folder has no text files"):
        find_splits([tmp_path])
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(DataError, match=r"empty\.txt: is empty"):
            find_splits([tmp_path / "empty.txt"], encoding=encoding)
    with pytest.raises(DataError, match=r"give a text itself as TextInMemory\): cannot be read"):
        find_splits(["the text, where its path should be " * 200])
    with pytest.raises(DataError, match="has 5 characters, too few"):
        find_splits([TextInMemory("abcde")], validation_fraction=1e-17)
    with pytest.raises(DataError, match="has 1 character, too few to keep some for validation"):
        find_splits([TextInMemory("a")])
    with pytest.raises(ArgumentError, match="`validation_fraction` must be a number in"):
        find_splits([TextInMemory("abc")], validation_fraction=1.0)


def test_the_sample_is_english_prose() -> None:
    text = read(python_language_reference())
    assert len(text) > 300_000
    assert text.count(" the ") > 3_000
    assert text == read(python_language_reference())
