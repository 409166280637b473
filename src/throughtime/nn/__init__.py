"""Modules with weights: recurrent layers that stand in for torch.nn's, single steps, and what goes around them."""

from __future__ import annotations

from throughtime.nn.attention import (
    ATTENTIONS,
    HARD_ATTENTIONS,
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    Look,
    Memory,
    build_attention,
)
from throughtime.nn.chrono import chrono_biases_
from throughtime.nn.conversion import negate_update_gate
from throughtime.nn.convolution import Convolution
from throughtime.nn.convolutional import ConvGRU, ConvLSTM, ConvolutionalRecurrent
from throughtime.nn.dropout import LockedDropout
from throughtime.nn.embedding import Embedding
from throughtime.nn.gradient_flow import GradientFlow, gradient_flow
from throughtime.nn.gradient_norms import GradientNorms, record_gradient_norms
from throughtime.nn.initialization import orthogonal_blocks_
from throughtime.nn.loop import LoopLinear, RecurrentLoop, check_loop
from throughtime.nn.one_hot import OneHot, OneHotLinear
from throughtime.nn.pooling import Pooling
from throughtime.nn.recurrent import Recurrent
from throughtime.nn.recurrent_cells import GRUCell, LSTMCell, RecurrentCell, RNNCell
from throughtime.nn.replacement import Replacements, from_torch, replace_recurrent
from throughtime.nn.rnn import GRU, LSTM, RNN
from throughtime.nn.streaming import Streaming

__all__ = [
    "ATTENTIONS",
    "GRU",
    "HARD_ATTENTIONS",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "ConvGRU",
    "ConvLSTM",
    "Convolution",
    "ConvolutionalRecurrent",
    "DotAttention",
    "Embedding",
    "GRUCell",
    "GeneralAttention",
    "GradientFlow",
    "GradientNorms",
    "LSTMCell",
    "LockedDropout",
    "Look",
    "LoopLinear",
    "Memory",
    "OneHot",
    "OneHotLinear",
    "Pooling",
    "RNNCell",
    "Recurrent",
    "RecurrentCell",
    "RecurrentLoop",
    "Replacements",
    "Streaming",
    "build_attention",
    "check_loop",
    "chrono_biases_",
    "from_torch",
    "gradient_flow",
    "negate_update_gate",
    "orthogonal_blocks_",
    "record_gradient_norms",
    "replace_recurrent",
]
