"""From scores to text: sampling and greedy decoding over any step function."""

from throughtime.decoding.sampling import (
    NextStep,
    Sampling,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    sample,
)
from throughtime.decoding.stopping import stop_at

__all__ = [
    "NextStep",
    "Sampling",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalize_repetition",
    "sample",
    "stop_at",
]
