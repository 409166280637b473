from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from throughtime.data import (
    CaptionBatches,
    CaptionColumns,
    CaptionedImages,
    Frames,
    find_captioned,
    split_captioned,
)
from throughtime.data.captioned_images import picture_name
from throughtime.errors import ArgumentError, DataError

PIXELS = np.zeros((2, 2), np.uint8)


def described(images: CaptionedImages) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in images.examples}


def test_tables_with_a_row_for_each_caption(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('image,caption\n1.jpg,"a dog, running"\n2.jpg,a cat\n1.jpg,a brown dog\n', "utf-8")
    found = find_captioned([tmp_path / "a.csv"])["train"]
    assert described(found) == {"1.jpg": ("a dog, running", "a brown dog"), "2.jpg": ("a cat",)}
    assert found.pictures[0] == tmp_path / "1.jpg"
    (tmp_path / "b.tsv").write_text("1.jpg\ta dog\n2.jpg\ta cat\n", "utf-8")
    columns = CaptionColumns(images=tmp_path / "photos")
    found = find_captioned([tmp_path / "b.tsv"], columns)["train"]
    assert found.pictures == [tmp_path / "photos" / "1.jpg", tmp_path / "photos" / "2.jpg"]
    rows = [
        {"file": "1.jpg", "text": ["a dog", "a hound"], "split": "train"},
        {"file": "2.jpg", "text": "a cat", "split": "val"},
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    parts = find_captioned([tmp_path / "c.jsonl"])
    assert {part: described(images) for part, images in parts.items()} == {
        "train": {"1.jpg": ("a dog", "a hound")},
        "valid": {"2.jpg": ("a cat",)},
    }
    (tmp_path / "d.csv").write_text("image,caption\n1.jpg,\n", "utf-8")
    with pytest.raises(DataError, match=r"d.csv:2: has no caption in 'caption'"):
        find_captioned([tmp_path / "d.csv"])


def test_kaggle_s_captions_stand_beside_their_folder(tmp_path: Path) -> None:
    (tmp_path / "Images").mkdir()
    (tmp_path / "Images" / "1.jpg").write_bytes(b"any")
    (tmp_path / "captions.txt").write_text("image,caption\n1.jpg,A dog .\n1.jpg,A hound .\n", "utf-8")
    found = find_captioned([tmp_path])["train"]
    assert found.pictures == [tmp_path / "Images" / "1.jpg"]
    assert found.captions == [("A dog .", "A hound .")]


def test_flickr_s_tokens_and_the_names_of_their_parts(tmp_path: Path) -> None:
    lines = ["1.jpg#0\tA dog .", "1.jpg#1\tA hound .", "2.jpg#0\tA cat .", "3.jpg#0\tIn no part .", "4.jpg#0\tA bird ."]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines), "utf-8")
    for part, name in (("train", "1.jpg"), ("dev", "2.jpg"), ("test", "4.jpg")):
        (tmp_path / f"Flickr_8k.{part}Images.txt").write_text(f"{name}\n", "utf-8")
    parts = find_captioned([tmp_path / "Flickr8k.token.txt"])
    assert {part: described(images) for part, images in parts.items()} == {
        "train": {"1.jpg": ("A dog .", "A hound .")},
        "valid": {"2.jpg": ("A cat .",)},
        "test": {"4.jpg": ("A bird .",)},
    }
    (tmp_path / "other.token.txt").write_text("no number here\n", "utf-8")
    with pytest.raises(DataError, match=r"other.token.txt:1: must be picture#number and a caption"):
        find_captioned([tmp_path / "other.token.txt"])


def test_coco_s_captions_keep_the_numbers_of_the_pictures(tmp_path: Path) -> None:
    for part in ("train", "val"):
        content = {
            "images": [{"id": 9, "file_name": f"COCO_{part}2014_000000000009.jpg"}, {"id": 7, "file_name": "none.jpg"}],
            "annotations": [{"image_id": 9, "caption": "a dog "}, {"image_id": 9, "caption": "a hound"}],
        }
        (tmp_path / f"captions_{part}2014.json").write_text(json.dumps(content), "utf-8")
    parts = find_captioned([tmp_path])
    assert described(parts["train"]) == described(parts["valid"]) == {"9": ("a dog", "a hound")}
    assert picture_name("x/COCO_val2014_000000391895.jpg") == "391895"


