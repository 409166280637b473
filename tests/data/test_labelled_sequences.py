from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import (
    LabelledSequences,
    NumericSequences,
    SequenceColumns,
    find_sequences,
    holds_sequences,
    sample_gestures,
    split_sequences,
)
from throughtime.errors import ArgumentError, DataError, ModelFolderError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8), channels=st.integers(1, 4))
@settings(max_examples=25)
def test_a_batch_holds_each_sequence_and_then_zeros(lengths: list[int], channels: int) -> None:
    made = [np.full((length, channels), number + 1, dtype=np.float32) for number, length in enumerate(lengths)]
    batch = NumericSequences(made).batch(range(len(made)))
    assert batch.values.shape == (max(lengths), len(made), channels)
    for row, sequence in enumerate(made):
        assert (batch.values[: len(sequence), row].numpy() == sequence).all()
        assert not batch.values[len(sequence) :, row].any()
    assert batch.lengths is None if len(set(lengths)) == 1 else batch.lengths.tolist() == lengths  # pyright: ignore[reportOptionalMemberAccess]


STEPS = """unit,cycle,heat,pressure,state
b,2,3.5,30,worn
a,1,1,10,new
b,1,2.5,20,worn
a,3,,12,new
a,2,2,11,new
"""


def test_a_table_with_a_row_for_each_step(tmp_path: Path) -> None:
    path = write(tmp_path / "engines.csv", STEPS)
    columns = SequenceColumns(id="unit", label="state")
    assert holds_sequences([path], columns)
    found = find_sequences([path], columns)["train"]
    assert found.channels == ("heat", "pressure")
    assert found.labels == [("worn",), ("new",)]
    assert found.examples[0].values.tolist() == [[2.5, 20], [3.5, 30]]
    # What is missing is as it was at the step before.
    assert found.examples[1].values.tolist() == [[1, 10], [2, 11], [2, 12]]
    assert found.examples[1].place == f"{path}:3"
    assert "sorted by 'cycle'" in found.remarks[0]
    assert "1 missing" in found.remarks[0]


def test_dates_sort_as_dates_and_names_are_recognised(tmp_path: Path) -> None:
    text = "id\ttimestamp\tvalue\tlabel\n7\t2024-02-28 23:00\t1\tx\n7\t2024-03-01\t3\tx\n7\t2024-02-29\t2\tx\n"
    found = find_sequences([write(tmp_path / "log.tsv", text)])["train"]
    assert found.examples[0].values.ravel().tolist() == [1, 2, 3]


def test_a_row_for_each_sequence_label_first(tmp_path: Path) -> None:
    path = write(tmp_path / "ECG_TRAIN.tsv", "1.0\t0.1\t0.2\t0.3\t0.4\t0.5\n-1\t5\t4\t3\tNaN\tNaN\n")
    test = write(tmp_path / "ECG_TEST.tsv", "1\t0.1\t0.2\t0.3\t0.4\t0.5\n")
    assert holds_sequences([path])
    found = find_sequences([path, test])
    assert list(found) == ["train", "test"]
    assert found["train"].labels == [("1",), ("-1",)]
    assert [len(example.values) for example in found["train"].examples] == [5, 3]


def test_json_lines_of_any_form(tmp_path: Path) -> None:
    path = write(
        tmp_path / "train.jsonl",
        '{"values": [1, 2, 3], "label": "up"}\n{"values": [[3], [2]], "label": ["down", "short"]}\n',
    )
    found = find_sequences([path])["train"]
    assert found.labels == [("up",), ("down", "short")]
    assert [example.values.shape for example in found.examples] == [(3, 1), (2, 1)]
    assert not holds_sequences([write(tmp_path / "texts.jsonl", '{"text": "a film", "label": "good"}\n')])


@pytest.mark.parametrize("layout", ["padded", "joined", "keras"])
def test_npz_padded_joined_or_in_parts(tmp_path: Path, layout: str) -> None:
    sequences = [np.arange(6, dtype=np.float64).reshape(3, 2), np.ones((1, 2)), np.zeros((2, 2))]
    arrays: dict[str, Any] = {"labels": np.array(["a", "b", "a"]), "lengths": np.array([3, 1, 2])}
    if layout == "joined":
        arrays["values"] = np.concatenate(sequences)
    else:
        arrays["values"] = np.full((3, 3, 2), np.nan)
        for row, sequence in zip(arrays["values"], sequences, strict=True):
            row[: len(sequence)] = sequence
    if layout == "keras":
        arrays = {"x_train": np.stack([sequences[2]] * 4), "y_train": np.array([1, 2, 1, 2])}
        arrays |= {"x_test": np.stack([sequences[2]]), "y_test": np.array([1])}
    np.savez(tmp_path / "data.npz", **arrays)
    found = find_sequences([tmp_path / "data.npz"])
    if layout == "keras":
        assert {part: len(own) for part, own in found.items()} == {"train": 4, "test": 1}
        return
    for example, sequence in zip(found["train"].examples, sequences, strict=True):
        assert example.values.tolist() == sequence.tolist()
    assert found["train"].labels == [("a",), ("b",), ("a",)]


