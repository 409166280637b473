"""Single sentences to token ids and back, with a token of their own for the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from throughtime.data.normalisation import normalised
from throughtime.data.tokenizer import Ids, Tokenizer
from throughtime.data.word_tokenizer import WordTokenizer


class SentenceTokenizer:
    """A tokenizer of single lines, whose vocabulary has one more token: the end of a sentence, the last id.

    Args:
        tokenizer: of any kind.
        lower: whether sentences are brought to lower case.
    """

    def __init__(self, tokenizer: Tokenizer, *, lower: bool) -> None:
        self.tokenizer = tokenizer
        self.lower = lower
        self.end = tokenizer.vocabulary_size
        self.vocabulary_size = tokenizer.vocabulary_size + 1

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for what is not in the vocabulary, where there is such."""
        return self.tokenizer.unknown_id

    def prepared(self, sentence: str) -> str:
        """A sentence as the tokenizer gets it.

        A byte-pair encoding takes a word at the beginning for another than the same word after a space; here all
        words come after one.
        """
        line = normalised(sentence, lower=self.lower)
        return f" {line}" if self.tokenizer.kind == "bpe" else line

    def encode(self, sentence: str) -> Ids:
        """The ids of a sentence, without the end, shape (tokens,), int64."""
        return self.tokenizer.encode(self.prepared(sentence))

    def encode_all(self, sentences: Iterable[str]) -> list[Ids]:
        """The ids of many sentences."""
        return [self.encode(sentence) for sentence in sentences]

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence of some ids, up to the end if it is among them."""
        kept: list[int] = []
        for index in ids:
            if index == self.end:
                break
            kept.append(index)
        return self.tokenizer.decode(kept).strip()

    def pieces(self, sentence: str) -> list[str]:
        """The text of each token of a sentence, unknown words as they are written, for people to read."""
        if isinstance(self.tokenizer, WordTokenizer):
            return self.tokenizer.split(self.prepared(sentence))
        return [self.tokenizer.token(index) for index in self.encode(sentence).tolist()]

    def decode_replacing(self, ids: Sequence[int], replacements: Sequence[str]) -> str:
        """As ``decode``, with the replacement of the same place for each unknown word."""
        runs: list[str] = []
        start = 0
        for place, index in enumerate(ids):
            if index == self.unknown_id:
                runs += [self.decode(ids[start:place]), replacements[place]]
                start = place + 1
        runs.append(self.decode(ids[start:]))
        joint = "" if self.tokenizer.kind == "char" else " "
        return joint.join(run for run in runs if run)


def with_ends(tokens: Ids, end: int) -> Ids:
    """Token ids between two ends of a sentence, shape (tokens + 2,)."""
    return np.concatenate([[end], tokens, [end]])
