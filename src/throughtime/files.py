"""Files that are whole or not there at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from throughtime.errors import ArgumentError, ThroughTimeError


class DiskFullError(ThroughTimeError, OSError):
    """There is no room for a file; what stood there before is untouched."""


def check_output_file(name: str, path: Path, endings: Sequence[str]) -> None:
    """Check, before the work whose result it is to hold, that a file can be written.

    Args:
        name: of the argument, for the message.
        path: the file.
        endings: what its name may end in, in lower case.

    Raises:
        ArgumentError: for another ending, a folder in its place, or a folder around it that isn't there.
    """
    if path.suffix.lower() not in endings:
        raise ArgumentError(f"`{name}` must be a file that ends in {' or '.join(endings)}, got {path.name!r}")
    if path.is_dir():
        raise ArgumentError(f"`{name}` must be a file, and {path} is a folder")
    if not path.parent.is_dir():
        raise ArgumentError(f"`{name}`: there is no folder {path.parent}; make it, or give another")


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Give a temporary path beside ``path`` to write to; on leaving, it takes the place of ``path`` atomically.

    The bytes are forced to the disk before the rename, so that after a crash or a kill the file is
    the old one or the new one, never a part. On an error the old file stays and the temporary one is removed.

    Raises:
        DiskFullError: where the disk is full.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(descriptor)
    temporary = Path(name)
    try:
        with _explained_when_full(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically.

    Raises:
        DiskFullError: where the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def written_whole(path: Path) -> Generator[BinaryIO]:
    """Open a file of one's own, that nobody else reads, for writing bytes; a full disk is told as such.

    Raises:
        DiskFullError: where the disk is full.
    """
    with _explained_when_full(path), path.open("wb") as file:
        yield file


def append_line(path: Path, line: str) -> None:
    """Add a line to a UTF-8 file.

    Raises:
        DiskFullError: where the disk is full.
    """
    with _explained_when_full(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(line + "\n")


@contextmanager
def _explained_when_full(path: Path) -> Generator[None]:
    try:
        yield
    except Exception as error:
        # safetensors reports a full disk through an error of its own that keeps only the system's words.
        is_full = getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error)
        if not is_full:
            raise
        message = f"{path}: the disk is full; free some space and run again, nothing that stood there was changed"
        raise DiskFullError(message) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
