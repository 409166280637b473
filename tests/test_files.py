from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from throughtime.errors import ArgumentError
from throughtime.files import DiskFullError, check_output_file, replacing, write_text


def test_where_a_file_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    check_output_file("figure", tmp_path / "look.PNG", (".png",))
    (tmp_path / "folder.png").mkdir()
    for path, message in (
        (tmp_path / "look.doc", r"`figure` must be a file that ends in .png or .svg, got 'look.doc'"),
        (tmp_path / "folder.png", r"`figure` must be a file, and .*folder.png is a folder"),
        (tmp_path / "none" / "look.png", "`figure`: there is no folder .*none; make it, or give another"),
    ):
        with pytest.raises(ArgumentError, match=message):
            check_output_file("figure", path, (".png", ".svg"))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old\n")
    with replacing(path) as temporary:
        temporary.write_text("new\n", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old\n"
    assert path.read_text(encoding="utf-8") == "new\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), DiskFullError),
        (RuntimeError(f"Error while serializing: {os.strerror(errno.ENOSPC)}"), DiskFullError),
        (ValueError("something else"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException, raised: type) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old\n")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne", encoding="utf-8")
            raise error

    with pytest.raises(raised):
        fail()
    assert path.read_text(encoding="utf-8") == "old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_text(tmp_path / "ours", "text")
    assert (tmp_path / "ours").stat().st_mode == ordinary.stat().st_mode
