"""Videos as people keep them: folders of pictures, animated GIFs, NPZ; where there are labels, a folder for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from throughtime.data.image_arrays import LABEL_NAMES, NPZ_BEGINS, Arrays, read_npz
from throughtime.data.images import Pixels
from throughtime.data.labelled_examples import split_off
from throughtime.data.splits import Splits, joined_parts, splits_of
from throughtime.data.text import part_of
from throughtime.data.videos import LabelledVideos, is_frame, read_animation
from throughtime.errors import DataError, data_error

VIDEO_NAMES = ("videos", "frames", "x", "clips", "video", "data", "arr_0")


def find_videos(sources: Sequence[LabelledVideos | Path | str]) -> dict[str, LabelledVideos]:
    """Find the parts of a set of videos in what the user gave.

    Args:
        sources: ``LabelledVideos``; NPZ files with an array of shape (videos, time, height, width) or (..., channel),
            and perhaps labels; GIF files; folders of videos, where a video is a GIF or a folder of pictures, and the
            folder that it is in may be its label; all of this in folders called train, valid and test or not.

    Returns:
        The videos of each part, train, valid or test; "train" has all where the names don't say.

    Raises:
        DataError: where there is nothing to read, or a file can't be read, naming it.
    """
    found: dict[str, list[LabelledVideos]] = {}
    for source in sources:
        parts = [("train", source)] if isinstance(source, LabelledVideos) else _found(Path(source))
        for part, videos in parts:
            found.setdefault(part, []).append(videos)
    if not found:
        raise DataError("there are no videos; give files or folders")
    return joined_parts(found)


def split_videos(parts: dict[str, LabelledVideos], validation_fraction: float, *, seed: int) -> Splits[LabelledVideos]:
    """Take a validation part out of the training part where there is none.

    Raises:
        DataError: where there is no training part, or it is too small.
    """
    return splits_of(parts, lambda train: split_off(train, validation_fraction, seed=seed))


def _found(path: Path) -> Iterator[tuple[str, LabelledVideos]]:
    if not path.exists():
        raise data_error(path, "there is no such file or folder")
    if not path.is_dir():
        yield part_of(path.name) or "train", _file(path)
        return
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    parts = {part: entry for entry in entries if entry.is_dir() and (part := part_of(entry.name))}
    if "train" in parts:
        for part, folder in parts.items():
            yield part, _folder(folder)
        return
    arrays = [entry for entry in entries if entry.suffix.lower() == ".npz"]
    if arrays:
        for entry in arrays:
            yield part_of(entry.name) or "train", _file(entry)
        return
    yield "train", _folder(path)


def _file(path: Path) -> LabelledVideos:
    if path.suffix.lower() == ".npz":
        return _arrays(path)
    if path.suffix.lower() == ".gif":
        return _told(LabelledVideos.of([path], name=str(path)), path)
    raise data_error(path, "is no video; give NPZ, an animated GIF, or a folder of pictures")


def _folder(path: Path) -> LabelledVideos:
    """Videos in a folder, or in folders that are their labels; or the folder is a video itself."""
    if _is_video(path):
        return _told(LabelledVideos.of([path], name=str(path)), path)
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    videos = [entry for entry in entries if _is_video(entry)]
    labels: list[str] | None = None
    if not videos:
        named = [
            (one, entry.name)
            for entry in entries
            if entry.is_dir()
            for one in sorted(entry.iterdir())
            if _is_video(one)
        ]
        videos, labels = [one for one, _ in named], [label for _, label in named]
    if not videos:
        raise data_error(path, "has no videos in it; a video is a GIF, or a folder with a picture for each frame")
    return _told(LabelledVideos.of(videos, labels, str(path)), path)


def _is_video(path: Path) -> bool:
    if path.is_dir():
        frames = [file for file in path.iterdir() if is_frame(file) and file.suffix.lower() != ".gif"]
        return bool(frames)
    return path.suffix.lower() == ".gif"


def read_videos(content: bytes, *, most_pixels: int | None = None) -> list[Pixels]:
    """Read videos from the content of a file: an animated GIF, or NPZ with one video or several.

    Args:
        content: of the file.
        most_pixels: of all frames together; what has more is refused before it is unpacked.

    Returns:
        Each video, shape (time, height, width) or (time, height, width, channel).

    Raises:
        DataError: where it can't be read, or is too large.
        MissingExtraError: where Pillow is needed and not installed.
    """
    if content.startswith(NPZ_BEGINS):
        # Pixels may be eight bytes each.
        arrays = read_npz(content, most_bytes=most_pixels and 8 * most_pixels)
        return list(_pixels(arrays[_video_name(arrays, "the file")], "the file"))
    return [np.stack(read_animation(content, "the video", most_pixels=most_pixels))]


def _video_name(arrays: Arrays, path: Path | str) -> str:
    name = next((own for known in VIDEO_NAMES for own in arrays if own.lower() == known), None)
    if name is None:
        raise data_error(path, f"has no array called videos or frames; its arrays are {', '.join(arrays) or 'none'}")
    return name


def _arrays(path: Path) -> LabelledVideos:
    arrays = read_npz(path)
    name = _video_name(arrays, path)
    labels = next(
        (arrays[own] for known in LABEL_NAMES for own in arrays if own.lower() == known and own != name), None
    )
    pixels = _pixels(arrays[name], path)
    if labels is not None and len(labels) != len(pixels):
        raise data_error(path, f"has {len(pixels):,} videos and {len(labels):,} labels")
    videos = LabelledVideos.of(list(pixels), None if labels is None else labels.reshape(-1).tolist(), str(path))
    return _told(videos, path)


def _pixels(array: npt.NDArray[Any], path: Path | str) -> Pixels:
    if array.ndim == 3:
        array = array[None]
    if array.ndim not in {4, 5} or 0 in array.shape:
        wanted = "(videos, time, height, width) or (videos, time, height, width, channel)"
        raise data_error(path, f"its videos must have shape {wanted}, got {array.shape}")
    if array.dtype == np.uint8:
        return array
    values = array.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise data_error(path, f"its pixels must be numbers from 0 to 255, or from 0 to 1, got {array.dtype}")
    scale = 255 if array.dtype.kind == "f" and values.max() <= 1 else 1
    return (values * scale).round().astype(np.uint8)


def _told(videos: LabelledVideos, path: Path) -> LabelledVideos:
    return replace(videos, remarks=(f"{path}: {videos.summary()}",))
