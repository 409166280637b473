"""Backpropagation through time: exact in a stated memory, truncated to (k1, k2), and with clipped gradients."""

from throughtime.bptt.checkpointed import checkpointed_loss, checkpointed_run
from throughtime.bptt.clipping import ClipResult, clip_each_norm, clip_global_norm
from throughtime.bptt.history import truncated_bptt_with_history
from throughtime.bptt.memory import SegmentCosts
from throughtime.bptt.schedule import CheckpointPlan, plan_checkpoints
from throughtime.bptt.state import detach
from throughtime.bptt.truncated import TruncatedLoss, Window, run_window, truncated_bptt, windows

__all__ = [
    "CheckpointPlan",
    "ClipResult",
    "SegmentCosts",
    "TruncatedLoss",
    "Window",
    "checkpointed_loss",
    "checkpointed_run",
    "clip_each_norm",
    "clip_global_norm",
    "detach",
    "plan_checkpoints",
    "run_window",
    "truncated_bptt",
    "truncated_bptt_with_history",
    "windows",
]