def test_karpathy_s_splits(tmp_path: Path) -> None:
    def one(number: int, split: str) -> dict[str, object]:
        sentences = [{"raw": f"picture {number}", "tokens": []}, {"tokens": ["again", str(number)]}]
        return {
            "filename": f"{number}.jpg",
            "filepath": "val2014",
            "split": split,
            "sentences": sentences,
            "cocoid": number,
        }

    images = [one(1, "train"), one(2, "restval"), one(3, "val"), one(4, "test")]
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}), "utf-8")
    parts = find_captioned([tmp_path / "dataset_coco.json"])
    assert described(parts["train"]) == {"1": ("picture 1", "again 1"), "2": ("picture 2", "again 2")}
    assert set(parts) == {"train", "valid", "test"}
    assert parts["test"].pictures == [tmp_path / "val2014" / "4.jpg"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "has no list of images"),
        ('{"images": [{"id": 1}], "annotations": [{}]}', "lacks 'image_id'"),
    ],
)
def test_json_of_another_kind_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.json").write_text(content, "utf-8")
    with pytest.raises(DataError, match=f"a.json: {said}"):
        find_captioned([tmp_path / "a.json"])


def test_a_caption_never_stands_in_both_parts_where_that_is_asked() -> None:
    captions = [f"caption {number // 2}" for number in range(80)]
    images = CaptionedImages.of([PIXELS] * 80, captions)
    splits = split_captioned({"train": images}, 10, seed=0, by_caption=True)
    apart = {said for several in splits.valid.captions for said in several}
    assert not apart & {said for several in splits.train.captions for said in several}
    assert 8 <= len(splits.valid) <= 9
    at_random = split_captioned({"train": images}, 8, seed=0)
    assert len(at_random.valid) == 8
    chained = CaptionedImages.of([PIXELS] * 3, [["a", "b"], ["b", "c"], ["d"]])
    for seed in range(4):
        parts = split_captioned({"train": chained}, 1, seed=seed, by_caption=True)
        assert {len(parts.train), len(parts.valid)} == {1, 2}


def test_batches_hold_several_captions_of_each_picture_side_by_side() -> None:
    array = np.arange(10)[:, None]
    targets = [
        [np.array([row, 0]), np.array([row, 1]), np.array([row, 2, 2])] if row % 2 else [np.array([row])]
        for row in range(10)
    ]
    batches = CaptionBatches(Frames(array), targets, end=99, batch_size=4, together=2, seed=3)
    assert len(batches) == 3
    seen: list[int] = []
    for index in range(len(batches)):
        batch = batches.batch(0, index)
        pictures = batch.source.values[0, :, 0].tolist()
        seen += pictures
        assert batch.target.values.shape[1] == 2 * len(pictures)
        assert batch.target.values[0].eq(99).all()
        assert batch.target.values[1].tolist() == [row for row in pictures for _ in range(2)]
    assert sorted(seen) == list(range(10))
    again = CaptionBatches(Frames(array), targets, end=99, batch_size=4, together=2, seed=3)
    assert again.batch(5, 1).target.values.equal(batches.batch(5, 1).target.values)
    odd = [batches.batch(epoch, index) for epoch in range(6) for index in range(3)]
    lengths = {length for batch in odd for length in batch.target.lengths.tolist()}  # pyright: ignore[reportOptionalMemberAccess]
    assert lengths == {3, 4, 5}  # each of the captions comes at some time
    with pytest.raises(ArgumentError, match="`targets` must be as many as the sources, 10, got 9"):
        CaptionBatches(Frames(array), targets[:9], end=99, batch_size=4, together=2)
