from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from throughtime.data import Preprocessing, checked_pixels, open_image
from throughtime.errors import ArgumentError, DataError, MissingExtraError

GRADIENT = (np.arange(6 * 4 * 3).reshape(6, 4, 3) * 3).astype(np.uint8)


def test_a_picture_of_the_right_size_comes_out_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(GRADIENT).save(tmp_path / "one.png")
    how = Preprocessing(6, 4)
    assert (how.pixels(tmp_path / "one.png") == GRADIENT).all()
    assert (how.pixels(GRADIENT) == GRADIENT).all()
    grey = GRADIENT[..., 0]
    assert (how.pixels(grey) == np.repeat(grey[..., None], 3, 2)).all()
    assert (Preprocessing(6, 4, 1).pixels(grey)[..., 0] == grey).all()


def test_a_camera_that_was_turned_a_transparent_ground_and_deep_grey_are_understood(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(GRADIENT).save(tmp_path / "turned.png", exif=exif)
    assert (np.asarray(open_image(tmp_path / "turned.png")) == np.rot90(GRADIENT, -1)).all()
    clear = np.zeros((6, 4, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (np.asarray(open_image(tmp_path / "clear.png")) == 255).all()
    deep = np.array([[0, 257 * 10], [257 * 100, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.asarray(open_image(tmp_path / "deep.png", 1)).tolist() == [[0, 10], [100, 255]]


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    fit=st.sampled_from(["stretch", "crop", "pad"]),
    channels=st.sampled_from([1, 3]),
)
@settings(max_examples=40)
def test_any_picture_gets_the_size_that_is_wanted_and_keeps_an_even_colour(
    height: int, width: int, fit: str, channels: int
) -> None:
    how = Preprocessing(7, 5, channels, fit=fit)  # pyright: ignore[reportArgumentType]
    pixels = how.pixels(np.full((height, width, 3), 255, np.uint8))
    assert pixels.shape == (7, 5, channels)
    assert (pixels == 255).all()


def test_cropping_keeps_the_middle_and_padding_adds_white() -> None:
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    assert (Preprocessing(4, 4, fit="crop").pixels(wide) == 200).all()
    padded = Preprocessing(4, 4, fit="pad").pixels(np.zeros((4, 2, 3), np.uint8))
    assert (padded[:, 1:3] == 0).all()
    assert (padded[:, [0, 3]] == 255).all()
    # As ResNet's: the shorter side becomes 8, and the 4 in the middle stay.
    dot = np.zeros((8, 8, 3), np.uint8)
    dot[2:6, 2:6] = 100
    assert (Preprocessing(4, 4, fit="crop", crop_fraction=0.5).pixels(dot) == 100).all()


def test_it_is_kept_in_a_file_to_the_last_digit() -> None:
    how = Preprocessing(224, 160, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "crop", 0.875)
    assert Preprocessing.from_json(how.to_json()) == how


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is not a picture"), (b"GIF89a nonsense", "picture"), (None, "there is no such file")],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"broken.png: .*{said}"):
        open_image(path)


def test_a_picture_that_is_cut_off_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:400])
    with pytest.raises(DataError, match=r"half.jpg: is broken"):
        open_image(tmp_path / "half.jpg")


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"cat\[3\]: must be pixels from 0 to 255, uint8, .* got float64"):
        checked_pixels(np.zeros((3, 3)), "cat[3]")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="1, 3 or 4 channels"):
        checked_pixels(np.zeros((3, 3, 2), np.uint8))
    with pytest.raises(ArgumentError, match="`channels` must be 1"):
        Preprocessing(3, 3, 2)
    with pytest.raises(ArgumentError, match="`mean` must be one number, or one for each channel, got 2"):
        Preprocessing(3, 3, 3, mean=(0.1, 0.2))


def test_without_pillow_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"needs Pillow; install it with: pip install 'throughtime\[vision\]'"):
        open_image(tmp_path / "any.png")
    assert Preprocessing(6, 4).pixels(GRADIENT).shape == (6, 4, 3)
