"""A cell over a sequence: the reference loop, torch's kernels, the native core, and the choice between them."""

from __future__ import annotations

from throughtime.recurrence.direction import Direction
from throughtime.recurrence.fused import run_fused
from throughtime.recurrence.reference import run_reference
from throughtime.recurrence.run import BACKENDS, Backend, run
from throughtime.recurrence.torch_native import run_torch

__all__ = ["BACKENDS", "Backend", "Direction", "run", "run_fused", "run_reference", "run_torch"]
