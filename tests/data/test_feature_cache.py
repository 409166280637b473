from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from throughtime.data import FeatureCache, Pixels, Preprocessing, open_features
from throughtime.errors import DataError, ModelFolderError
from throughtime.files import DiskFullError

PICTURES = np.random.default_rng(0).integers(0, 256, (150, 3, 4, 3), dtype=np.uint8)
PLACES = [f"picture {number}" for number in range(150)]
HOW = Preprocessing(3, 4)


def means(pixels: Pixels) -> npt.NDArray[Any]:
    return pixels.mean((1, 2)).astype(np.float32)


def test_pixels_and_features_stand_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    assert FeatureCache(tmp_path / "a.npy", HOW).write(list(PICTURES), PLACES) == []
    assert (open_features(tmp_path / "a.npy").array == PICTURES).all()
    cache = FeatureCache(tmp_path / "b.npy", HOW, means, (3,), "float32", "means")
    assert cache.size(150) == 150 * 3 * 4
    cache.write(list(PICTURES), PLACES)
    frames = open_features(tmp_path / "b.npy")
    np.testing.assert_array_equal(frames.array, means(PICTURES))
    batch = frames.batch([7, 7, 3])
    assert batch.values.shape == (1, 3, 3)
    np.testing.assert_array_equal(batch.values[0, 0], frames.array[7])


def test_what_was_cut_off_goes_on_and_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    counts: list[int] = []

    def counted(pixels: Pixels) -> npt.NDArray[Any]:
        counts.append(len(pixels))
        return means(pixels)

    cache = FeatureCache(tmp_path / "a.npy", HOW, counted, (3,), "float32")
    damaged = [*PICTURES[:100], np.zeros((3, 4, 2), np.uint8), *PICTURES[101:]]
    with pytest.raises(DataError, match=r"picture 100: .*--skip-broken"):
        cache.write(damaged, PLACES)
    cache.write(list(PICTURES), PLACES)
    assert counts == [64, 64, 22]  # the first 64 stood already when it went on
    np.testing.assert_array_equal(open_features(tmp_path / "a.npy").array, means(PICTURES))
    # Of other pictures nothing is taken over.
    cache.write(list(PICTURES), [*PLACES[:-1], "another"])
    assert sum(counts) == 300


def test_broken_pictures_are_left_out_only_if_asked(tmp_path: Path) -> None:
    Image.fromarray(PICTURES[0]).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    Image.fromarray(PICTURES[2]).save(tmp_path / "2.png")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    names = [str(file) for file in files]
    cache = FeatureCache(tmp_path / "a.npy", HOW)
    with pytest.raises(DataError, match=r"1.png: .*mend it, or leave such pictures out with --skip-broken"):
        cache.write(files, names)
    told: list[str] = []
    assert cache.write(files, names, skip_broken=True, tell=told.append) == [1]
    assert "1 picture left out" in told[0]
    frames = open_features(tmp_path / "a.npy")
    assert frames.rows.tolist() == [0, 2]
    np.testing.assert_array_equal(frames.batch([1]).values[0, 0], PICTURES[2])


def test_a_disk_without_room_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))  # pyright: ignore  # noqa: PGH003
    with pytest.raises(DiskFullError, match=r"a.npy: pixels of 150 pictures need 0 MB, and 0 MB are free"):
        FeatureCache(tmp_path / "a.npy", HOW).write(list(PICTURES), PLACES)
    assert not (tmp_path / "a.npy").exists()


def test_a_missing_or_unfinished_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"a.npy: the prepared pictures are missing or damaged"):
        open_features(tmp_path / "a.npy")
    with pytest.raises(DataError):
        FeatureCache(tmp_path / "a.npy", HOW).write([*PICTURES[:70], tmp_path / "none.png"], PLACES[:71])
    with pytest.raises(ModelFolderError, match="is not finished, 64 of 71"):
        open_features(tmp_path / "a.npy")
