from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from throughtime.data import LabelledText, find_labelled, split_labelled
from throughtime.errors import DataError

TABLE = "text,label\n" + "".join(f"text number {number},{'ab'[number % 2]}\n" for number in range(40))


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
    return folder


def test_a_file_alone_is_all_there_is(tmp_path: Path) -> None:
    write(tmp_path, data_csv=TABLE, only_test_csv=TABLE)
    assert list(find_labelled([tmp_path / "data.csv"])) == ["train"]
    assert list(find_labelled([tmp_path / "only.test.csv"])) == ["train"]
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    assert find_labelled([tmp_path / "data.csv.gz"])["train"].counts() == {"a": 20, "b": 20}


def test_files_are_parts_by_their_names(tmp_path: Path) -> None:
    folder = write(tmp_path, train_csv=TABLE, dev_csv=TABLE, test_csv=TABLE, README_md="about")
    assert set(find_labelled([folder])) == {"train", "valid", "test"}
    given = find_labelled([folder / "train.csv", str(folder / "test.csv")])
    assert set(given) == {"train", "test"}
    write(tmp_path, other_train_csv=TABLE)
    with pytest.raises(
        DataError, match=r"has several files for train \(other\.train\.csv, train\.csv\); give the files"
    ):
        find_labelled([folder])


def test_a_file_for_each_class(tmp_path: Path) -> None:
    folder = write(tmp_path, polarity_neg="bad\n\nworse\n", polarity_pos="good\n")
    for found in (find_labelled([folder]), find_labelled([folder / "polarity.neg", folder / "polarity.pos"])):
        assert [(example.text, *example.labels) for example in found["train"].examples] == [
            ("bad", "neg"),
            ("worse", "neg"),
            ("good", "pos"),
        ]
    assert found["train"].examples[1].place.endswith("polarity.neg:3")


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    folder = write(tmp_path, pos__1_txt="good", pos__2_txt="better", neg__1_txt="bad\nfilm", unsup__1_txt="hm")
    found = find_labelled([folder])
    assert found["train"].counts() == {"neg": 1, "pos": 2}
    assert found["train"].texts[0] == "bad\nfilm"
    assert "unsup: left out" in found["train"].remarks[-1]


def test_parts_with_a_folder_for_each_class(tmp_path: Path) -> None:
    folder = write(
        tmp_path, train__pos__1_txt="good", train__neg__1_txt="bad", test__pos__1_txt="x", test__neg__1_txt="y"
    )
    found = find_labelled([folder])
    assert {part: len(text) for part, text in found.items()} == {"train": 2, "test": 2}


def test_texts_in_memory() -> None:
    text = LabelledText.of(["one", "two"], [0, ["a", "b"]])
    assert find_labelled([text])["train"].labels == [("0",), ("a", "b")]


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        find_labelled([tmp_path / "none.csv"])
    with pytest.raises(DataError, match="neither files with labels, nor a file or a folder for each class"):
        find_labelled([tmp_path])
    write(tmp_path, valid_csv=TABLE, test_csv=TABLE)
    with pytest.raises(DataError, match="there is no training part"):
        split_labelled(find_labelled([tmp_path / "valid.csv", tmp_path / "test.csv"]), 0.1, seed=0)


def test_without_a_validation_part_one_is_split_off(tmp_path: Path) -> None:
    parts = find_labelled([write(tmp_path, data_csv=TABLE) / "data.csv"])
    splits = split_labelled(parts, 0.2, seed=1)
    assert splits.valid.counts() == {"a": 4, "b": 4}
    assert sorted(splits.train.texts + splits.valid.texts) == sorted(parts["train"].texts)
    assert splits.valid.texts != split_labelled(parts, 0.2, seed=2).valid.texts
