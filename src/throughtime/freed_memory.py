"""What the C library does with memory that a process frees: kept for the next training step, or given back."""

from __future__ import annotations

import ctypes
import sys

# The parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8


def keep_freed_memory() -> None:
    """Ask the C library to keep what this process frees, for the next allocation of that size.

    glibc gives large blocks back to the system at once, and every training step pays for zeroed pages anew: on
    two cores a third of the time of a step of an LSTM with 448 units. Changes the whole process, so it is for
    programs that train and do nothing else. Does nothing where the C library is another one.
    """
    _set_options({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 1 << 26})


def give_back_freed_memory() -> None:
    """Ask the C library to give back what this process frees, for programs that answer in many threads.

    glibc has a heap for each thread, which keeps as much as the largest answer ever took there, and raises the size
    from which a block is given back at once to that of the largest block freed. With one heap for all threads, and
    blocks of a megabyte given back, memory doesn't grow with the number of answers. To be called before threads start.
    Changes the whole process; does nothing where the C library is another one.
    """
    _set_options({_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: 1 << 20})


def _set_options(options: dict[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in options.items():
            mallopt(name, value)
