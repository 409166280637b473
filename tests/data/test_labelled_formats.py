from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import Columns, DecodedFile, LabelledText, read_labelled
from throughtime.errors import ArgumentError, DataError

ROWS = [("good", "a fine film , really"), ("bad", 'he said "boring"'), ("good", "süß & kurz"), ("bad", "no")]


def read(content: str, name: str = "data.txt", columns: Columns | None = None) -> LabelledText:
    return read_labelled(DecodedFile(name, content, "utf-8"), columns or Columns())


def table(delimiter: str, rows: list[tuple[str, ...]], **options: object) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n", **options).writerows(rows)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


CONTENTS = {
    "named.csv": table(",", [("label", "text"), *ROWS]),
    "bare.csv": table(",", list(ROWS)),
    "titled.csv": table(",", [("opinion", "what"), *ROWS]),
    "named.tsv": table("\t", [("label", "text"), *ROWS], quoting=csv.QUOTE_ALL),
    "plain.tsv": "".join(f"{label}\t{text}\n" for label, text in ROWS),
    "tabs": "".join(f"{label}\t{text}\n" for label, text in ROWS),
    "commas": table(",", [("sentiment", "review"), *ROWS]),
    "data.jsonl": "".join(json.dumps({"text": text, "label": label}) + "\n\n" for label, text in ROWS),
    "objects": "".join(json.dumps({"id": 7, "sentence": text, "class": label}) + "\n" for label, text in ROWS),
    "fasttext.txt": "".join(f"__label__{label} {text}\n" for label, text in ROWS),
    "labels-first.all": "".join(f"{label} {text}\n" for label, text in ROWS),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_is_recognised(name: str) -> None:
    found = read(CONTENTS[name], name)
    assert found.labels == [(label,) for label, _ in ROWS]
    assert found.texts == [text for _, text in ROWS]
    assert name in found.remarks[0]
    assert "4 rows" in found.remarks[0]


@given(st.lists(st.tuples(st.sampled_from(["x", "y"]), st.text(min_size=1)), min_size=1))
@settings(max_examples=50)
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    # Decoding has made all line ends newlines, and rows without text are left out.
    kept = [(label, "".join(" " if mark in "\r\0" else mark for mark in text)) for label, text in rows]
    kept = [(label, text) for label, text in kept if text.strip()]
    if kept:
        found = read(table(",", [("label", "text"), *kept]), "data.csv")
        assert [(example.labels[0], example.text) for example in found.examples] == kept


def test_a_row_knows_the_line_on_which_it_begins() -> None:
    found = read('label,text\na,one\nb,"two\nlines"\na,three\n', "data.csv")
    assert [example.place for example in found.examples] == ["data.csv:2", "data.csv:3", "data.csv:5"]
    assert found.texts[1] == "two\nlines"


def test_characters_that_are_no_line_ends_cut_nothing() -> None:
    found = read("a one\u0085still one\nb two\u2028still two\na three\nb four\n")
    assert len(found) == 4
    assert found.texts[0] == "one\u0085still one"


def test_columns_are_given_by_name_or_number() -> None:
    content = table(",", [("id", "who", "says"), ("7", "ann", "hello there"), ("8", "ben", "bye")])
    named = read(content, "data.csv", Columns("says", "who"))
    assert named.texts == ["hello there", "bye"]
    numbered = read("0\tx\t1\ta longer text\n1\ty\t2\tanother text\n", "data.tsv", Columns("4", "1"))
    assert numbered.labels == [("0",), ("1",)]
    with pytest.raises(
        DataError, match=r"data\.csv:1: has no column 'text'; there is 'id', 'who', 'says'; give --text"
    ):
        read(content, "data.csv", Columns("text", "who"))
    with pytest.raises(DataError, match=r"data\.csv: `label_column` must be from 1 to 3, got 4"):
        read(content, "data.csv", Columns("3", "4"))
    with pytest.raises(ArgumentError, match="must be different, got 2 for both"):
        read(content, "data.csv", Columns("2", "2"))


def test_without_names_the_label_is_what_has_the_fewest_values() -> None:
    rows = [(str(number % 2), str(number % 5), str(number), "some longer text") for number in range(20)]
    found = read(table("\t", list(rows)), "data.tsv")
    assert found.counts() == {"0": 10, "1": 10}
    assert "text in column 4, label in column 1, no header" in found.remarks[0]


def test_several_labels() -> None:
    assert read('{"text": "one", "label": ["a", "b"]}\n{"text": "two", "label": []}\n').labels == [("a", "b"), ()]
    assert read("__label__a __label__b one\n__label__a two\n").labels == [("a", "b"), ("a",)]
    separated = read("text,label\none,a;b\ntwo,b\n", "data.csv", Columns(separator=";"))
    assert separated.labels == [("a", "b"), ("b",)]


def test_rows_without_text_or_label_are_left_out_and_told() -> None:
    found = read("text,label\none,a\n,b\ntwo,\nthree,b\n", "data.csv")
    assert found.texts == ["one", "three"]
    assert "2 without text or label left out, the first at data.csv:3" in found.remarks[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.csv", "", r"data\.csv: is empty"),
        ("data.csv", "text,label\n", r"data\.csv: has no row with a text and a label"),
        ("data.csv", "text,label\none,a\ntwo,b,c\n", r"data\.csv:3: has 3 columns where the first row has 2"),
        ("data.csv", 'text,label\none,a\n"two,b\n', r"data\.csv:3: has 1 column where the first row has 2; a quote"),
        ("data.csv", "one\ntwo\n", r"data\.csv:1: has one column alone"),
        ("data.jsonl", '{"text": "a", "label": "x"}\n{"text": \n', r"data\.jsonl:2: not a JSON object"),
        ("data.jsonl", '{"text": "a", "label": "x"}\n[1]\n', r"data\.jsonl:2: must be a JSON object, got list"),
        (
            "data.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "b"}\n',
            r"data\.jsonl:2: has no 'label'; there is 'text'",
        ),
        ("data.jsonl", '{"text": 3, "label": "x"}\n', r"data\.jsonl:1: 'text' must be a string, got int"),
        (
            "data.jsonl",
            '{"words": "a", "label": "x"}\n',
            "has no column with a known name for the text; .* --text-column",
        ),
        ("data.txt", "one of many lines\ntwo words\nthree more\n", "3 different ones, too many to be labels"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content, name)