def idx(values: np.ndarray[Any, Any]) -> bytes:
    return b"\0\0\x08" + bytes([values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_idx_pictures_are_read_row_by_row(tmp_path: Path) -> None:
    pictures = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)
    for part, count in (("train", 3), ("t10k", 1)):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pictures[:count])))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(count, dtype=np.uint8))))
    assert holds_sequences([tmp_path])
    found = find_sequences([tmp_path])
    assert {part: len(own) for part, own in found.items()} == {"train": 3, "test": 1}
    assert found["train"].alike
    assert (found["train"].examples[2].values == pictures[2]).all()
    assert found["train"].labels == [("0",), ("1",), ("2",)]


def test_texts_are_not_taken_for_numbers(tmp_path: Path) -> None:
    for name, text in (
        ("reviews.csv", "text,label\n3 stars,good\n"),
        ("rows.csv", "id,text,label\n1,a film,good\n"),
        ("stars.txt", "4 a film to see\n1 a film to miss\n"),
        ("tabs.tsv", "1\tgood film\n0\tbad film\n"),
    ):
        assert not holds_sequences([write(tmp_path / name, text)]), name
    assert not holds_sequences([tmp_path / "none.csv", "-"])
    assert holds_sequences([sample_gestures(3)])


def test_what_is_saved_is_the_same(tmp_path: Path) -> None:
    gestures = sample_gestures(7)
    gestures.save(tmp_path / "train.safetensors")
    again = LabelledSequences.load(tmp_path / "train.safetensors", gestures.name)
    assert again.channels == ("x", "y")
    for one, other in zip(again.examples, gestures.examples, strict=True):
        assert (one.values == other.values).all()
        assert one[1:] == other[1:]
    (tmp_path / "train.safetensors").write_bytes(b"x")
    with pytest.raises(ModelFolderError, match="missing or damaged"):
        LabelledSequences.load(tmp_path / "train.safetensors", "train")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", STEPS.replace("a,3", "a,2"), ":6: has the same 'cycle' as line 5 of its sequence"),
        ("a.csv", STEPS.replace("a,1,1,10,new", "a,1,1,10,old"), ":6: 'state' is 'new', and 'old' in line 3"),
        ("a.csv", STEPS.replace("2.5", "hot"), ":4: must be a number, got 'hot'"),
        ("a.csv", STEPS.replace("a,2,2,11,new", "a,2,2,11"), ":6: has 4 columns, the first line has 5"),
        ("a.csv", STEPS.replace("a,2", "a,soon"), "'cycle' must be a number or a date such as"),
        ("a.csv", STEPS.replace("unit", "device"), "no column 'unit'; there is 'device'"),
        ("a.jsonl", '{"values": [1, 2], "label": 1}\n{"label": 1}\n', ":2: has no values; there is 'label'"),
        ("a.jsonl", '{"values": [1, 2], "label": 1}\n{"values": [1, [2]], "label": 1}\n', ":2: must be numbers"),
        ("a.jsonl", '{"values": [1, 2], "label": 1}\n{"values": [3]}\n', ":2: has no label; there is 'values'"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    columns = SequenceColumns(id="unit", label="state") if name == "a.csv" else SequenceColumns()
    with pytest.raises(DataError) as raised:
        find_sequences([write(tmp_path / name, text)], columns)
    assert message in str(raised.value)


def test_arrays_that_do_not_go_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.ones((3, 4, 2)), labels=np.ones(2))
    with pytest.raises(DataError, match="has 3 sequences and labels of shape"):
        find_sequences([tmp_path / "a.npz"])
    np.savez(tmp_path / "a.npz", values=np.ones((3, 4, 2)))
    with pytest.raises(DataError, match="has 'values' and no labels or y for it"):
        find_sequences([tmp_path / "a.npz"])
    np.savez(tmp_path / "a.npz", values=np.array([[np.inf, 1], [1, 2]]), labels=np.ones(2))
    with pytest.raises(DataError, match=r"must be finite numbers, step 1 has \[inf\]"):
        find_sequences([tmp_path / "a.npz"])
    with pytest.raises(ArgumentError, match="has 3 numbers a step, the others 2"):
        LabelledSequences.of([np.ones((4, 2)), np.ones((4, 3))], [1, 2])
    with pytest.raises(ArgumentError, match="`labels` must be as many"):
        LabelledSequences.of([[1, 2]], [])
    parts = {"train": sample_gestures(20), "test": LabelledSequences.of([[1, 2]], ["circle"])}
    with pytest.raises(DataError, match="has 1 numbers a step, and generated gestures has 2"):
        split_sequences(parts, 0.2, seed=0)


def test_the_two_circles_have_the_same_positions_in_another_order() -> None:
    gestures = sample_gestures(400)
    turned: dict[str, list[float]] = {}
    for example in gestures.examples:
        points = example.values - example.values.mean(0)
        # The area that is swept is positive to the left and negative to the right.
        swept = (points[:-1, 0] * points[1:, 1] - points[:-1, 1] * points[1:, 0]).sum()
        turned.setdefault(example.labels[0], []).append(float(swept))
    assert min(turned["circle to the left"]) > 0 > max(turned["circle to the right"])
    assert sample_gestures(400).examples[3].values.tolist() == gestures.examples[3].values.tolist()
