"""Memory that a training process frees and asks for again at every step."""

from __future__ import annotations

import ctypes
import sys

# The parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Ask the C library to keep what this process frees, for the next allocation of that size.

    glibc gives large blocks back to the system at once, and every training step pays for zeroed pages anew: on
    two cores a third of the time of a step of an LSTM with 448 units. Changes the whole process, so it is for
    programs that train and do nothing else. Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 1 << 26)
