from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from throughtime.data import Text, TextInMemory, TokenFile, train_tokenizer, write_tokens
from throughtime.errors import DataError, ModelFolderError
from throughtime.files import DiskFullError

WORDS = " ".join(f"w{number}" for number in range(300)) + "\n"


@pytest.mark.parametrize(("kind", "dtype"), [("char", np.uint8), ("byte", np.uint8), ("word", np.uint16)])
def test_ids_are_written_as_small_as_they_fit(tmp_path: Path, kind: str, dtype: type) -> None:
    tokenizer = train_tokenizer(kind, [WORDS])
    path = tmp_path / "train.npy"
    seen: list[int] = []
    text = "w1 w2\nw999 é🙂"
    counts = write_tokens(path, tokenizer, Text((TextInMemory(text),)), progress=seen.append)
    ids = np.load(path)
    assert ids.dtype == dtype
    assert ids.tolist() == tokenizer.encode(text).tolist()
    assert counts.tokens == len(ids)
    assert counts.characters == len(text) == seen[-1]
    assert counts.bytes == len(text.encode())
    assert counts.unknown == {"char": 2, "byte": 0, "word": 2}[kind]
    opened = TokenFile(path)
    assert opened.counts == counts
    assert isinstance(opened.ids, np.memmap)
    assert len(opened) == counts.tokens


@pytest.mark.parametrize(
    ("size", "dtype"), [(256, np.uint8), (257, np.uint16), (65_536, np.uint16), (65_537, np.uint32)]
)
def test_the_last_id_decides_the_size_of_all(tmp_path: Path, size: int, dtype: type) -> None:
    words = " ".join(f"w{number}" for number in range(size - 2))  # with <unk> and <eos>
    tokenizer = train_tokenizer("word", [words])
    write_tokens(tmp_path / "train.npy", tokenizer, Text((TextInMemory(words),)))
    ids = np.load(tmp_path / "train.npy")
    assert ids.dtype == dtype
    assert sorted(ids.tolist()) == list(range(2, size))


class Failing:
    name = "failing"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def blocks(self) -> Iterator[str]:
        yield WORDS
        raise self.error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(errno.ENOSPC, "No space left on device"), DiskFullError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path, error: Exception, raised: type) -> None:
    tokenizer = train_tokenizer("char", [WORDS])
    path = tmp_path / "train.npy"
    write_tokens(path, tokenizer, Text((TextInMemory("w1 w2"),)))
    before = path.read_bytes()
    with pytest.raises(raised):
        write_tokens(path, tokenizer, Text((Failing(error),)))
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["train.json", "train.npy"]


def test_text_without_tokens_is_refused(tmp_path: Path) -> None:
    tokenizer = train_tokenizer("word", [WORDS])
    with pytest.raises(DataError, match="has no tokens"):
        write_tokens(tmp_path / "train.npy", tokenizer, Text((TextInMemory("  ", "blank.txt"),)))


def test_missing_or_damaged_data_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.npy"
    with pytest.raises(ModelFolderError, match="the prepared data is missing or damaged"):
        TokenFile(path)
    write_tokens(path, train_tokenizer("char", [WORDS]), Text((TextInMemory("w1 w2"),)))
    path.with_suffix(".json").write_text(json.dumps({"tokens": 3}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        TokenFile(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        TokenFile(path)
    path.write_bytes(b"")
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        TokenFile(path)


@pytest.mark.parametrize(
    "foreign", [np.zeros(6), np.zeros((2, 3), np.uint8), np.zeros(5, np.uint8)], ids=["floats", "matrix", "shorter"]
)
def test_what_is_not_the_ids_that_were_counted_is_told(tmp_path: Path, foreign: np.ndarray) -> None:
    path = tmp_path / "train.npy"
    write_tokens(path, train_tokenizer("char", [WORDS]), Text((TextInMemory("w1 w22"),)))
    assert len(TokenFile(path)) == 6
    np.save(path, foreign)
    with pytest.raises(ModelFolderError, match="are not 6 token ids"):
        TokenFile(path)
