"""From files to tensors: text, vocabularies, token ids, and windows of them."""

from throughtime.data.batching import (
    EvaluationWindow,
    Lanes,
    Tokens,
    TrainingWindow,
    evaluation_windows,
    largest_batch_size,
)
from throughtime.data.corpus import Corpus, CorpusSource, Words, open_corpus
from throughtime.data.sample_world import little_world, little_world_analogies
from throughtime.data.samples import python_language_reference
from throughtime.data.text import (
    Splits,
    StandardInput,
    Text,
    TextFile,
    TextInMemory,
    TextSource,
    find_splits,
    find_texts,
)
from throughtime.data.token_decoders import Decoder
from throughtime.data.token_files import TokenCounts, TokenFile, write_tokens
from throughtime.data.tokenizer import Tokenizer
from throughtime.data.tokenizers import train_tokenizer

__all__ = [
    "Corpus",
    "CorpusSource",
    "Decoder",
    "EvaluationWindow",
    "Lanes",
    "Splits",
    "StandardInput",
    "Text",
    "TextFile",
    "TextInMemory",
    "TextSource",
    "TokenCounts",
    "TokenFile",
    "Tokenizer",
    "Tokens",
    "TrainingWindow",
    "Words",
    "evaluation_windows",
    "find_splits",
    "find_texts",
    "largest_batch_size",
    "little_world",
    "little_world_analogies",
    "open_corpus",
    "python_language_reference",
    "train_tokenizer",
    "write_tokens",
]
