"""One thread of csrc/word2vec/learner.h in float64: the same random numbers, the same order, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Path = Sequence[tuple[int, int]]
MOST_OUTPUTS = 6
MASK = 2**64 - 1


class Random:
    """SplitMix64."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def next32(self) -> int:
        return self.next() >> 32

    def below(self, count: int) -> int:
        return (self.next32() * count) >> 32


class AliasSampler:
    """Vose's form of Walker's alias method."""

    def __init__(self, weights: Sequence[float]) -> None:
        total = 0.0
        for weight in weights:
            total += weight
        rest = [weight / (total / len(weights)) for weight in weights]
        small = [i for i, weight in enumerate(rest) if weight < 1]
        large = [i for i, weight in enumerate(rest) if weight >= 1]
        self.columns = [(2**32 - 1, i) for i in range(len(weights))]
        while small and large:
            low, high = small.pop(), large[-1]
            self.columns[low] = (int(rest[low] * (2**32 - 1)), high)
            rest[high] -= 1 - rest[low]
            if rest[high] < 1:
                small.append(large.pop())

    def draw(self, random: Random) -> int:
        bits = random.next()
        column = ((bits >> 32) * len(self.columns)) >> 32
        threshold, alias = self.columns[column]
        return column if bits & 0xFFFFFFFF <= threshold else alias


@dataclass(frozen=True)
class Learner:
    """What a run of one thread on one piece of text depends on."""

    input: Matrix
    output: Matrix
    keep: Sequence[int]
    noise: AliasSampler | None
    paths: Sequence[Path]
    skip_gram: bool
    window: int
    negatives: int

    def learn(self, sentences: Sequence[Sequence[int]], seed: int, rate: float) -> None:
        random = Random(Random(seed).next())
        for sentence in sentences:
            kept = [word for word in sentence if self.keep[word] == 2**32 - 1 or random.next32() <= self.keep[word]]
            if len(kept) > 1:
                self._learn_sentence(kept, random, rate)

    def _outputs(self, word: int, random: Random) -> list[tuple[int, int]]:
        if self.noise is None:
            return [(node, 1 - branch) for node, branch in self.paths[word]]
        noise = [self.noise.draw(random) for _ in range(self.negatives)]
        return [(word, 1)] + [(other, 0) for other in noise if other != word]

    def _learn_sentence(self, words: list[int], random: Random, rate: float) -> None:
        for place, word in enumerate(words):
            reach = self.window - random.below(self.window)
            context = words[max(place - reach, 0) : place] + words[place + 1 : place + reach + 1]
            outputs = self._outputs(word, random)
            if self.skip_gram:
                self._tell(self.input, context, outputs, rate)
            else:
                bag = self.input[context].mean(axis=0, keepdims=True)
                before = bag.copy()
                self._tell(bag, [0], outputs, rate)
                for other in context:
                    self.input[other] += (bag - before)[0]

    def _tell(self, rows: Matrix, inputs: list[int], outputs: list[tuple[int, int]], rate: float) -> None:
        while outputs:
            numbers: list[int] = []
            labels: list[int] = []
            for number, label in outputs[:MOST_OUTPUTS]:
                if number in numbers:
                    break
                numbers.append(number)
                labels.append(label)
            outputs = outputs[len(numbers) :]
            old = self.output[numbers]
            gradient = rate * (labels - 1 / (1 + np.exp(-rows[inputs] @ old.T)))
            for row, of_row in zip(inputs, gradient, strict=True):
                # A word that is twice in the context passes twice, the second time as it was moved.
                self.output[numbers] += np.outer(of_row, rows[row])
                rows[row] += of_row @ old
