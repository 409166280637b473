"""Training word vectors: which words tell which is decided in the native core, when and how fast here.

Mikolov et al. (2013), https://arxiv.org/abs/1301.3781 and https://arxiv.org/abs/1310.4546.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from throughtime._core import Lexicon, float_tensor, train_word_vectors
from throughtime.errors import DataError
from throughtime.word2vec.vocabulary import Vocabulary, open_text

Architecture: TypeAlias = Literal["skip-gram", "cbow"]
LANE = 16  # floats of a cache line
ROUND_SECONDS = 0.5


@dataclass(frozen=True)
class Report:
    """What one round of training did.

    Attributes:
        words: of the text that were read.
        seconds: that it took.
        loss: mean negative log likelihood, in nats, of some of its predictions; NaN where there were none.
        fraction: of the whole run that is done.
        epoch: passes over the text that are complete.
    """

    words: int
    seconds: float
    loss: float
    fraction: float
    epoch: int


class Word2VecTrainer:
    """The two matrices of word2vec and how far they have been trained.

    Args:
        vocabulary: the words.
        files: plain text; see ``throughtime.data.Corpus``.
        is_tokens: whether control characters separate its words.
        architecture: "skip-gram": each word of the context tells the word in the middle; "cbow": their mean does.
        size: features of a vector.
        window: words of the context on either side at most.
        dynamic_window: whether the reach is drawn from 1 to ``window`` at each word, which weighs near words more.
        negatives: words of noise that each word is told from; 0 for hierarchical softmax.
        noise_exponent: of the counts, in the distribution of the noise.
        sample: the share of the text from which on a word's occurrences are thinned; 0 keeps all.
        learning_rate: at the beginning.
        min_learning_rate: at the end.
        seed: of everything random.
        threads: that train side by side. With more than one, no two runs are the same to the last bit.
        shard: (rank, count) where several processes train one model, each on its part of the text.

    Attributes:
        input: the word vectors, float32, shape (words, stride); the first ``size`` columns count.
        lexicon: the vocabulary as the native core knows it.
        output: of the words (negative sampling) or inner nodes (hierarchical softmax) that are told, of the same shape.

    Raises:
        DataError: where a file can't be opened.
    """

    def __init__(  # noqa: PLR0913 - word2vec's own
        self,
        vocabulary: Vocabulary,
        files: Sequence[Path],
        *,
        is_tokens: bool = False,
        architecture: Architecture = "skip-gram",
        size: int = 100,
        window: int = 5,
        dynamic_window: bool = True,
        negatives: int = 5,
        noise_exponent: float = 0.75,
        sample: float = 1e-3,
        learning_rate: float = 0.025,
        min_learning_rate: float = 1e-4,
        seed: int = 0,
        threads: int = 1,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        self.vocabulary = vocabulary
        self.size = size
        self.seed = seed
        self.threads = threads
        self._text = open_text(files, is_tokens=is_tokens)
        self.lexicon = _lexicon(vocabulary, sample, noise_exponent if negatives else None)
        stride = math.ceil(size / LANE) * LANE
        self.input = _zeros(len(vocabulary), stride)
        self.output = _zeros(len(vocabulary), stride)
        generator = torch.Generator().manual_seed(seed)
        self.vectors.uniform_(-1 / size, 1 / size, generator=generator)
        self._options: dict[str, Any] = {
            "size": size,
            "stride": stride,
            "skip_gram": architecture == "skip-gram",
            "window": window,
            "dynamic_window": dynamic_window,
            "negatives": negatives,
            "highest_rate": learning_rate,
            "lowest_rate": min_learning_rate,
        }
        rank, processes = shard
        # As many for all, so that they meet as often; the last process may find some of its own missing.
        self.pieces = math.ceil(self._text.pieces / processes)
        self.first_piece = rank * self.pieces
        self.done = 0
        self.seconds = 0.0
        self.words = 0
        self._pieces_at_once = 2 * threads

    @property
    def vectors(self) -> Tensor:
        """The word vectors, shape (words, size)."""
        return self.input[:, : self.size]

    def rounds(
        self, *, epochs: float | None = None, seconds: float | None = None, at_most: int | None = None
    ) -> Iterator[Report]:
        """Train, and report about twice a second; a round that was reported is complete.

        Args:
            epochs: passes over the text, those done already included.
            seconds: time to train, that of rounds done already included; the learning rate then follows the clock.
            at_most: pieces of the text to train on before every report, rather than half a second's worth.

        Raises:
            DataError: where the text can't be read any more.
        """
        if not self.pieces:
            return
        total = max(round((epochs or 0) * self.pieces), 1)
        while self.done < total if seconds is None else self.seconds < seconds:
            begun = time.monotonic()
            in_all = total if seconds is None else max(self.done, 1) * seconds / max(self.seconds, 1e-3)
            epoch, first = divmod(self.done, self.pieces)
            wanted = at_most or self._pieces_at_once
            if seconds is not None and self.seconds:
                left = (seconds - self.seconds) * self.done / self.seconds
                wanted = max(min(wanted, round(left)), 1)
            last = min(first + wanted, self.pieces, *([] if seconds is not None else [first + total - self.done]))
            words, losses, loss = self._train(epoch, first, last, in_all if self.done or seconds is None else math.inf)
            taken = time.monotonic() - begun
            self.done += last - first
            self.words += words
            self.seconds += taken
            if taken < ROUND_SECONDS / 2:
                self._pieces_at_once *= 2
            elif taken > ROUND_SECONDS * 2:
                self._pieces_at_once = max(self._pieces_at_once // 2, self.threads)
            fraction = self.done / total if seconds is None else self.seconds / seconds
            yield Report(
                words, taken, loss / losses if losses else math.nan, min(fraction, 1.0), self.done // self.pieces
            )

    def _train(self, epoch: int, first: int, last: int, in_all: float) -> tuple[int, int, float]:
        try:
            return train_word_vectors(
                self._text,
                self.lexicon,
                input=self.input.data_ptr(),
                output=self.output.data_ptr(),
                first_piece=min(self.first_piece + first, self._text.pieces),
                last_piece=min(self.first_piece + last, self._text.pieces),
                done=self.done,
                in_all=in_all,
                seed=int(np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)[0]),
                threads=self.threads,
                **self._options,
            )
        except RuntimeError as error:
            raise DataError(str(error)) from error

    def state(self) -> dict[str, object]:
        """All that the next round depends on, for ``training.save_tree``."""
        position = {"done": self.done, "seconds": self.seconds, "words": self.words}
        return {"input": self.input, "output": self.output, "pieces": self.pieces, **position}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            DataError: where it is of another text or another size.
        """
        if state["pieces"] != self.pieces or state["input"].shape != self.input.shape:
            raise DataError("the text or the settings are not those that the run began with; begin a new run")
        self.input.copy_(state["input"])
        self.output.copy_(state["output"])
        self.done, self.seconds, self.words = state["done"], state["seconds"], state["words"]


def _zeros(rows: int, stride: int) -> Tensor:
    # From the core's own memory: aligned, and in large pages where the system has them, which spares look-ups of pages.
    return float_tensor(rows * stride).zero_().view(rows, stride)


def _lexicon(vocabulary: Vocabulary, sample: float, noise_exponent: float | None) -> Lexicon:
    keep = np.minimum(vocabulary.keep_probabilities(sample) * 2.0**32, 2.0**32 - 1).astype(np.uint32)
    counts = vocabulary.counts.astype(np.uint64)
    noise = None if noise_exponent is None else vocabulary.counts.astype(np.float64) ** noise_exponent
    words = [word.encode() for word in vocabulary.words]
    return Lexicon(words, keep.ctypes.data, 0 if noise is None else noise.ctypes.data, counts.ctypes.data)
