"""From scores to text: sampling, greedy and beam search over any step function."""

from throughtime.decoding.beam_search import Beam, Hypothesis, Select, beam_search
from throughtime.decoding.constraints import Constraints
from throughtime.decoding.sampling import (
    NextStep,
    Sampling,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    sample,
)
from throughtime.decoding.sequence_sampling import sample_sequences
from throughtime.decoding.stopping import StopFilter, stop_at

__all__ = [
    "Beam",
    "Constraints",
    "Hypothesis",
    "NextStep",
    "Sampling",
    "Select",
    "StopFilter",
    "beam_search",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalize_repetition",
    "sample",
    "sample_sequences",
    "stop_at",
]
