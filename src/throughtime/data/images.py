"""Pictures to pixels of one size, and how pixels become numbers: what a network saw in training it sees ever after."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from throughtime.errors import (
    ArgumentError,
    DataError,
    MissingExtraError,
    check_choice,
    check_positive_integer,
    data_error,
)

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
"""A picture of shape (height, width, channel), or several, (pictures, height, width, channel), from 0 to 255."""

Picture = Path | Pixels
"""A picture: a file, or its pixels, of shape (height, width) or (height, width, channel)."""

FITS = ("stretch", "crop", "pad")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
"""The ends of the names of files that are taken for pictures."""
WHITE = 255


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the input of a network; it is kept in the model folder, and is a part of the model.

    Attributes:
        height: of the input, in pixels.
        width: of the input.
        channels: 1 for grey, 3 for red, green and blue.
        mean: of each channel, which is taken away from values between 0 and 1.
        std: of each channel, by which the rest is divided.
        fit: how a picture of another shape becomes the input's: it is stretched; its middle is cropped; or it is put on
            a white ground.
        crop_fraction: which part of the shorter side is left by cropping.

    Raises:
        ArgumentError: for a size below 1, or numbers that are not one for each channel.
    """

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            check_positive_integer(name, getattr(self, name))
        check_choice("fit", self.fit, FITS)
        if self.channels not in {1, 3}:
            raise ArgumentError(f"`channels` must be 1 (grey) or 3 (colour), got {self.channels}")
        for name in ("mean", "std"):
            numbers: tuple[float, ...] = getattr(self, name)
            if len(numbers) not in {1, self.channels}:
                raise ArgumentError(f"`{name}` must be one number, or one for each channel, got {len(numbers)}")
            object.__setattr__(self, name, tuple(map(float, numbers)) * (self.channels if len(numbers) == 1 else 1))
        if min(self.std) <= 0:
            raise ArgumentError(f"`std` must be positive, got {min(self.std)}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        return self.height, self.width, self.channels

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Make it from plain values.

        Raises:
            ArgumentError: where a value can't be used.
            TypeError: where there is another name.
        """
        values: dict[str, Any] = {**content, "mean": tuple(content["mean"]), "std": tuple(content["std"])}
        return cls(**values)

    def pixels(self, picture: Picture, place: str = "") -> Pixels:
        """The picture's pixels in the size of the input, shape (height, width, channels).

        Args:
            picture: a file, or pixels of any size.
            place: what the picture is called in messages; the file's name by default.

        Raises:
            DataError: naming the picture, where it can't be read.
            MissingExtraError: where reading or resizing it needs Pillow and that is not installed.
        """
        if isinstance(picture, Path):
            return np.asarray(self._fitted(open_image(picture, self.channels))).reshape(self.shape)
        pixels = checked_pixels(picture, place)
        if pixels.shape[:2] == (self.height, self.width) and pixels.shape[2] in {1, self.channels}:
            return np.broadcast_to(pixels, self.shape)
        return np.asarray(self._fitted(image_of(pixels, self.channels))).reshape(self.shape)

    def _fitted(self, image: Image) -> Image:
        size = self.width, self.height
        if image.size == size:
            return image
        from PIL import Image as Images  # noqa: PLC0415 - an extra
        from PIL import ImageOps  # noqa: PLC0415

        resample = Images.Resampling.BILINEAR
        if self.fit == "stretch":
            return image.resize(size, resample)
        if self.fit == "crop":
            large = round(self.width / self.crop_fraction), round(self.height / self.crop_fraction)
            filled = ImageOps.fit(image, large, resample)
            left, top = (large[0] - size[0]) // 2, (large[1] - size[1]) // 2
            return filled.crop((left, top, left + size[0], top + size[1]))
        return ImageOps.pad(image, size, resample, color=WHITE if self.channels == 1 else (WHITE,) * 3)


def checked_pixels(pixels: Pixels, place: str = "") -> Pixels:
    """Pixels with an axis of channels, shape (height, width, channel).

    Raises:
        DataError: where they are no picture.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in {2, 3} or 0 in pixels.shape:
        wanted = "must be pixels from 0 to 255, uint8, of shape (height, width) or (height, width, channel)"
        raise data_error(place or "picture", f"{wanted}, got {pixels.dtype} of shape {pixels.shape}")
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.shape[2] not in {1, 3, 4}:
        raise data_error(place or "picture", f"must have 1, 3 or 4 channels, the last axis, got shape {pixels.shape}")
    return pixels


def open_image(path: Path, channels: int = 3) -> Image:
    """Open a picture's file as it is to be seen: turned as the camera says, on white where it is transparent.

    Raises:
        DataError: naming the file, where it is missing, broken or no picture.
        MissingExtraError: where Pillow is not installed.
    """
    return _opened(path, str(path), channels, None)


def read_picture(content: bytes, *, most_pixels: int | None = None, place: str = "the picture") -> Pixels:
    """The content of a picture's file as pixels, shape (height, width, 3).

    Args:
        content: in any format that Pillow reads.
        most_pixels: a larger picture is refused before it is unpacked, as few bytes may hold very many pixels.
        place: what the picture is called in messages.

    Raises:
        DataError: where it is broken, no picture, or too large.
        MissingExtraError: where Pillow is not installed.
    """
    return np.asarray(_opened(BytesIO(content), place, 3, most_pixels))


def _opened(source: Path | BytesIO, path: str, channels: int, most_pixels: int | None) -> Image:
    with opened_image(source, path) as file:
        from PIL import ImageOps  # noqa: PLC0415 - an extra

        if most_pixels is not None and file.width * file.height > most_pixels:
            size = f"{file.width:,} x {file.height:,}"
            raise data_error(path, f"has {size} pixels; make it smaller, {most_pixels:,} are read at most")
        return converted(ImageOps.exif_transpose(file), channels)


@contextmanager
def opened_image(source: Path | BytesIO, path: str) -> Generator[Image]:
    """Pillow's image, open for as long as it is read.

    Raises:
        DataError: naming the file, where it is missing, broken or no picture.
        MissingExtraError: where Pillow is not installed.
    """
    with_pillow()
    from PIL import Image as Images  # noqa: PLC0415 - an extra

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            with Images.open(source) as file:
                yield file
    except DataError:
        raise
    except FileNotFoundError as error:
        raise data_error(path, "there is no such file") from error
    except Images.UnidentifiedImageError as error:
        raise data_error(path, "is not a picture that Pillow can read") from error
    except (OSError, ValueError, SyntaxError, Images.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise data_error(path, f"is broken and can't be read as a picture ({reason})") from error


def image_of(pixels: Pixels, channels: int = 3) -> Image:
    """Pixels of shape (height, width, channel) as Pillow's image, grey or coloured."""
    with_pillow()
    from PIL import Image as Images  # noqa: PLC0415 - an extra

    return converted(Images.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), channels)


def converted(image: Image, channels: int) -> Image:
    """Pillow's image in grey or colour; what is transparent becomes white, 16-bit grey keeps its contrast."""
    from PIL import Image as Images  # noqa: PLC0415 - an extra

    if image.mode.startswith("I"):
        image = Images.fromarray((np.asarray(image).astype(np.float32) / 257).clip(0, WHITE).astype(np.uint8))
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        ground = Images.new("RGBA", clear.size, (WHITE, WHITE, WHITE, WHITE))
        image = Images.alpha_composite(ground, clear)
    return image.convert("L" if channels == 1 else "RGB")


def with_pillow() -> None:
    """Raise MissingExtraError unless Pillow is installed."""
    try:
        importlib.import_module("PIL")
    except ImportError as error:
        raise MissingExtraError("reading and resizing pictures", "Pillow", "vision") from error
