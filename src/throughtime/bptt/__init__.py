"""Backpropagation through time: truncated to (k1, k2), and with clipped gradients."""

from throughtime.bptt.clipping import ClipResult, clip_each_norm, clip_global_norm
from throughtime.bptt.truncated import TruncatedLoss, Window, detach, run_window, truncated_bptt, windows

__all__ = [
    "ClipResult",
    "TruncatedLoss",
    "Window",
    "clip_each_norm",
    "clip_global_norm",
    "detach",
    "run_window",
    "truncated_bptt",
    "windows",
]
