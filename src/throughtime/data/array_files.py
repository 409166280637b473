"""NumPy's files of arrays, whose headers one thread reads at a time."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

READING = Lock()
"""Held while a header is read: NumPy parses it as Python, and where two threads do so at once, CPython 3.11 can fail
with a SystemError (python/cpython#106905)."""


def mapped_array(path: Path) -> npt.NDArray[Any]:
    """The array in an NPY file, mapped into memory.

    Raises:
        OSError: where the file is missing.
        ValueError: where it is damaged; EOFError, where it ends in its header.
    """
    with READING:
        return np.load(path, mmap_mode="r", allow_pickle=False)
