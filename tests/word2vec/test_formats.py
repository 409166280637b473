from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.errors import ArgumentError, DataError
from throughtime.word2vec import table
from throughtime.word2vec.formats import FORMATS, Table, detect
from throughtime.word2vec.vectors import WordVectors

NAMES = {
    "safetensors": "x.safetensors",
    "word2vec-text": "x.txt",
    "word2vec-binary": "x.bin",
    "fasttext-vec": "x.vec",
    "glove": "x.glove",
    "projector": "x.tsv",
}
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
CHARACTERS = st.characters(exclude_categories=["Cs", "Z", "Cc"])
WORDS = st.lists(st.text(CHARACTERS, min_size=1, max_size=8), min_size=1, max_size=6, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    words = draw(WORDS)
    size = draw(st.integers(2, 5))
    rows = draw(st.lists(st.lists(FLOATS, min_size=size, max_size=size), min_size=len(words), max_size=len(words)))
    return Table(words, np.array(rows, dtype=np.float32))


@settings(max_examples=60)
@given(tables())
def test_every_format_gives_back_what_it_was_given(content: Table) -> None:
    vectors = WordVectors(content.words, content.vectors)
    with tempfile.TemporaryDirectory() as folder:
        for format, name in NAMES.items():  # noqa: A001
            path = Path(folder) / name
            vectors.save(path)
            again = WordVectors.load(path, format)
            assert again.words == tuple(content.words)
            assert again.vectors.tobytes() == content.vectors.tobytes()
            del again  # Windows removes no file that is mapped


def test_there_is_a_name_for_every_format() -> None:
    assert tuple(NAMES) == FORMATS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.safetensors", "safetensors"),
        ("x.txt", "word2vec-text"),
        ("x.txt.gz", "word2vec-text"),
        ("x.vec", "word2vec-text"),
        ("x.vec.gz", "word2vec-text"),
        ("x.bin", "word2vec-binary"),
        ("x.bin.gz", "word2vec-binary"),
        ("x.glove", "glove"),
        ("x.glove.gz", "glove"),
        ("vectors.tsv", "projector"),
    ],
)
def test_the_content_tells_the_format(name: str, expected: str, tmp_path: Path) -> None:
    vectors = WordVectors(["a", "12", "é"], np.random.default_rng(0).standard_normal((3, 5)))
    path = tmp_path / name
    vectors.save(path)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    if expected != "projector":  # whose second file is found by the name of the first
        path = path.rename(tmp_path / "unnamed")
    assert detect(path) == expected
    again = WordVectors.load(path)
    assert again.words == vectors.words
    np.testing.assert_array_equal(again.vectors, vectors.vectors)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"3 2\nthe 1 2\n", "word2vec-text"),
        (b"3 2\nthe 1\n", "glove"),  # the word "3" has the vector (2)
        (b"3 1\nthe 1\n", "word2vec-text"),
        (b"3 1\n7 1\n", "word2vec-text"),
        (b"3 2\nthe 1 2 x\n", "word2vec-text"),
        (b"3 2\n", "word2vec-text"),
        (b"3 2 4\nthe 1 2\n", "glove"),
        (b"3 0.5\nthe 1\n", "glove"),
        (b"1 2\na " + struct.pack("<2f", 1, 2), "word2vec-binary"),
        (b"1 2\na " + struct.pack("<2f", 0, 0), "word2vec-binary"),
        (b"1 2\na " + b"\n" + struct.pack("<2f", 0.1, 0.3)[1:], "word2vec-binary"),
        ("1 2\nété".encode() + b"\xff 1 2\n", "word2vec-text"),
    ],
)
def test_the_second_line_decides_what_the_first_is(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert detect(path) == expected


def test_counts_and_any_word_are_kept_where_the_format_can(tmp_path: Path) -> None:
    words = ["new york", "naïve", "日本"]
    vectors = WordVectors(words, np.arange(6).reshape(3, 2), [30, 20, 10])
    for name in ("x.safetensors", "vectors.tsv"):
        vectors.save(tmp_path / name)
        again = WordVectors.load(tmp_path / name)
        assert again.words == tuple(words)
        assert again.counts is not None
        assert again.counts.tolist() == [30, 20, 10]
    assert (tmp_path / "metadata.tsv").read_text("utf-8") == "word\tcount\nnew york\t30\nnaïve\t20\n日本\t10\n"
    assert (tmp_path / "vectors.tsv").read_text("utf-8") == "0\t1\n2\t3\n4\t5\n"


def test_safetensors_itself_reads_what_was_written_and_is_read(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((3, 5), dtype=np.float32)
    WordVectors(["a", "bc", "d"], matrix, [3, 2, 1]).save(tmp_path / "ours.safetensors")
    theirs = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert theirs["words"].tobytes() == b"a\nbc\nd"
    assert theirs["counts"].tolist() == [3, 2, 1]
    np.testing.assert_array_equal(theirs["vectors"], matrix)
    safetensors.numpy.save_file(theirs, tmp_path / "theirs.safetensors")
    again = WordVectors.load(tmp_path / "theirs.safetensors")
    assert again.words == ("a", "bc", "d")
    np.testing.assert_array_equal(again.vectors, matrix)


def test_safetensors_is_mapped_and_not_read(tmp_path: Path) -> None:
    header = json.dumps(
        {
            "vectors": {"dtype": "F32", "shape": [2, 1 << 36], "data_offsets": [3, 3 + (8 << 36)]},
            "words": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        }
    ).encode()
    path = tmp_path / "vectors.safetensors"
    with path.open("wb") as file:  # half a terabyte that takes no room on the disk
        file.write(len(header).to_bytes(8, "little") + header + b"a\nb")
        try:
            file.truncate(8 + len(header) + 3 + (8 << 36))
        except OSError:
            pytest.skip("this file system has no sparse files")
    vectors = WordVectors.load(tmp_path)
    assert vectors.vectors.shape == (2, 1 << 36)
    assert vectors.vectors[1, -1] == 0


@pytest.mark.parametrize("ending", ["\n", ""], ids=["C", "gensim"])
def test_both_kinds_of_binary_files_are_read(ending: str, tmp_path: Path) -> None:
    matrix = np.array([[1.5, -2, 1e-9], [10, 13, 32]], dtype="<f4")
    path = tmp_path / "x.bin"
    path.write_bytes(
        b"2 3\n"
        + b"".join(w + row.tobytes() + ending.encode() for w, row in zip((b"the ", b"of "), matrix, strict=True))
    )
    again = WordVectors.load(path)
    assert again.words == ("the", "of")
    np.testing.assert_array_equal(again.vectors, matrix)


def test_binary_words_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughtime.word2vec.binary_format.BLOCK_BYTES", 7)
    vectors = WordVectors([f"w{row}" for row in range(50)], np.random.default_rng(0).standard_normal((50, 3)))
    vectors.save(tmp_path / "x.bin")
    np.testing.assert_array_equal(WordVectors.load(tmp_path / "x.bin").vectors, vectors.vectors)


@pytest.mark.parametrize("block", [1, 7, 50, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [
        b"3 2\nthe 1 2\nof -3e2 .5\na 5. 6",
        b"3 2\nthe 1 2\nof -3e2 .5\na 5. 6\n",
        b"3 2\nthe 1 2 \nof -3e2 .5 \na 5. 6 \n",  # fastText
        b"3 2\r\nthe 1 2\r\nof -3e2 .5\r\na 5. 6\r\n",
        b"3\t2\nthe\t1\t2\nof\t-3e2\t.5\na\t5.\t6\n\n\n",
        b" 3  2 \nthe  1   2\nof -3e2 .5\na 5. 6\n",
    ],
)
def test_text_is_read_however_it_is_spaced(
    content: bytes, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BLOCK_BYTES", block)
    (tmp_path / "x").write_bytes(content)
    vectors = WordVectors.load(tmp_path / "x")
    assert vectors.words == ("the", "of", "a")
    assert vectors.vectors.tolist() == [[1, 2], [-300, 0.5], [5, 6]]


def test_the_words_with_spaces_of_glove_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n1 7 8\n", encoding="utf-8")
    assert WordVectors.load(tmp_path / "x.txt").words == ("the", ". . .", "at name@domain.com", "1")


def test_spaces_that_are_not_ascii_belong_to_a_word(tmp_path: Path) -> None:
    vectors = WordVectors(["new\u00a0york", "\u0085", "\u2028x"], np.ones((3, 2)))
    for name in ("x.vec", "x.bin", "x.glove"):
        vectors.save(tmp_path / name)
        assert WordVectors.load(tmp_path / name).words == vectors.words


@pytest.mark.parametrize(
    ("word", "name", "message"),
    [
        ("new york", "x.txt", "the word 'new york' has a space or a line end in it, .* 'word2vec-text' can't store"),
        ("a\nb", "x.glove", "has a space or a line end in it, which the format 'glove' can't store; write safetensors"),
        ("a b", "x.bin", "has a space or a line end in it, which the format 'word2vec-binary' can't store"),
        ("a\tb", "x.vec", "has a space or a line end in it, which the format 'fasttext-vec' can't store"),
        ("a\tb", "x.tsv", "has a tab or a line end in it, which the format 'projector' can't store"),
        ("a\nb", "x.safetensors", "has a newline in it, which the format 'safetensors' can't store"),
        ("", "x.txt", "a word is empty, which the format 'word2vec-text' can't store"),
        ("\ud800", "x.txt", "holds a lone surrogate"),
        ("a", "x.doc", "the name says no format; end it in .safetensors, .txt"),
        ("a", "none/x.txt", "there is no folder '.*none'; make it, or give another"),
        ("a", "x.tsv.gz", "TensorBoard reads no .gz"),
    ],
)
def test_what_a_format_cannot_store_is_refused(word: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        WordVectors(["the", word], np.ones((2, 2))).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_there_and_formats_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        WordVectors.load(tmp_path / "missing.txt")
    with pytest.raises(DataError, match=r"this folder has no vectors.safetensors"):
        WordVectors.load(tmp_path)
    with pytest.raises(ArgumentError, match=r"`format` must be one of .*; did you mean 'glove'"):
        WordVectors.load(tmp_path, "glov")
    with pytest.raises(ArgumentError, match="`format` must be one of"):
        WordVectors(["a"], np.ones((1, 1))).save(tmp_path / "x.txt", "text")
