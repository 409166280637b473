"""What is computed once of each picture, in a file that is mapped into memory: pixels of one size, or features.

A file NAME.npy holds a row for each picture, NAME.json beside it how far it is and what it was made of. A run that is
cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from throughtime.data.array_files import mapped_array
from throughtime.data.frames import Frames
from throughtime.data.images import Picture, Pixels, Preprocessing
from throughtime.errors import DataError, ModelFolderError, counted
from throughtime.files import DiskFullError, write_text

Extract = Callable[[Pixels], npt.NDArray[Any]]
"""From pixels of shape (pictures, height, width, channel) to their rows, (pictures, ...)."""

AT_ONCE = 64
SAVED_EVERY = 5.0
ROOM_LEFT = 64 * 2**20


def _silent(_: str) -> None:
    return


def _still(_: float) -> None:
    return


@dataclass(frozen=True)
class FeatureCache:
    """Rows of pictures, to be written once and read at random.

    Attributes:
        file: ends in .npy.
        preprocessing: from pictures to pixels.
        extract: from pixels to a row; None keeps the pixels themselves.
        shape: of a row.
        dtype: of the numbers of a row.
        made_by: what ``extract`` is, such as the name of its network; another one makes the file anew.
    """

    file: Path
    preprocessing: Preprocessing
    extract: Extract | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "uint8"
    made_by: str = "pixels"

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of a row."""
        return self.preprocessing.shape if self.extract is None else self.shape

    def size(self, pictures: int) -> int:
        """Bytes of the file for so many pictures."""
        return pictures * int(np.prod(self.row_shape)) * np.dtype(self.dtype).itemsize

    def write(
        self,
        pictures: Sequence[Picture],
        places: Sequence[str],
        *,
        skip_broken: bool = False,
        tell: Callable[[str], None] = _silent,
        progress: Callable[[float], None] = _still,
    ) -> list[int]:
        """Compute the rows of pictures, or what is missing of them.

        Args:
            pictures: all that the file is for.
            places: what each is called in messages.
            skip_broken: whether a picture that can't be read is left out (its row is zero) rather than an error.
            tell: gets lines for people: size and time before the work, and what was left out.
            progress: gets the share that is done.

        Returns:
            The pictures that were left out.

        Raises:
            DataError: naming the picture, where one can't be read; what was computed stays, and the next call goes on.
            DiskFullError: before the work, where the file has no room.
        """
        begun = _Progress.of(self, places)
        rows = begun.open(self, len(pictures))
        started = saved = time.monotonic()
        first = begun.done
        told = False
        while begun.done < len(pictures):
            batch = range(begun.done, min(begun.done + AT_ONCE, len(pictures)))
            pixels, kept = self._read(pictures, places, batch, begun, skip_broken)
            if kept:
                rows[kept] = pixels if self.extract is None else self.extract(pixels)
            begun.done = batch.stop
            now = time.monotonic()
            if not told and now - started > 1 and begun.done < len(pictures):
                remaining = (now - started) / (begun.done - first) * (len(pictures) - begun.done)
                name = f"{self.made_by} of {counted(len(pictures), 'picture')}"
                tell(f"{name}: {self.size(len(pictures)) / 2**20:,.1f} MB, about {_spoken(remaining)}")
                told = True
            if now - saved > SAVED_EVERY:
                rows.flush()
                begun.save(self)
                saved = now
            progress(begun.done / len(pictures))
        rows.flush()
        begun.save(self)
        if begun.broken:
            first_place = places[begun.broken[0]]
            tell(f"{counted(len(begun.broken), 'picture')} left out that can't be read, the first {first_place}")
        return begun.broken

    def _read(
        self, pictures: Sequence[Picture], places: Sequence[str], batch: range, begun: _Progress, skip_broken: bool
    ) -> tuple[Pixels, list[int]]:
        found: list[Pixels] = []
        kept: list[int] = []
        for row in batch:
            try:
                found.append(self.preprocessing.pixels(pictures[row], places[row]))
                kept.append(row)
            except DataError as error:
                if not skip_broken:
                    begun.save(self)
                    raise DataError(f"{error}; mend it, or leave such pictures out with --skip-broken") from error
                begun.broken.append(row)
        return (np.stack(found) if found else np.empty((0, *self.preprocessing.shape), np.uint8)), kept


def open_features(file: Path) -> Frames:
    """The rows that ``FeatureCache.write`` wrote, mapped into memory, without those of pictures that were left out.

    Raises:
        ModelFolderError: where the file is missing, damaged or not finished.
    """
    try:
        array = mapped_array(file)
        content = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        done, broken = int(content["done"]), set(content["broken"])
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise ModelFolderError(f"{file}: the prepared pictures are missing or damaged ({error})") from error
    if done < len(array):
        raise ModelFolderError(f"{file}: is not finished, {done:,} of {len(array):,} pictures are done")
    return Frames(array, np.array([row for row in range(len(array)) if row not in broken], dtype=np.int64))


@dataclass
class _Progress:
    """How far a file is.

    Attributes:
        key: of what it is made of; a file with another key is not gone on with.
        done: rows that are written.
        broken: those of pictures that can't be read.
    """

    key: str
    done: int = 0
    broken: list[int] = field(default_factory=list[int])

    @classmethod
    def of(cls, cache: FeatureCache, places: Sequence[str]) -> _Progress:
        made_of = {
            "preprocessing": cache.preprocessing.to_json(),
            "made_by": cache.made_by,
            "shape": cache.row_shape,
            "dtype": cache.dtype,
            "places": list(places),
        }
        key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        try:
            content = json.loads(cache.file.with_suffix(".json").read_text(encoding="utf-8"))
            if content["key"] == key and cache.file.exists():
                return cls(key, int(content["done"]), [int(row) for row in content["broken"]])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return cls(key)

    def open(self, cache: FeatureCache, pictures: int) -> np.memmap[Any, Any]:
        if self.done:
            try:
                return open_memmap(cache.file, mode="r+")
            except (OSError, ValueError):
                self.done, self.broken = 0, []
        needed = cache.size(pictures)
        free = shutil.disk_usage(cache.file.parent).free
        if needed + ROOM_LEFT > free:
            raise DiskFullError(
                f"{cache.file}: {cache.made_by} of {pictures:,} pictures need {needed / 2**20:,.0f} MB, "
                f"and {free / 2**20:,.0f} MB are free"
            )
        return open_memmap(cache.file, mode="w+", dtype=cache.dtype, shape=(pictures, *cache.row_shape))

    def save(self, cache: FeatureCache) -> None:
        content = {"key": self.key, "done": self.done, "broken": self.broken}
        write_text(cache.file.with_suffix(".json"), json.dumps(content) + "\n")


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
