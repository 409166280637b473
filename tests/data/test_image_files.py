from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from throughtime.data import ImageColumns, LabelledImages, find_images, split_images
from throughtime.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
LABELS = np.array([0, 1, 1, 0, 1, 9], np.uint8)


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def as_array(images: LabelledImages) -> npt.NDArray[np.uint8]:
    return np.stack([np.asarray(picture) for picture in images.pictures])


def test_idx_files_find_their_labels_and_their_parts(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", PIXELS)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", PIXELS[:2])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", LABELS[:2])
    found = find_images([tmp_path])
    assert set(found) == {"train", "test"}
    assert (as_array(found["train"])[..., 0] == PIXELS).all()
    assert found["train"].labels == [("0",), ("1",), ("1",), ("0",), ("1",), ("9",)]
    assert found["test"].counts() == {"0": 1, "1": 1}
    one = find_images([tmp_path / "t10k-images-idx3-ubyte"])
    assert set(one) == {"train"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [((-3, b""), "is not whole"), ((4, b"\1\0\0\0"), "is no IDX file")],
)
def test_a_damaged_idx_file_is_named(tmp_path: Path, damage: tuple[int, bytes], said: str) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", PIXELS)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    path = tmp_path / "train-images-idx3-ubyte"
    kept, before = damage
    content = path.read_bytes()
    path.write_bytes(before + (content[kept:] if before else content[:kept]))
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte.*{said}"):
        find_images([tmp_path])


def test_idx_pictures_without_labels_say_which_file_is_missing(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", PIXELS)
    with pytest.raises(DataError, match="there should be train-labels-idx1-ubyte"):
        find_images([tmp_path])


def test_an_empty_jsonl_and_a_pickle_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty\.jsonl: is empty; give a JSON object on each line"):
        find_images([tmp_path / "empty.jsonl"])
    np.savez(tmp_path / "objects.npz", images=np.array([[1], [2, 3]], dtype=object))
    with pytest.raises(DataError, match=r"objects\.npz: cannot be read as NPZ .*holds Python objects") as told:
        find_images([tmp_path / "objects.npz"])
    assert "allow_pickle" not in str(told.value)


def test_npz_of_the_usual_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "keras.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:2], y_test=LABELS[:2])
    found = find_images([tmp_path / "keras.npz"])
    assert {part: len(images) for part, images in found.items()} == {"train": 6, "test": 2}
    colour = np.stack([PIXELS] * 3, -1)
    np.savez(
        tmp_path / "med.npz",
        train_images=colour,
        train_labels=LABELS[:, None],
        val_images=colour[:1],
        val_labels=LABELS[:1, None],
    )
    found = find_images([tmp_path / "med.npz"])
    assert {part: len(images) for part, images in found.items()} == {"train": 6, "valid": 1}
    assert (as_array(found["train"]) == colour).all()
    np.savez(tmp_path / "float.npz", images=np.moveaxis(colour, 3, 1) / np.float32(255), labels=LABELS)
    assert (as_array(find_images([tmp_path / "float.npz"])["train"]) == colour).all()
    np.savez(tmp_path / "other.npz", pictures=PIXELS)
    with pytest.raises(DataError, match=r"no array called images or x; its arrays are pictures"):
        find_images([tmp_path / "other.npz"])
    np.savez(tmp_path / "objects.npz", images=np.array([{}, {}], object), labels=LABELS[:2])
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        find_images([tmp_path / "objects.npz"])


def test_a_folder_for_each_class_with_or_without_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(2):
                Image.fromarray(PIXELS[number]).save(tmp_path / part / label / f"{number}.png")
            (tmp_path / part / label / "notes.txt").write_text("no picture")
    found = find_images([tmp_path])
    assert found["train"].counts() == {"cat": 2, "dog": 2}
    assert found["test"].examples[0].place.endswith("0.png")
    alone = find_images([tmp_path / "train"])["train"]
    assert [Path(str(picture)).name for picture in alone.pictures] == ["0.png", "1.png"] * 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: has no pictures in folders"):
        find_images([tmp_path / "empty"])


def test_tables_that_name_files(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.fromarray(PIXELS[number]).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "a.csv").write_text("image,label\n0.png,x\n1.png,y\n", encoding="utf-8")
    found = find_images([tmp_path / "a.csv"])["train"]
    assert found.labels == [("x",), ("y",)]
    assert found.pictures[0] == tmp_path / "images" / "0.png"
    rows = [{"what": "0.png", "kind": ["x", "y"]}, {"what": "1.png", "kind": "z"}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError, match=r"b.jsonl:1: has no column with a known name for the image; .*--image-column"):
        find_images([tmp_path / "b.jsonl"])
    columns = ImageColumns(image="what", label="kind", images=tmp_path / "images")
    assert find_images([tmp_path / "b.jsonl"], columns)["train"].labels == [("x", "y"), ("z",)]
    (tmp_path / "c.csv").write_text("image,label\n0.png,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"c.csv:2: has no label"):
        find_images([tmp_path / "c.csv"])


def test_tables_of_pixels(tmp_path: Path) -> None:
    square = PIXELS[:, :4, :4]
    body = "\n".join(
        ",".join([str(label), *map(str, own.flatten())]) for label, own in zip(LABELS, square, strict=True)
    )
    header = ",".join(["label", *(f"pixel{number}" for number in range(16))])
    (tmp_path / "train.csv").write_text(f"{header}\n{body}\n", encoding="utf-8")
    found = find_images([tmp_path / "train.csv"])["train"]
    assert (as_array(found)[..., 0] == square).all()
    (tmp_path / "bad.csv").write_text(f"{header}\n0,{','.join(['7'] * 15)},300\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad.csv:2: must be pixels from 0 to 255"):
        find_images([tmp_path / "bad.csv"])


def test_each_class_has_its_share_of_the_validation_part() -> None:
    images = LabelledImages.of([PIXELS[0]] * 40, ["a"] * 30 + ["b"] * 10)
    splits = split_images({"train": images}, 0.2, seed=0)
    assert splits.valid.counts() == {"a": 6, "b": 2}
    assert splits.train.UNIT == "picture"
