"""Language modelling: learn a text, judge other text by it, and write on.

The network reads a text token by token and gives the probability of each next token; writing feeds each output
back as the next input. Training is truncated backpropagation through time over lanes of the text whose state
is carried from window to window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from throughtime.bptt import clip_each_norm, clip_global_norm
from throughtime.cells import CELLS
from throughtime.data import (
    Lanes,
    TokenFile,
    Tokenizer,
    evaluation_windows,
    find_splits,
    prepare_tokens,
    train_tokenizer,
)
from throughtime.decoding import sample, stop_at
from throughtime.errors import ArgumentError, check_choice, check_range
from throughtime.models import RecurrentLanguageModel
from throughtime.tasks.settings import TaskSettings, parse_duration
from throughtime.training import (
    Display,
    Limits,
    ModelFolder,
    NextTokenObjective,
    Processes,
    Recorder,
    Schedule,
    Trainer,
    autocast,
    build_optimizers,
    choose_device,
    choose_precision,
    next_token_loss,
)

TASK = "language_modelling"
